/** One strip of Steer: the toggle, slider, number and second line of a feature. */

import { find, focusIn, steady, write } from "../live/dom.js";
import { tileAddress } from "../live/paint.js";

/** @import { Model } from "../live/arithmetic.js" */
/** @import { Rule } from "./edits.js" */
/** @import { Kept } from "./kept.js" */

/**
 * What Python says of a model's features: how far each goes on real images (null: not known) and which images those are,
 * and the largest number that may be set.
 * @typedef {{ high: number[] | null, low: number[] | null, source: string | null, reach: number }} Data
 */

/**
 * What the page gives to all its strips; mine, data and model change with the picture.
 * @typedef {object} Desk
 * @property {Kept} mine
 * @property {Data} data
 * @property {Model} model
 * @property {(text: string) => void} say
 * @property {(event: Event) => void} frame something is to be shown
 * @property {(event: Event, show: () => void) => void} move the same, while a hand moves a strip: `show` with the next
 *   frame, as what is written at an event is laid out at every event, of which a frame may have many
 * @property {(event: Event, what?: string | null) => void} changed something was changed
 * @property {() => void} showAll
 * @property {(f: number) => void} open goes to the feature's page
 */

/**
 * What the list does for a strip: makes it anew, leads the Tab key to it, learns that it is gone.
 * @typedef {{ again: (f: number, focus: string) => void, tab: (f: number) => void, gone: (f: number) => void }} Row
 */

/** @typedef {{ item: HTMLLIElement, show: (moving?: boolean) => void, picture: () => void }} Strip */

/** @param {Desk} desk @param {Row} row @param {number} f @returns {Strip} */
export function makeStrip(desk, row, f) {
  const [low, high] = range(desk, f);
  const added = desk.mine.added.includes(f);
  const item = document.createElement("li");
  item.className = "strip";
  item.dataset.testid = "strip";
  item.dataset.feature = `${f}`;
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
  const toggle = find(item, ".toggle", HTMLInputElement), slider = find(item, ".slider", HTMLInputElement);
  const tile = find(item, ".tile", HTMLImageElement), undo = find(item, ".undo", HTMLButtonElement), dots = find(item, ".dots");
  const told = find(item, ".value"), shown = find(told, "span"), rule = find(told, ".rule");
  slider.min = `${low}`;
  slider.max = `${high}`;
  const share = (/** @type {number} */ v) => (v - low) / (high - low);
  find(item, ".slide").style.setProperty("--was", `${share(desk.mine.before(f))}`);
  undo.textContent = added ? "×" : "↺";
  undo.title = added ? `Remove feature ${f}` : `Back to ${desk.mine.before(f).toFixed(2)}`;
  undo.setAttribute("aria-label", added ? `remove feature ${f}` : `undo feature ${f}`);
  const picture = () => { tile.src = tileAddress(desk.model, f); };
  picture();

  /** moving: the slider stands where the hand has it. */
  function show(moving = false) {
    const { mine } = desk, v = mine.own(f), at = share(v), zero = share(0);
    const muted = mine.solo !== null && !mine.solo.has(f), only = mine.solo !== null && !muted;
    if (!moving) slider.value = `${v}`;
    slider.style.setProperty("--a", `${Math.min(at, zero)}`);
    slider.style.setProperty("--b", `${Math.max(at, zero)}`);
    const off = muted || v === 0;
    slider.setAttribute("aria-valuetext", muted ? `off, as it is not among the only ones; ${v.toFixed(2)}` : v.toFixed(2));
    toggle.checked = !off;
    write(shown, off ? "off" : v.toFixed(2));
    const [short, whole] = ruled(desk, f);
    write(rule, short);
    told.title = whole;
    item.classList.toggle("off", off);
    item.classList.toggle("muted", muted);
    item.classList.toggle("alone", only);
    const solo = item.querySelector(".solo"), { mode, value } = mine.rules.get(f) ?? {};
    if (solo) {
      solo.textContent = !mine.solo || (only && mine.solo.size === 1) ? "Only this" : only ? "Not this one" : "This one too";
      solo.setAttribute("aria-label", `${solo.textContent}: feature ${f}`);
      solo.setAttribute("aria-pressed", `${only}`);
      const times = find(item, ".times", HTMLInputElement), to = find(item, ".to", HTMLInputElement);
      if (times !== focusIn(item)) times.value = mode === "scale" ? `${value}` : "";
      if (to !== focusIn(item)) { to.value = ""; to.placeholder = v.toFixed(2); }
    }
    item.classList.toggle("edited", mine.edits.has(f));
    undo.disabled = !added && !mine.edits.has(f);
  }
  let byKey = false;
  slider.addEventListener("keydown", () => { byKey = true; });
  slider.addEventListener("pointerdown", () => { byKey = false; });
  const moved = () => show(true);
  slider.oninput = (event) => { desk.mine.set(f, +slider.value); desk.move(event, moved); };
  slider.onchange = (event) => { show(); desk.changed(event, byKey ? `${f}` : null); };
  steady(slider, () => desk.mine.now, (state, event) => { desk.mine.put(state); show(); desk.frame(event); });
  dots.onclick = () => {
    if (!desk.mine.open.delete(f)) desk.mine.open.add(f);
    more();
    row.tab(f);
  };
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
      row.gone(f);
    } else {
      show();
      slider.focus({ preventScroll: true });
    }
    desk.changed(event);
  };
  find(item, ".open").onclick = () => desk.open(f);

  /** The second line: a number to set, a factor, solo, and a slider that goes further. */
  function more() {
    const open = desk.mine.open.has(f);
    dots.setAttribute("aria-expanded", `${open}`);
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
    const to = find(line, ".to", HTMLInputElement), times = find(line, ".times", HTMLInputElement);
    /** @param {number} v @param {Event} event @param {string} again what keeps the focus @param {Rule} [rule] */
    const put = (v, event, again, rule) => {
      if (!Number.isFinite(v) || Math.max(Math.abs(v), Math.abs(rule?.value ?? 0)) > desk.data.reach) { desk.say("That is no number that a feature can have here."); return; }
      desk.mine.set(f, Math.fround(v), rule); // as Python computes
      row.again(f, again);
      desk.changed(event);
    };
    to.onchange = (event) => { if (to.value !== "") put(+to.value, event, ".to"); };
    times.onchange = (event) => {
      if (times.value === "") { show(); return; }
      if (!desk.mine.before(f)) { desk.say(`Feature ${f} is not active in this picture, so there is nothing to multiply: set it to a value.`); return; }
      put(desk.mine.before(f) * +times.value, event, ".times", { mode: "scale", value: +times.value });
    };
    find(line, ".solo").onclick = (event) => {
      desk.mine.alone(f);
      desk.showAll();
      desk.changed(event);
    };
    find(line, ".wider").onclick = () => {
      desk.mine.wide.set(f, Math.min(64, 2 * (desk.mine.wide.get(f) ?? 1)));
      row.again(f, ".wider");
    };
    item.append(line);
    show();
  }
  more();
  return { item, show, picture };
}

/** How far the slider goes. @param {Desk} desk @param {number} f */
function range(desk, f) {
  const now = desk.mine.before(f);
  let low, high;
  if (desk.data.high) {
    low = Math.min(desk.data.low?.[f] ?? 0, 2 * now);
    high = Math.max(desk.data.high[f], 2 * now);
  } else {
    low = Math.min(0, 2 * now);
    high = Math.max(0, 2 * now);
  }
  if (low === high) high = low + 1;
  const wide = desk.mine.wide.get(f) ?? 1, set = desk.mine.own(f);
  return [Math.min(wide * low, set), Math.max(wide * high, set)];
}

/** What an edit is that is no fixed value: in short, and in words. @param {Desk} desk @param {number} f */
function ruled(desk, f) {
  const { mode, value, low, high } = desk.mine.rules.get(f) ?? {};
  if (mode === "scale") return [`×${+(value ?? 1).toFixed(2)}`, `${value} times its activation`];
  return mode === "clamp" ? ["clamp", `held between ${low} and ${high}`] : ["", ""];
}
