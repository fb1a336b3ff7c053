/** The wall of features: every row of a model as a small picture, on one canvas. */

import { clamp } from "../live/arithmetic.js";
import { inAddress, isOpen, putInAddress } from "../live/address.js";
import { find, focusIn, keepKeys, showReads } from "../live/dom.js";
import { withModel } from "../live/models.js";
import { mounting } from "../live/mount.js";
import { drawTile, fit, pen, sprite } from "../live/paint.js";
import { MOST_PICKS, picked, setPicked } from "../live/picks.js";
import { DEFAULTS, settings } from "./settings.js";

/** @import { Model } from "../live/arithmetic.js" */
/** @import { Settings } from "./settings.js" */

/**
 * @typedef {object} Data
 * @property {string} id
 * @property {string} model its id
 * @property {Record<string, number[]>} orders all features, by "frequency" and by class "0", "1", …; none without statistics
 * @property {string[]} classes
 * @property {string} order_help what "most for" means
 * @property {string[]} notes what there is to say of each feature
 * @property {number[]} dead
 */

const TILE = 28, STEP = 29, ZOOM = 168; // CSS pixels: a tile, a tile and its gap, the enlarged picture
const LOWEST = 240; // CSS pixels: the wall's height, at which an enlarged tile fits in beside its place
const LARGEST = 16000; // pixels of a canvas's side that every browser allows

export default mounting(".wall", (root) => {
  const scroll = find(root, ".scroll"), grid = find(root, ".grid"), canvas = find(root, ".grid canvas", HTMLCanvasElement);
  const hint = find(root, ".hint"), said = find(hint, "span"), ring = find(root, ".ring"), cursor = find(root, ".cursor");
  const zoom = find(root, ".zoom"), large = find(zoom, "canvas", HTMLCanvasElement), caption = find(zoom, "span");
  const pick = find(root, ".pick"), unpick = find(root, ".unpick"), speaker = find(root, "[aria-live]");
  const select = find(root, "select", HTMLSelectElement), told = find(root, ".told");
  const choices = [...root.querySelectorAll(".choice")].map((group) => ({
    group: /** @type {HTMLElement} */ (group), buttons: [...group.querySelectorAll("button")],
  }));

  /** @type {Data} */
  let data;
  /** @type {Settings} */
  let set;
  /** @type {Model | null} */
  let model = null;
  /** @type {number[]} the feature at each place */
  let order = [];
  /** @type {number[]} the place of each feature */
  let place = [];
  /** @type {number | null} the place where the keys are */
  let at = null;
  let known = "", dead = new Set(), columns = 0, keyed = false, painted = "", restored = false;
  let stop = () => {}, send = (/** @type {number} */ _) => {};

  // ---- what a person set is in the address too

  /** Take over what the address says; what it cannot be is said. */
  function fromAddress() {
    const wrong = [];
    for (const [name, usual] of Object.entries(DEFAULTS)) {
      const asked = inAddress(name), fits = asked !== null && choicesOf(name).includes(asked);
      Object.assign(set, { [name]: fits ? asked : usual });
      if (asked !== null && !fits) wrong.push(`${name} “${asked.slice(0, 40)}”`);
    }
    told.textContent = wrong.length ? `There is no ${wrong.join(" and no ")} here; this is what the page opens with.` : "";
    told.hidden = !wrong.length;
    toAddress();
  }
  function toAddress() {
    const said = Object.entries(DEFAULTS).map(([name, usual]) => {
      const now = set[/** @type {keyof typeof DEFAULTS} */ (name)];
      return [name, now === usual ? null : now];
    });
    putInAddress("Features", Object.fromEntries(said));
  }
  /** @param {string} name */
  function choicesOf(name) {
    if (name === "order") return ["index", ...Object.keys(data.orders)];
    return choices.flatMap(({ group, buttons }) => group.dataset.name === name ? buttons.map((b) => b.dataset.value) : []);
  }
  const back = () => { if (isOpen("Features")) { fromAddress(); show(); } };

  // ---- what is shown

  /** @param {Data} next */
  function take(next) {
    const text = next === data ? known : JSON.stringify(next);
    if (text === known) return;
    const changed = data?.model !== next.model;
    data = next;
    known = text;
    dead = new Set(data.dead);
    painted = "";
    select.replaceChildren(new Option("by number", "index"));
    select.title = data.order_help;
    if (data.orders.frequency) select.append(new Option("how often active", "frequency"));
    data.classes.forEach((name, c) => select.append(new Option(`most for ${name}s`, `${c}`)));
    if (set.fresh || (changed && Object.keys(DEFAULTS).some((name) => inAddress(name) !== null))) fromAddress();
    else if (set.order !== "index" && !data.orders[set.order]) set.order = "index";
    set.fresh = false;
    toAddress();
    if (changed) {
      model = at = null;
      stop();
      stop = withModel(data.model, (found) => { model = found; showReads(root, model); show(true); });
    }
    show();
  }

  /** What needs painting again is painted; the ring and the controls always follow. goThere: to the open feature. */
  function show(goThere = false) {
    for (const { group, buttons } of choices) {
      for (const button of buttons) {
        const on = (group.dataset.name === "rows" ? set.rows : set.scale) === button.dataset.value;
        button.setAttribute("aria-checked", `${on}`);
        button.tabIndex = on ? 0 : -1;
      }
    }
    select.value = set.order;
    pick.setAttribute("aria-pressed", `${set.picking}`);
    hint.hidden = !set.picking;
    if (!model || !scroll.clientWidth) return;
    columns = Math.max(1, Math.floor((scroll.clientWidth + 1) / STEP));
    const look = `${set.rows} ${set.scale} ${set.order} ${columns} ${globalThis.devicePixelRatio}`;
    if (look !== painted) { painted = look; paintWall(model); }
    marks();
    box(ring, set.open !== null && set.open < model.d_sae ? place[set.open] : null);
    if (goThere && set.open !== null && !ring.hidden) reveal(place[set.open]);
    box(cursor, focusIn(root) === canvas ? at : null);
  }

  /** @param {Model} model */
  function paintWall(model) {
    const n = model.d_sae, lines = Math.ceil(n / columns);
    order = set.order === "index" ? Array.from({ length: n }, (_, f) => f) : data.orders[set.order];
    place = new Array(n);
    order.forEach((f, p) => { place[f] = p; });
    const width = columns * STEP - 1, height = lines * STEP - 1;
    const ratio = Math.min(globalThis.devicePixelRatio || 1, LARGEST / height);
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    grid.style.width = `${width}px`;
    scroll.style.maxHeight = `${Math.max(height, LOWEST)}px`; // a small wall ends with its last line
    const context = pen(canvas), tiles = sprite(model, set.rows, set.scale);
    context.scale(ratio, ratio);
    order.forEach((f, p) => {
      const x = (p % columns) * STEP, y = Math.floor(p / columns) * STEP;
      if (dead.has(f)) {
        context.fillStyle = "#808080";
        context.fillRect(x, y, TILE, TILE);
        context.globalAlpha = 0.35;
      }
      drawTile(context, tiles, f, x, y, TILE);
      context.globalAlpha = 1;
    });
    canvas.setAttribute("aria-label", `${n} features of the ${set.rows}, order: ${select.selectedOptions[0].text}`);
    // For tests and measurements: what the canvas now shows.
    const { rows, scale, order: by } = set;
    Object.assign(canvas.dataset, { columns, rows, scale, order: by, features: n });
  }

  /** @param {HTMLElement} element @param {number | null | undefined} p */
  function box(element, p) {
    element.hidden = p === null || p === undefined;
    if (p === null || p === undefined) return;
    element.style.transform = `translate(${(p % columns) * STEP}px, ${Math.floor(p / columns) * STEP}px)`;
    element.dataset.feature = `${order[p]}`;
  }

  // ---- picked features: a group of strips on Steer

  function marks() {
    const chosen = picked(data.model);
    grid.querySelectorAll(".mark").forEach((mark) => mark.remove());
    for (const f of chosen) {
      const mark = document.createElement("div");
      mark.className = "mark";
      box(mark, place[f]);
      if (!mark.hidden) grid.append(mark);
    }
    pick.textContent = chosen.length ? `Pick (${chosen.length})` : "Pick";
    unpick.hidden = !chosen.length;
  }
  /** @param {number} p */
  function toggle(p) {
    const f = order[p], before = picked(data.model), out = before.includes(f);
    at = p;
    if (!out && before.length >= MOST_PICKS) {
      speaker.textContent = said.textContent = `${MOST_PICKS} features are picked: more are too many strips.`;
      return;
    }
    setPicked(data.model, out ? before.filter((other) => other !== f) : [...before, f]);
    said.textContent = "";
    show();
    speaker.textContent = `Feature ${f} ${out ? "let go" : "picked"}, ${picked(data.model).length} in all`;
  }
  pick.addEventListener("click", () => {
    set.picking = !set.picking;
    show();
  });
  unpick.addEventListener("click", () => {
    setPicked(data.model, []);
    said.textContent = "";
    show();
    pick.focus();
  });

  /** @param {number} f */
  const words = (f) => `#${f}${data.notes[f] ? ` · ${data.notes[f]}` : ""}`;

  /** The enlarged tile, beside the place it comes from and always within the wall. @param {number | null} p */
  function enlarge(p) {
    zoom.hidden = p === null;
    if (p === null || !model) return;
    const f = order[p];
    drawTile(fit(large, ZOOM, ZOOM), sprite(model, set.rows, set.scale), f, 0, 0, ZOOM);
    caption.textContent = words(f);
    zoom.dataset.feature = `${f}`;
    const x = (p % columns) * STEP, y = Math.floor(p / columns) * STEP - scroll.scrollTop + scroll.offsetTop;
    const { offsetWidth: w, offsetHeight: h } = zoom;
    const right = x + STEP + 8;
    const left = right + w <= root.clientWidth ? right : Math.max(0, x - w - 8);
    const top = clamp(y + TILE / 2 - h / 2, scroll.offsetTop, scroll.offsetTop + scroll.clientHeight - h);
    zoom.style.transform = `translate(${left}px, ${Math.max(0, top)}px)`;
  }

  /** @param {number} p */
  function reveal(p) {
    const top = Math.floor(p / columns) * STEP;
    if (top < scroll.scrollTop) scroll.scrollTop = top - 4;
    else if (top + STEP > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = top + STEP + 4 - scroll.clientHeight;
  }

  /** @param {number} p */
  function open(p) {
    set.open = order[p];
    at = p;
    show();
    send(order[p]);
  }

  // ---- mouse and touch

  /** @param {MouseEvent} event */
  function under(event) {
    if (!model) return null;
    const { left, top } = canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - left) / STEP), line = Math.floor((event.clientY - top) / STEP);
    const p = line * columns + column;
    return column >= 0 && column < columns && line >= 0 && p < order.length ? p : null;
  }
  canvas.addEventListener("pointermove", (event) => {
    keyed = false;
    if (event.pointerType !== "touch") enlarge(under(event));
  });
  canvas.addEventListener("pointerleave", () => { if (!keyed) enlarge(null); });
  scroll.addEventListener("scroll", () => {
    set.top = scroll.scrollTop;
    enlarge(keyed ? at : null); // where the mouse now is, is known when it moves
  }, { passive: true });
  canvas.addEventListener("click", (event) => {
    const p = under(event);
    if (p !== null) (set.picking || event.ctrlKey || event.metaKey || event.shiftKey ? toggle : open)(p);
  });

  // ---- keyboard

  const page = () => Math.max(1, Math.floor(scroll.clientHeight / STEP) - 1) * columns;
  /** @type {Record<string, (p: number) => number>} */
  const moves = {
    ArrowLeft: (p) => p - 1, ArrowRight: (p) => p + 1, ArrowUp: (p) => p - columns, ArrowDown: (p) => p + columns,
    PageUp: (p) => p - page(), PageDown: (p) => p + page(), Home: () => 0, End: () => order.length - 1,
  };
  canvas.addEventListener("keydown", (event) => {
    if (!model || event.ctrlKey || event.metaKey || event.altKey) return;
    const opens = event.key === "Enter" || event.key === " ", picks = event.key.toLowerCase() === "p";
    if (!opens && !picks && !moves[event.key] && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    at ??= 0;
    keyed = event.key !== "Escape";
    if (!keyed) { enlarge(null); return; }
    if (picks) { toggle(at); return; }
    if (opens) { open(at); return; }
    const to = moves[event.key](at);
    if (to >= 0 && to < order.length) at = to;
    lookAt(at);
  });
  canvas.addEventListener("focus", () => {
    if (!order.length) return;
    at ??= set.open !== null && set.open < order.length ? place[set.open] : 0;
    show();
    if (canvas.matches(":focus-visible")) { keyed = true; lookAt(at); }
  });
  canvas.addEventListener("blur", () => { keyed = false; enlarge(null); show(); });
  /** @param {number} p */
  function lookAt(p) {
    reveal(p);
    show();
    enlarge(p);
    speaker.textContent = words(order[p]);
  }

  // ---- controls

  /** @param {Partial<Settings>} changes */
  function change(changes) {
    const feature = at === null ? null : order[at];
    Object.assign(set, changes);
    told.hidden = true;
    toAddress();
    zoom.hidden = true;
    show();
    if (changes.order === undefined) return;
    if (feature !== null) at = place[feature];
    scroll.scrollTop = 0;
    show();
  }
  for (const { group, buttons } of choices) {
    /** @param {HTMLButtonElement} button */
    const choose = (button) => change({ [group.dataset.name ?? ""]: button.dataset.value });
    for (const button of buttons) button.addEventListener("click", () => choose(button));
    group.addEventListener("keydown", (event) => {
      if (!["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].includes(event.key)) return;
      event.preventDefault();
      event.stopPropagation();
      const other = buttons.find((button) => button.getAttribute("aria-checked") !== "true");
      if (!other) return;
      choose(other);
      other.focus();
    });
  }
  select.addEventListener("change", () => change({ order: select.value }));
  keepKeys([select]);

  const watch = new ResizeObserver(() => {
    show();
    if (restored || !order.length) return;
    restored = true;
    if (set.top) scroll.scrollTop = set.top;
    if (set.open !== null && set.open < order.length) reveal(place[set.open]);
  });

  return {
    /** @param {Data} next */
    update(next, { setTriggerValue }) {
      if (!set) {
        set = settings(next.id);
        watch.observe(scroll);
        watch.observe(canvas);
        addEventListener("popstate", back);
      }
      set.show = show;
      send = (feature) => setTriggerValue("opened", feature);
      take(next);
    },
    unmount() {
      stop();
      watch.disconnect();
      removeEventListener("popstate", back);
      if (set?.show === show) set.show = null;
    },
  };
});
