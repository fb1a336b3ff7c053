// One strip of Steer: the toggle, slider, number and second line of feature f. `desk` is what the page gives to all its
// strips: { mine: the Edits of the picture, data, model, focused(), say(text), frame(event), changed(event, what),
// showAll(), open(f): go to its page, again(f, focus): make its strip anew, tab(f): the Tab key leads to it, gone(f) }.
// Of these mine, data and model change with the picture.
import { sae } from "../live/engine.js";

export function makeStrip(desk, f) {
  const [low, high] = range(desk, f);
  const added = desk.mine.added.includes(f);
  const item = document.createElement("li");
  item.className = "strip";
  item.dataset.testid = "strip";
  item.dataset.feature = f;
  const said = desk.data.source ? `; ${desk.data.source}` : "";
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
  slide.style.setProperty("--was", share(desk.mine.before(f)));
  undo.textContent = added ? "×" : "↺";
  undo.title = added ? `Remove feature ${f}` : `Back to ${desk.mine.before(f).toFixed(2)}`;
  undo.setAttribute("aria-label", added ? `remove feature ${f}` : `undo feature ${f}`);
  const picture = () => { tile.src = sae.tileAddress(desk.model, f); };
  picture();

  // `moving`: the slider stands where the hand has it.
  function show(moving = false) {
    const { mine } = desk, v = mine.own(f), at = share(v), zero = share(0);
    const muted = mine.solo !== null && !mine.solo.has(f), only = mine.solo !== null && !muted;
    if (!moving) slider.value = v;
    slider.style.setProperty("--a", Math.min(at, zero));
    slider.style.setProperty("--b", Math.max(at, zero));
    const off = muted || v === 0;
    slider.setAttribute("aria-valuetext", muted ? `off, as it is not among the only ones; ${v.toFixed(2)}` : v.toFixed(2));
    toggle.checked = !off;
    sae.write(shown, off ? "off" : v.toFixed(2));
    const [short, whole] = ruled(desk, f);
    sae.write(rule, short);
    told.title = whole;
    item.classList.toggle("off", off);
    item.classList.toggle("muted", muted);
    item.classList.toggle("alone", only);
    const solo = item.querySelector(".solo");
    if (solo) {
      solo.textContent = !mine.solo || (only && mine.solo.size === 1) ? "Only this" : only ? "Not this one" : "This one too";
      solo.setAttribute("aria-label", `${solo.textContent}: feature ${f}`);
      solo.setAttribute("aria-pressed", only);
      const times = item.querySelector(".times"), to = item.querySelector(".to"), { mode, value } = mine.rules.get(f) ?? {};
      if (times !== desk.focused()) times.value = mode === "scale" ? value : "";
      if (to !== desk.focused()) { to.value = ""; to.placeholder = v.toFixed(2); }
    }
    item.classList.toggle("edited", mine.edits.has(f));
    undo.disabled = !added && !mine.edits.has(f);
  }
  let byKey = false;
  slider.addEventListener("keydown", () => { byKey = true; });
  slider.addEventListener("pointerdown", () => { byKey = false; });
  slider.oninput = (event) => { desk.mine.set(f, +slider.value); show(true); desk.frame(event); };
  slider.onchange = (event) => { show(); desk.changed(event, byKey ? `${f}` : null); };
  sae.steady(slider, () => desk.mine.now, (state, event) => { desk.mine.put(state); show(); desk.frame(event); });
  dots.onclick = () => { desk.mine.open.has(f) ? desk.mine.open.delete(f) : desk.mine.open.add(f); more(); desk.tab(f); };
  toggle.onchange = (event) => {
    if (toggle.checked) desk.mine.on(f, (high || low) / 2); // the middle of its range, if it never was on
    else desk.mine.off(f);
    show();
    desk.changed(event);
  };
  undo.onclick = (event) => {
    desk.mine.forget(f);
    if (added) {
      desk.mine.remove(f);
      item.remove();
      desk.gone(f);
    } else {
      show();
      slider.focus({ preventScroll: true });
    }
    desk.changed(event);
  };
  item.querySelector(".open").onclick = () => desk.open(f);

  // The second line of a strip: a number to set, a factor, solo, and a slider that goes further.
  function more() {
    const open = desk.mine.open.has(f);
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
      <button class="wider" type="button" data-testid="strip-wider" title="Let this slider go twice as far" aria-label="Wider: the slider of feature ${f}">Wider</button>`;
    const to = line.querySelector(".to"), times = line.querySelector(".times");
    const put = (v, event, again, rule) => {
      if (!Number.isFinite(v) || Math.max(Math.abs(v), Math.abs(rule?.value ?? 0)) > desk.data.reach) { desk.say("That is no number that a feature can have here."); return; }
      desk.mine.set(f, Math.fround(v), rule); // as Python computes
      desk.again(f, again);
      desk.changed(event);
    };
    to.onchange = (event) => { if (to.value !== "") put(+to.value, event, ".to"); };
    times.onchange = (event) => {
      if (times.value === "") { show(); return; }
      if (!desk.mine.before(f)) { desk.say(`Feature ${f} is not active in this picture, so there is nothing to multiply: set it to a value.`); return; }
      put(desk.mine.before(f) * +times.value, event, ".times", { mode: "scale", value: +times.value });
    };
    line.querySelector(".solo").onclick = (event) => {
      desk.mine.alone(f);
      desk.showAll();
      desk.changed(event);
    };
    line.querySelector(".wider").onclick = () => {
      desk.mine.wide.set(f, Math.min(64, 2 * (desk.mine.wide.get(f) ?? 1)));
      desk.again(f, ".wider");
    };
    item.append(line);
    show();
  }
  more();
  return { item, show, picture };
}

// How far the slider goes.
function range(desk, f) {
  const now = desk.mine.before(f);
  let low, high;
  if (desk.data.high) {
    low = Math.min(desk.data.low?.[f] ?? 0, now);
    high = Math.max(desk.data.high[f], now);
  } else {
    low = Math.min(0, 2 * now);
    high = Math.max(0, 2 * now);
  }
  if (low === high) high = low + 1;
  const wide = desk.mine.wide.get(f) ?? 1, set = desk.mine.own(f);
  return [Math.min(wide * low, set), Math.max(wide * high, set)];
}

// What an edit is that is no fixed value: in short, and in words.
function ruled(desk, f) {
  const { mode, value, low, high } = desk.mine.rules.get(f) ?? {};
  if (mode === "scale") return [`×${+value.toFixed(2)}`, `${value} times its activation`];
  return mode === "clamp" ? ["clamp", `held between ${low} and ${high}`] : ["", ""];
}
