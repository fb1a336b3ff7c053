// The steering strips: toggles and sliders on the features of a picture; everything follows while they move.
// Python gets the edits on release; what it answers (data.seq) frees the way for the next ones.

const SHOWN = 200; // strips; a code with more active features shows its strongest
const FULL = 0.5; // the change that the difference shows in full colour

// Edits outlive their elements: a rerun, a remount, a page switch or a lost connection takes none away.
// By picture and model: { edits: feature -> value, added: [feature], last: feature -> the value it had when on }
const kept = (globalThis.__saeSteered ??= new Map());
// By data.id: what is on its way to Python, { mode, seq, answered, sentAt, waiting: the message that goes next }
const links = (globalThis.__saeSteerLinks ??= new Map());
const mounted = (globalThis.__saeSteer ??= new WeakMap());

export default function (component) {
  const { data, parentElement } = component;
  const root = parentElement.querySelector(".steer");
  let view = mounted.get(parentElement);
  if (view?.root !== root) mounted.set(parentElement, (view = mount(root)));
  view.update(data, component.setStateValue);
  // Streamlit may also take back an update that a newer one overtook, while the element stays.
  return () => { if (!root.isConnected) view.unmount(); };
}

function mount(root) {
  const find = (selector) => root.querySelector(selector);
  const canvas = (name) => find(`[data-testid=${name}]`);
  const list = find(".strips"), number = find(".number"), said = find(".said");
  let data = null, send = null, model = null, cancel = () => {}, built = null, link = null, mine = null;
  let x = null, code = null, x_hat = null, natural = null, strips = new Map(), pearson = 0;

  // ---- arithmetic

  const before = (f) => natural.get(f) ?? 0;
  const value = (f) => mine.edits.get(f) ?? before(f);

  // The features of the code in its own order and then the others: with nothing edited, the sums are those of the
  // untouched code, term by term, and their difference is exactly 0.
  function edited() {
    const index = [...code.index, ...[...mine.edits.keys()].filter((f) => !natural.has(f)).sort((a, b) => a - b)];
    return { index, value: index.map(value) };
  }

  function compute() {
    if (!built) return;
    const now = edited();
    const changed = sae.decode(model, now);
    const steered = new Float64Array(x.length), difference = new Float64Array(x.length);
    let largest = 0, l0 = 0;
    for (let i = 0; i < x.length; i++) {
      steered[i] = link.mode === "plain" ? changed[i] : x[i] + (changed[i] - x_hat[i]);
      difference[i] = steered[i] - x[i];
      largest = Math.max(largest, Math.abs(difference[i]));
    }
    for (const v of now.value) if (v !== 0) l0++;
    const correlation = sae.pearson(x, steered);
    sae.paint(canvas("steered"), steered);
    sae.paint(canvas("difference"), difference, FULL);
    const before = code.index.length;
    find(".l0").textContent = l0 === before ? `${l0}` : `${l0} (was ${before})`;
    find(".pearson-steered").textContent = correlation.toFixed(4);
    find(".change").textContent = largest.toFixed(4);
    Object.assign(root.dataset, { l0, pearson, pearsonSteered: correlation, change: largest, edits: mine.edits.size });
  }
  const frame = sae.live(compute);

  // ---- strips

  function range(f) {
    const now = before(f), set = value(f);
    let low, high;
    if (data.high) {
      low = Math.min(data.low?.[f] ?? 0, now);
      high = Math.max(data.high[f], now);
    } else {
      low = Math.min(0, 2 * now);
      high = Math.max(0, 2 * now);
    }
    if (low === high) high = low + 1;
    return [Math.min(low, set), Math.max(high, set)];
  }

  function strip(f) {
    const [low, high] = range(f);
    const added = !natural.has(f);
    const item = document.createElement("li");
    item.className = "strip";
    item.dataset.testid = "strip";
    item.dataset.feature = f;
    const said = data.source ? `; ${data.source}` : "";
    item.innerHTML = `
      <input class="toggle" type="checkbox" data-testid="strip-toggle" aria-label="feature ${f} on/off" />
      <canvas class="tile" width="28" height="28" title="What feature ${f} adds: its decoder row, orange adds ink, blue takes it away"></canvas>
      <button class="open" type="button" data-testid="strip-open" title="Open feature ${f}" aria-label="open feature ${f}">#${f}</button>
      <span class="slide"><input class="slider" type="range" step="any" data-testid="strip-slider"
        aria-label="feature ${f} value" title="${low.toFixed(2)} to ${high.toFixed(2)}${said}" /></span>
      <span class="value"></span>
      <button class="undo" type="button" data-testid="strip-undo"></button>`;
    const [toggle, tile, , slide, shown, undo] = item.children;
    const slider = slide.firstElementChild;
    slider.min = low;
    slider.max = high;
    const share = (v) => (v - low) / (high - low);
    slide.style.setProperty("--was", share(before(f)));
    undo.textContent = added ? "×" : "↺";
    undo.title = added ? `Remove feature ${f}` : `Back to ${before(f).toFixed(2)}`;
    undo.setAttribute("aria-label", added ? `remove feature ${f}` : `undo feature ${f}`);
    sae.drawTile(tile.getContext("2d"), sae.sprite(model), f, 0, 0, sae.SIDE);

    // `moving`: the slider stands where the hand has it.
    function show(moving = false) {
      const v = value(f), at = share(v), zero = share(0);
      if (!moving) slider.value = v;
      slider.style.setProperty("--a", Math.min(at, zero));
      slider.style.setProperty("--b", Math.max(at, zero));
      slider.setAttribute("aria-valuetext", v.toFixed(2));
      shown.textContent = v === 0 ? (toggle.checked = false, "off") : (toggle.checked = true, v.toFixed(2));
      item.classList.toggle("off", v === 0);
      item.classList.toggle("edited", mine.edits.has(f));
      undo.disabled = !added && !mine.edits.has(f);
    }
    slider.oninput = (event) => { set(f, +slider.value); show(true); frame(event); };
    slider.onchange = (event) => { show(); changed(event); };
    toggle.onchange = (event) => {
      // Back on: the value it had last, else its own, else the middle of its range.
      set(f, toggle.checked ? mine.last.get(f) || before(f) || (high || low) / 2 : 0);
      show();
      changed(event);
    };
    undo.onclick = (event) => {
      mine.edits.delete(f);
      if (added) {
        mine.added = mine.added.filter((other) => other !== f);
        item.remove();
        strips.delete(f);
        number.focus();
      } else {
        show();
        slider.focus({ preventScroll: true });
      }
      changed(event);
    };
    item.querySelector(".open").onclick = () => send("feature", { feature: f, at: Date.now() });
    strips.set(f, { item, show });
    return item;
  }

  // A feature at its own value is not an edit.
  function set(f, v) {
    if (value(f) !== 0) mine.last.set(f, value(f));
    if (v === before(f)) mine.edits.delete(f);
    else mine.edits.set(f, v);
  }

  function build(found) {
    model = found;
    x = sae.fromLevels(sae.fromBase64(data.picture.levels));
    code = sae.encode(model, x);
    natural = new Map(code.index.map((f, j) => [f, code.value[j]]));
    x_hat = sae.decode(model, code);
    pearson = sae.pearson(x, x_hat);
    sae.paint(canvas("original"), x);
    sae.paint(canvas("reconstruction"), x_hat);
    find(".pearson").textContent = pearson.toFixed(4);
    number.max = model.d_sae - 1;
    number.placeholder = `0–${model.d_sae - 1}`;
    number.value = data.feature !== null && !natural.has(data.feature) ? data.feature : "";
    const others = [...mine.edits.keys()].filter((f) => !natural.has(f) && !mine.added.includes(f));
    mine.added = [...others, ...mine.added].filter((f) => !natural.has(f) && f < model.d_sae);
    const hidden = new Set(code.index.slice(SHOWN).filter((f) => !mine.edits.has(f)));
    strips = new Map();
    list.replaceChildren(...[...mine.added, ...code.index.filter((f) => !hidden.has(f))].map(strip));
    list.scrollTop = 0;
    say(code.index.length ? "" : "The code of this picture is empty: no feature is active. Add one by its number.");
    find(".note").textContent = [data.note, hidden.size ? `${hidden.size} weaker active features have no strip here.` : ""]
      .filter(Boolean).join(" ");
    built = true;
    show();
    frame();
  }
  const show = () => { for (const s of strips.values()) s.show(); };
  const say = (text) => { said.textContent = text; };

  // ---- controls

  find(".off").onclick = (event) => {
    for (const f of [...code.index, ...mine.added]) set(f, 0);
    show();
    changed(event);
  };
  find(".on").onclick = (event) => {
    for (const f of [...code.index, ...mine.added]) if (value(f) === 0) set(f, mine.last.get(f) || before(f));
    show();
    changed(event);
  };
  find(".reset").onclick = (event) => {
    mine.edits.clear();
    mine.last.clear();
    for (const f of mine.added) { strips.get(f)?.item.remove(); strips.delete(f); }
    mine.added = [];
    show();
    changed(event);
  };
  find(".add").onsubmit = (event) => {
    event.preventDefault();
    if (!built) return;
    const f = number.value === "" ? NaN : +number.value;
    if (!Number.isInteger(f) || f < 0 || f >= model.d_sae) {
      say(`There is no such feature: this model has 0 to ${model.d_sae - 1}.`);
      return;
    }
    if (strips.has(f)) {
      say(`Feature ${f} has a strip already.`);
    } else if (strips.size >= 2 * SHOWN) {
      say("There are enough strips here: remove some, or reset.");
      return;
    } else {
      if (!natural.has(f)) mine.added = [f, ...mine.added];
      list.prepend(strip(f));
      strips.get(f).show();
      say(natural.has(f) ? "" : `Feature ${f} is added; it is off until you move it.`);
      number.value = "";
      changed(event);
    }
    const { item } = strips.get(f);
    list.scrollTop += item.getBoundingClientRect().top - list.getBoundingClientRect().top - 8;
    item.classList.add("found");
    setTimeout(() => item.classList.remove("found"), 1500);
    item.querySelector(".slider").focus({ preventScroll: true });
  };
  for (const radio of root.querySelectorAll("[name=mode]")) {
    radio.onchange = (event) => { link.mode = radio.value; changed(event); };
  }
  root.onkeydown = (event) => event.stopPropagation(); // or Streamlit takes c and r for its own

  // ---- to Python and back: one update under way, the newest wins

  function changed(event) {
    if (event.type !== "submit") say("");
    frame(event);
    link.waiting = {
      ref: data.picture.ref, model: data.model, mode: link.mode, edits: Object.fromEntries(mine.edits), added: mine.added,
    };
    release();
  }
  function release() {
    if (!link.waiting || (link.seq > link.answered && performance.now() - link.sentAt < 5000)) return;
    link.sentAt = performance.now();
    send("edits", { seq: ++link.seq, ...link.waiting });
    link.waiting = null;
  }

  function update(next, setStateValue) {
    data = next;
    send = setStateValue;
    if (!links.has(data.id)) {
      links.set(data.id, { mode: data.mode, seq: data.seq, answered: data.seq, sentAt: 0, waiting: null });
    }
    link = links.get(data.id);
    link.seq = Math.max(link.seq, data.seq);
    const forgotten = data.seq < link.answered; // another server process: it knows nothing of this page's edits
    link.answered = forgotten ? link.seq : data.seq;
    root.dataset.answered = data.seq;

    const place = `${data.id} ${data.model} ${data.picture.ref}`;
    if (!kept.has(place)) {
      const edits = new Map(Object.entries(data.edits).map(([f, v]) => [+f, v]));
      kept.set(place, { edits, added: data.added, last: new Map() });
    }
    mine = kept.get(place);
    for (const radio of root.querySelectorAll("[name=mode]")) radio.checked = radio.value === link.mode;
    const key = `${place} ${data.source}`;
    if (root.dataset.key !== key) {
      root.dataset.key = key;
      built = null;
      cancel();
      cancel = sae.withModel(data.model, build);
    }
    if (forgotten && (mine.edits.size || mine.added.length)) changed();
    else release();
  }

  return { root, update, unmount() { cancel(); mounted.delete(root.getRootNode()); } };
}
