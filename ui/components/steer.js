// The steering strips: toggles and sliders on the features of a picture; everything follows while they move.
// Python gets the edits on release; what it answers (data.seq) frees the way for the next ones.

const SHOWN = 200; // strips; a code with more active features shows its strongest
const FULL = 0.5; // the change that the difference shows in full colour
const STEPS = 100; // edits that Undo takes back
const PICKED = "picked"; // the group of what was picked on the wall

// Edits outlive their elements: a rerun, a remount, a page switch or a lost connection takes none away.
// By picture and model: { edits: feature -> value; rules: feature -> { mode, value, low, high }, of those edits that are no
// fixed value: a scale or a clamp, of which edits holds what it gives here; added: [feature]; solo: Set of the only
// features that stay, or null; last: feature -> the value it had when on; wide: feature -> how often its slider was
// doubled; open: strips with their more; group: class whose features are listed, PICKED, or ""; n: of them; now, past, future:
// states for Undo; push: Python's }
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
  const list = find(".strips"), number = find(".number"), said = find(".said"), which = find(".which"), most = find(".n");
  let data = null, send = null, model = null, cancel = () => {}, built = null, link = null, mine = null;
  let h = null, h_hat = null, code = null, natural = null, strips = new Map(), pearson = 0;
  let original = null, whole = null, reconstruction = null; // pictures of x, of h (the same on pixels) and of h_hat
  let net = null, asked = null, drop = () => {}, bars = {}, opinions = null; // opinions: of the original and of h_hat

  // ---- arithmetic

  const before = (f) => natural.get(f) ?? 0;
  const own = (f) => mine.edits.get(f) ?? before(f); // where its slider stands
  const value = (f) => (mine.solo && !mine.solo.has(f) ? 0 : own(f));
  const touched = () => mine.edits.size > 0 || mine.solo !== null;

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
    const plain = link.mode === "plain";
    const h_now = plain ? changed : h.map((v, i) => v + (changed[i] - h_hat[i]));
    const steered = sae.picture(model, h_now);
    // A hidden layer keeps less than the original: what the edits changed is told from its own picture.
    const from = model.reader && plain ? reconstruction : whole;
    const difference = steered.map((v, i) => v - from[i]);
    let largest = 0, l0 = 0;
    for (const v of difference) largest = Math.max(largest, Math.abs(v));
    for (const v of now.value) if (v !== 0) l0++;
    const correlation = sae.pearson(original, steered);
    sae.paint(canvas("steered"), steered);
    sae.paint(canvas("difference"), difference, FULL);
    const before = code.index.length;
    sae.write(find(".l0"), l0 === before ? `${l0}` : `${l0} (was ${before})`);
    sae.write(find(".pearson-steered"), correlation.toFixed(4));
    sae.write(find(".change"), largest.toFixed(4));
    Object.assign(root.dataset, { l0, pearson, pearsonSteered: correlation, change: largest, edits: mine.edits.size });
    root.dataset.solo = mine.solo ? mine.solo.size : "";
    if (!opinions) return;
    const p = opinion(h_now, steered);
    bars.steered(p, touched() ? opinions[plain ? "reconstruction" : "original"] : null);
    says("steered", p);
  }

  // What the classifier says of h, or of its picture where it is another that the SAE does not read.
  const opinion = (layer, pixels) => (data.judge.sameLayer ? sae.judgeLayer(net, layer) : sae.judge(net, pixels));
  function says(of, p) {
    const best = p.indexOf(Math.max(...p));
    sae.write(find(`.says[data-of=${of}]`), `${data.judge.names[best]} · ${(100 * p[best]).toFixed(1)} %`);
  }
  function judged() {
    opinions = null;
    if (!net || !built) return;
    opinions = { original: opinion(h, original), reconstruction: opinion(h_hat, reconstruction) };
    for (const of of ["original", "reconstruction"]) { bars[of](opinions[of]); says(of, opinions[of]); }
    label();
  }
  const frame = sae.live(compute);

  // ---- strips

  function range(f) {
    const now = before(f);
    let low, high;
    if (data.high) {
      low = Math.min(data.low?.[f] ?? 0, now);
      high = Math.max(data.high[f], now);
    } else {
      low = Math.min(0, 2 * now);
      high = Math.max(0, 2 * now);
    }
    if (low === high) high = low + 1;
    const wide = mine.wide.get(f) ?? 1, set = own(f);
    return [Math.min(wide * low, set), Math.max(wide * high, set)];
  }

  function strip(f) {
    const [low, high] = range(f);
    const added = mine.added.includes(f);
    const item = document.createElement("li");
    item.className = "strip";
    item.dataset.testid = "strip";
    item.dataset.feature = f;
    const said = data.source ? `; ${data.source}` : "";
    item.innerHTML = `
      <input class="toggle" type="checkbox" data-testid="strip-toggle" aria-label="feature ${f} on/off" />
      <img class="tile" alt="" width="28" height="28" title="What feature ${f} adds: its decoder row, orange adds ink, blue takes it away" />
      <button class="open" type="button" data-testid="strip-open" title="Open feature ${f}" aria-label="open feature ${f}">#${f}</button>
      <span class="slide"><input class="slider" type="range" step="any" data-testid="strip-slider"
        aria-label="feature ${f} value" title="${low.toFixed(2)} to ${high.toFixed(2)}${said}" /></span>
      <span class="value"><span></span><small class="rule"></small></span>
      <button class="undo" type="button" data-testid="strip-undo"></button>
      <button class="dots" type="button" data-testid="strip-more" aria-label="more for feature ${f}" title="Set, scale, solo, wider" aria-expanded="false">⋯</button>`;
    const [toggle, tile, , slide, told, undo, dots] = item.children;
    const slider = slide.firstElementChild, [shown, rule] = told.children;
    slider.min = low;
    slider.max = high;
    const share = (v) => (v - low) / (high - low);
    slide.style.setProperty("--was", share(before(f)));
    undo.textContent = added ? "×" : "↺";
    undo.title = added ? `Remove feature ${f}` : `Back to ${before(f).toFixed(2)}`;
    undo.setAttribute("aria-label", added ? `remove feature ${f}` : `undo feature ${f}`);
    const picture = () => { tile.src = sae.tileAddress(model, f); };
    picture();

    // `moving`: the slider stands where the hand has it.
    function show(moving = false) {
      const v = own(f), at = share(v), zero = share(0), muted = mine.solo !== null && !mine.solo.has(f);
      if (!moving) slider.value = v;
      slider.style.setProperty("--a", Math.min(at, zero));
      slider.style.setProperty("--b", Math.max(at, zero));
      const off = muted || v === 0;
      slider.setAttribute("aria-valuetext", muted ? `off, as it is not among the only ones; ${v.toFixed(2)}` : v.toFixed(2));
      toggle.checked = !off;
      sae.write(shown, off ? "off" : v.toFixed(2));
      const [short, whole] = ruled(f);
      sae.write(rule, short);
      told.title = whole;
      item.classList.toggle("off", off);
      item.classList.toggle("muted", muted);
      item.classList.toggle("alone", mine.solo !== null && !muted);
      const solo = item.querySelector(".solo"), only = mine.solo !== null && !muted;
      if (solo) {
        solo.textContent = !mine.solo || (only && mine.solo.size === 1) ? "Only this" : only ? "Not this one" : "This one too";
        solo.setAttribute("aria-pressed", only);
      }
      item.classList.toggle("edited", mine.edits.has(f));
      undo.disabled = !added && !mine.edits.has(f);
    }
    slider.oninput = (event) => { set(f, +slider.value); show(true); frame(event); };
    dots.onclick = () => { mine.open.has(f) ? mine.open.delete(f) : mine.open.add(f); more(); };
    slider.onchange = (event) => { show(); changed(event); };
    toggle.onchange = (event) => {
      // Back on: the value it had last, else its own, else the middle of its range.
      set(f, toggle.checked ? own(f) || mine.last.get(f) || before(f) || (high || low) / 2 : 0);
      show();
      changed(event);
    };
    undo.onclick = (event) => {
      forget(f);
      if (added) {
        mine.added = mine.added.filter((other) => other !== f);
        item.remove();
        strips.delete(f);
        mine.solo?.delete(f);
        number.focus();
      } else {
        show();
        slider.focus({ preventScroll: true });
      }
      changed(event);
    };
    item.querySelector(".open").onclick = () => send("feature", { feature: f, at: Date.now() });

    // The second line of a strip: a number to set, a factor, solo, and a slider that goes further.
    function more() {
      const open = mine.open.has(f);
      dots.setAttribute("aria-expanded", open);
      item.querySelector(".more")?.remove();
      if (!open) return;
      const line = document.createElement("div");
      line.className = "more";
      line.innerHTML = `
        <label title="Holds the activation at this value, also beyond the slider.">set to <input class="to" type="number" step="any" data-testid="strip-set" aria-label="set feature ${f} to" /></label>
        <label title="Multiplies the activation that this picture has without edits; on other images, the one that they have.">× <input
          class="times" type="number" step="any" placeholder="2" data-testid="strip-scale" aria-label="multiply feature ${f} by" /></label>
        <button class="solo" type="button" data-testid="strip-solo" title="All features that are not among the only ones are off"></button>
        <button class="wider" type="button" data-testid="strip-wider" title="Let this slider go twice as far">Wider</button>`;
      const to = line.querySelector(".to"), times = line.querySelector(".times");
      to.placeholder = own(f).toFixed(2);
      const scale = mine.rules.get(f)?.mode === "scale" ? mine.rules.get(f).value : null;
      times.value = scale ?? "";
      const put = (v, event, again, rule) => {
        if (!Number.isFinite(v) || Math.abs(v) > 1e6) { say("That is no number that a feature can have here."); return; }
        set(f, v, rule);
        renew(f, again);
        changed(event);
      };
      to.onchange = (event) => { if (to.value !== "") put(+to.value, event, ".to"); };
      times.onchange = (event) => {
        if (times.value === "") { times.value = scale ?? ""; return; }
        if (!before(f)) { say(`Feature ${f} is not active in this picture, so there is nothing to multiply: set it to a value.`); return; }
        put(before(f) * +times.value, event, ".times", { mode: "scale", value: +times.value });
      };
      line.querySelector(".solo").onclick = (event) => {
        const only = new Set(mine.solo ?? []);
        if (!only.delete(f)) only.add(f);
        mine.solo = only.size ? only : null;
        showAll();
        changed(event);
      };
      line.querySelector(".wider").onclick = () => {
        mine.wide.set(f, Math.min(64, 2 * (mine.wide.get(f) ?? 1)));
        renew(f, ".wider");
      };
      item.append(line);
      show();
    }
    strips.set(f, { item, show, picture });
    more();
    return item;
  }

  // A strip made anew, with another range; the focus stays.
  function renew(f, focus) {
    const old = strips.get(f).item, item = strip(f);
    old.replaceWith(item);
    strips.get(f).show();
    item.querySelector(focus)?.focus({ preventScroll: true });
  }

  // A feature at its own value is not an edit; one that is moved is among the only ones.
  function set(f, v, rule = null) {
    if (own(f) !== 0) mine.last.set(f, own(f));
    mine.solo?.add(f);
    forget(f);
    if (v === before(f)) return;
    mine.edits.set(f, v);
    if (rule) mine.rules.set(f, rule);
  }
  function forget(f) { mine.edits.delete(f); mine.rules.delete(f); }
  function ruled(f) {
    const { mode, value, low, high } = mine.rules.get(f) ?? {};
    if (mode === "scale") return [`×${+value.toFixed(2)}`, `${value} times its activation`];
    return mode === "clamp" ? ["clamp", `held between ${low} and ${high}`] : ["", ""];
  }

  function build(found) {
    model = found;
    sae.tell(root, model);
    if (built) { // the model has grown: rows that were missing are here
      for (const s of strips.values()) s.picture();
      frame();
      return;
    }
    original = sae.fromLevels(sae.fromBase64(data.picture.levels));
    if (!sae.knows(model, original)) return;
    h = sae.read(model, original);
    code = sae.encode(model, h);
    natural = new Map(code.index.map((f, j) => [f, code.value[j]]));
    h_hat = sae.decode(model, code);
    whole = sae.picture(model, h);
    reconstruction = sae.picture(model, h_hat);
    pearson = sae.pearson(original, reconstruction);
    sae.paint(canvas("original"), original);
    sae.paint(canvas("reconstruction"), reconstruction);
    find(".pearson").textContent = pearson.toFixed(4);
    number.max = model.d_sae - 1;
    number.placeholder = `0–${model.d_sae - 1}`;
    const { feature } = data; // the one that was chosen on the wall gets a strip, once
    if (feature !== null && feature < model.d_sae && mine.took !== feature && !natural.has(feature)) {
      mine.added = [feature, ...mine.added.filter((f) => f !== feature)];
    }
    mine.took = feature;
    built = true;
    judged();
    lay();
    list.scrollTop = 0;
    if (!code.index.length) say("The code of this picture is empty: no feature is active. Add one by its number.");
    frame();
  }

  // Makes the strips: what was added or is edited, and then those of the picture or of a class.
  function lay(settled = true) {
    const at = list.scrollTop, listed = mine.group === "" ? code.index.slice(0, SHOWN) : groupFeatures();
    const known = new Set(listed), also = [...mine.edits.keys()].filter((f) => !known.has(f));
    const others = also.filter((f) => !natural.has(f) && !mine.added.includes(f) && f < model.d_sae);
    mine.added = [...others, ...mine.added].filter((f) => !natural.has(f) && f < model.d_sae);
    if (settled) mine.now = snap();
    const first = [...mine.added.filter((f) => !known.has(f)), ...also.filter((f) => natural.has(f))];
    strips = new Map();
    list.replaceChildren(...[...first, ...listed].map(strip));
    list.scrollTop = at;
    const hidden = mine.group === "" ? code.index.length - listed.length : 0;
    const how = mine.group === "" ? "" : ranked(mine.group);
    find(".note").textContent = [data.note, how, hidden > 0 ? `${hidden} weaker active features have no strip here.` : ""]
      .filter(Boolean).join(" ");
    which.value = mine.group;
    most.value = mine.n;
    label();
    showAll();
    sae.knows(model, original, [...strips.keys()]);
  }
  const show = () => { for (const s of strips.values()) s.show(); };
  function showAll() {
    show();
    const only = find(".solo-note");
    only.hidden = !mine.solo;
    only.firstElementChild.textContent = mine.solo ? `Only ${mine.solo.size} feature${mine.solo.size > 1 ? "s" : ""} on; all others are off.` : "";
    find(".back").disabled = !mine.past.length;
    find(".again").disabled = !mine.future.length;
  }
  const say = (text) => { said.textContent = text; };

  // ---- controls

  const every = () => new Set([...code.index, ...mine.added, ...mine.edits.keys()]);
  const press = (selector, work) => {
    find(selector).onclick = (event) => { if (built) { work(); showAll(); changed(event); } };
  };
  press(".off", () => { mine.solo = null; for (const f of every()) set(f, 0); });
  press(".on", () => { mine.solo = null; for (const f of every()) if (own(f) === 0) set(f, mine.last.get(f) || before(f)); });
  press(".reset", () => {
    put({ edits: [], rules: [], added: [], solo: null });
    for (const name of ["last", "wide", "open"]) mine[name].clear();
    lay(false);
  });
  press(".all", () => { mine.solo = null; });
  press(".only", () => {
    mine.solo = new Set(groupFeatures(groupClass()));
    if (mine.group === "") mine.group = `${groupClass()}`;
    lay(false);
  });

  // ---- Undo and redo: a state is what is edited, added and kept alone

  const snap = () => ({ edits: [...mine.edits], rules: [...mine.rules], added: [...mine.added], solo: mine.solo && [...mine.solo] });
  function put(state) {
    mine.edits = new Map(state.edits);
    mine.rules = new Map(state.rules);
    mine.added = [...state.added];
    mine.solo = state.solo && new Set(state.solo);
  }
  function remember(next) {
    if (JSON.stringify(next) === JSON.stringify(mine.now)) return;
    mine.past.push(mine.now);
    if (mine.past.length > STEPS) mine.past.shift();
    mine.future = [];
    mine.now = next;
  }
  function step(from, to, event) {
    if (!built || !from.length) return;
    to.push(mine.now);
    put((mine.now = from.pop()));
    lay();
    tell(event);
  }
  const undo = (event) => step(mine.past, mine.future, event);
  const redo = (event) => step(mine.future, mine.past, event);
  find(".back").onclick = undo;
  find(".again").onclick = redo;

  // ---- which strips: those of the picture, or the first n of a class

  const groupFeatures = (of = mine.group) =>
    (of === PICKED ? picked(data.model).filter((f) => f < model.d_sae) : data.groups.lists[of].slice(0, mine.n));
  // Without a choice it is the class that the classifier sees in the picture.
  const groupClass = () => {
    if (mine.group !== "") return mine.group;
    const p = opinions?.original, best = p ? p.indexOf(Math.max(...p)) : 0;
    return !data.groups ? null : best < data.groups.lists.length ? best : 0;
  };
  function label() {
    if (!mine) return;
    const c = groupClass(), only = find(".only"), chosen = picked(data.model).length;
    find(".group").hidden = !data.groups && !chosen;
    only.hidden = c === null;
    find(".most").hidden = !data.groups || mine.group === PICKED || (mine.group === "" && !model?.reader);
    if (c === null) return;
    only.textContent = c === PICKED ? `Only the ${chosen} picked`
      : `Only the top ${Math.min(mine.n, data.groups.lists[c].length)} of ${data.groups.names[c]}`;
    only.title = `Switch everything else off. ${ranked(c)}`;
  }
  const ranked = (of) => (of === PICKED ? "In the order in which they were picked on the wall." : `Ranked by ${data.groups.how}.`);
  which.onchange = () => { mine.group = which.value; if (built) { lay(); list.scrollTop = 0; } };
  most.onchange = () => {
    mine.n = sae.clamp(Math.round(+most.value) || 30, 1, 100);
    if (built) lay();
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
      if (!natural.has(f)) mine.added = [f, ...mine.added.filter((other) => other !== f)];
      list.prepend(strip(f));
      strips.get(f).show();
      sae.knows(model, original, [f]);
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
  root.onkeydown = (event) => {
    event.stopPropagation(); // or Streamlit takes c and r for its own
    const key = event.key.toLowerCase(), typing = event.target.type === "number";
    if ((event.ctrlKey || event.metaKey) && !typing && (key === "z" || key === "y")) {
      event.preventDefault();
      (key === "y" || event.shiftKey ? redo : undo)(event);
    }
    if (event.target.className === "toggle" && (key === "arrowdown" || key === "arrowup")) { // walks from strip to strip
      const item = event.target.parentElement;
      const next = key === "arrowdown" ? item.nextElementSibling : item.previousElementSibling;
      if (next) { event.preventDefault(); next.querySelector(".toggle").focus(); }
    }
  };

  // ---- to Python and back: one update under way, the newest wins

  function changed(event) {
    if (built) { remember(snap()); showAll(); }
    tell(event);
  }
  function tell(event) {
    if (event?.type !== "submit") say("");
    frame(event);
    link.waiting = {
      ref: data.picture.ref, model: data.model, mode: link.mode, edits: Object.fromEntries(mine.edits),
      rules: Object.fromEntries(mine.rules), added: mine.added, solo: mine.solo && [...mine.solo],
    };
    release();
  }
  function release() {
    if (!link.waiting || (link.seq > link.answered && performance.now() - link.sentAt < 5000)) return;
    link.sentAt = performance.now();
    const edits = { seq: ++link.seq, ...link.waiting };
    sae.toPython(() => send("edits", edits));
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
    const listed = (byFeature) => Object.entries(byFeature).map(([f, v]) => [+f, v]);
    const given = { edits: listed(data.edits), rules: listed(data.rules), added: data.added, solo: data.solo };
    if (!kept.has(place)) {
      mine = { last: new Map(), wide: new Map(), open: new Set(), group: "", n: 30, past: [], future: [], push: null };
      put(given);
      mine.now = snap();
      kept.set(place, mine);
    }
    mine = kept.get(place);
    if (mine.group === PICKED ? !picked(data.model).length : !data.groups?.lists[mine.group]) mine.group = "";
    const pushed = data.push && data.push !== mine.push; // Python made these edits: they replace what was here
    if (pushed) {
      mine.push = data.push;
      link.mode = data.mode;
      link.waiting = null;
      remember((put(given), snap()));
    }
    for (const radio of root.querySelectorAll("[name=mode]")) radio.checked = radio.value === link.mode;
    ask();
    const key = `${place} ${data.source}`;
    if (root.dataset.key !== key) {
      root.dataset.key = key;
      built = null;
      cancel();
      cancel = sae.withModel(data.model, build);
    } else if (pushed && built) {
      lay();
      frame();
    }
    if ((forgotten && (touched() || mine.added.length)) || (pushed && link.seq > link.answered)) tell();
    else release();
  }

  // The classifier and the classes' lists, which change with the model.
  function ask() {
    const names = data.groups?.names ?? [], chosen = picked(data.model).length, listed = `${names.join("\n")} ${chosen}`;
    if (which.dataset.listed !== listed) {
      which.dataset.listed = listed;
      which.replaceChildren(new Option("everything this picture uses", ""), ...names.map((name, c) => new Option(`top of ${name}`, c)),
        ...(chosen ? [new Option(`picked on the wall (${chosen})`, PICKED)] : []));
      which.value = mine.group;
    }
    const id = data.judge ? `${data.judge.id} ${data.judge.sameLayer}` : null;
    if (id === asked) return;
    asked = id;
    drop();
    net = opinions = null;
    find(".opinion").hidden = find(".others").hidden = !id;
    for (const element of root.querySelectorAll(".says")) element.textContent = "";
    if (!id) return;
    find(".judge").textContent = data.judge.said;
    find(".opinion").title = data.judge.said;
    for (const of of ["original", "reconstruction", "steered"]) {
      const place = find(`[data-testid=opinion-${of}]`);
      bars[of] = classBars(place, data.judge.names);
      for (const name of place.querySelectorAll(".name")) {
        if (name.textContent.length > 2) { name.title = name.textContent; name.textContent = "–"; }
      }
    }
    drop = sae.withModel(data.judge.id, (found) => { net = found; judged(); frame(); });
  }

  return { root, update, unmount() { cancel(); drop(); mounted.delete(root.getRootNode()); } };
}
