/** The reconstruction as a sum: the bias and one term for each active feature, as tiles that can be taken out. */

import { argmax, clamp, decode, magnitude, minus, most, pearson, picture, place } from "../live/arithmetic.js";
import { find, keepKeys, steady, uncover, write } from "../live/dom.js";
import { drawTile, fit, paint, paintOver, paintTerms, sideOf } from "../live/paint.js";
import { biasPicture, peaks, rowPictures } from "../live/rows.js";
import { energies, inexact, meanSquares, norms, sorted, without } from "./terms.js";

/** @import { Code, Model } from "../live/arithmetic.js" */
/** @import { Pictures } from "../live/rows.js" */
/** @import { Order } from "./terms.js" */

/** @typedef {(h: Float64Array, picture: Float64Array) => Float64Array} Opinion the classes' probabilities */

/**
 * What is reconstructed, and how.
 * @typedef {object} Shown
 * @property {Float64Array} x the picture over which the encoder's rows are shown
 * @property {Float64Array | null} h what is reconstructed; null: nothing is drawn
 * @property {Code} code of h
 * @property {Float64Array} h_hat what decode made of the code
 * @property {Float64Array} kept the picture of h
 * @property {boolean} settled whether nobody is drawing: words may follow
 * @property {Opinion | null} asks what the classifier says
 * @property {string[]} names of its classes
 */

/** @typedef {{ text: string, font: string, accent: string, adds: string, takes: string }} Colours of the page, as CSS says them */
/** @typedef {{ frequency?: number[], where?: string }} Notes how often each feature is active, and on which images */

const TILE = { width: 54, picture: 48, bar: 4, high: 77 }, BIAS = -1; // BIAS: in place of a feature

/**
 * @param {HTMLElement} root the component's element
 * @param {(event?: Event) => void} refresh shows all again in the next frame
 * @param {(feature: number) => void} open goes to the feature's page
 */
export function anatomy(root, refresh, open) {
  const STEP_MS = matchMedia("(prefers-reduced-motion: reduce)").matches ? 600 : 110;
  const canvas = find(root, ".sheet", HTMLCanvasElement), cells = find(root, ".cells"), hint = find(root, ".hint");
  const slider = find(root, ".terms", HTMLInputElement), play = find(root, ".play"), more = find(root, ".open");
  const sumOf = find(root, ".sum", HTMLCanvasElement), left = find(root, ".left", HTMLCanvasElement);
  const here = find(root, ".here", HTMLCanvasElement), which = find(root, ".which"), all = find(root, ".all");
  const many = find(root, ".many"), soFar = find(root, ".so-far"), sumSays = find(root, ".sum-says");
  const exact = find(root, ".exact"), full = find(root, ".full");
  const by = find(root, ".order", HTMLSelectElement), one = find(root, ".shared", HTMLInputElement);
  const sheet = document.createElement("canvas"), corner = document.createElement("canvas");

  /**
   * What is known of a model: pictures of its rows; of each decoder row that is here, ‖d‖² and its picture's largest
   * magnitude; the bias's picture, its largest magnitude, and how many tiles it has before those of the features: one, or
   * none if it is 0.
   * @type {{ model: Model, at: { encoder: Pictures, decoder: Pictures }, norms: Float64Array, largest: Float64Array,
   *   bias: Float64Array, peak: number, lead: number } | null}
   */
  let of = null;
  /** @type {Shown | null} */
  let shown = null;
  /** @type {Code} of the features that are active now, in the order of the tiles */
  let code = { index: [], value: [] };
  /** @type {number[]} of each term */
  let energy = [];
  /** @type {number | null} so many of the first terms are in; null: all */
  let terms = null;
  /** @type {Set<number>} these features the other way round */
  let flipped = new Set();
  /** @type {Colours | null} */
  let colours = null;
  /** @type {Notes} */
  let notes = {};
  /** @type {Order} */
  let order = "energy";
  let total = 0, scaled = true, columns = 1, room = 0, timer = 0; // total: energy; scaled: all tiles in one scale
  let hovered = -1, focused = -1; // places of tiles
  /** @type {number | null} the feature whose rows lie over the pictures */
  let looked = null;
  /** @type {number | null} the feature that can be opened */
  let last = null;

  // Measured when it changes: to ask within a frame would lay out the page in it.
  let width = find(root, ".tiles").clientWidth || 800;
  const resized = new ResizeObserver(([entry]) => {
    width = entry.contentRect.width || width;
    if (of) refresh();
  });
  resized.observe(find(root, ".tiles"));

  const lead = () => of?.lead ?? 0;
  const count = () => Math.min(terms ?? Infinity, code.index.length);
  const isIn = (/** @type {number} */ j) => (j < count()) !== flipped.has(code.index[j]);
  const tiles = () => lead() + code.index.length;
  const featureAt = (/** @type {number} */ p) => (p >= 0 && p < lead() ? BIAS : code.index[p - lead()]);
  const tileIn = (/** @type {number} */ p) => (p < lead() ? !flipped.has(BIAS) : isIn(p - lead()));
  const current = () => (hovered >= 0 ? hovered : focused);

  /** @param {Model} model */
  function take(model) {
    const another = of?.model.id !== model.id; // else it has grown
    const at = { encoder: rowPictures(model, "encoder"), decoder: rowPictures(model, "decoder") }, bias = biasPicture(model);
    const first = model.c.some((v) => v !== 0) ? 1 : 0;
    of = { model, at, norms: norms(model), largest: peaks(model, at.decoder), bias, peak: magnitude(bias), lead: first };
    looked = null;
    if (another) {
      flipped.clear();
      room = 0;
    }
    return of;
  }

  /** @param {Model} model @param {Shown} next */
  function show(model, next) {
    const known = model === of?.model ? of : take(model), { x, h, h_hat, kept, settled, asks, names } = (shown = next);
    ({ code, energy } = sorted(next.code, order, energies(model, known.norms, next.code)));
    const n = code.index.length, inside = code.index.map((_, j) => j).filter(isIn), based = !flipped.has(BIAS);
    const sum = decode(model, { index: inside.map((j) => code.index[j]), value: inside.map((j) => code.value[j]) }, based);
    const painted = h ? picture(model, sum) : new Float64Array(x.length);
    paint(sumOf, painted);
    paint(left, minus(kept, painted), 0.5);
    const error = h ? meanSquares(sum, h) : 0, r = h ? pearson(h, sum) : 0;
    if (+slider.max !== n) slider.max = `${n}`;
    slider.value = `${count()}`;
    slider.disabled = n === 0;
    write(many, `${inside.length} of ${n}${based ? "" : ", no bias"}`);
    const [target, unit] = model.reader ? ["h", "unit"] : ["x", "pixel"];
    write(soFar, h ? `Pearson(${target}, sum) ${r.toFixed(4)} · MSE per ${unit} ${error.toFixed(5)}` : "");
    const p = h && asks ? asks(sum, painted) : null, says = p ? names[argmax(p)] : "";
    write(sumSays, p ? `The classifier says ${says} of this sum (${(100 * p[argmax(p)]).toFixed(1)} %).` : "");
    Object.assign(root.dataset, { terms: inside.length, total: n, sumPearson: r, sumError: error, sumSays: says });
    if (settled) {
      const off = h ? inexact(model, code, h_hat) : 0;
      root.dataset.exact = `${off}`;
      write(exact, h ? `All ${n} terms${lead() ? " and the bias" : " (this model has no bias)"}, added one by one in float32 in this order, ` +
        `differ from ${model.reader ? "ĥ" : "x̂"} by at most ${off.toExponential(1)}.` : "");
    }
    const strength = (/** @type {number} */ j) => Math.abs(code.value[j]) * known.largest[Number(place(model, code.index[j]))];
    let top = lead() ? known.peak : 0;
    for (let j = 0; j < n; j++) top = Math.max(top, strength(j));
    if (lead()) paint(corner, known.bias, scaled ? top : known.peak);
    paintTerms(sheet, sideOf(model), known.at.decoder, code, scaled ? () => top : strength);
    write(full, !n ? "" : scaled ? `±${top.toPrecision(2)}` : "its own largest");
    total = energy.reduce((all, e) => all + e, 0);
    paintTiles();
    if (settled) { label(); say(); }
    if (featureAt(current()) !== undefined || looked !== null) look();
  }

  function paintTiles() {
    if (!of || !colours) return;
    const n = tiles(), fits = Math.max(1, Math.floor(width / TILE.width)), { model } = of;
    if (fits !== columns) { columns = fits; cells.style.gridTemplateColumns = `repeat(${columns}, ${TILE.width}px)`; }
    // Room for all that can be active, or were, so that the page below does not jump while somebody draws.
    room = Math.max(room, n, lead() + most(model));
    const high = Math.max(1, Math.ceil(room / columns)) * TILE.high;
    const context = fit(canvas, columns * TILE.width, high), strongest = magnitude(code.value);
    context.clearRect(0, 0, columns * TILE.width, high);
    context.font = `11px ${colours.font}`;
    context.textAlign = "center";
    for (let p = 0; p < n; p++) paintTile(context, p, strongest, colours);
    if (cells.childElementCount < n) cells.append(...Array.from({ length: n - cells.childElementCount }, cell));
    if (cells.dataset.shown !== `${n}`) {
      [...cells.children].forEach((e, p) => { /** @type {HTMLElement} */ (e).hidden = p >= n; });
      cells.dataset.shown = `${n}`;
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {number} p @param {number} strongest @param {Colours} colours */
  function paintTile(context, p, strongest, colours) {
    const j = p - lead(), left = (p % columns) * TILE.width + 3, top = Math.floor(p / columns) * TILE.high + 2;
    const size = TILE.picture, inside = tileIn(p);
    context.globalAlpha = inside ? 1 : 0.35;
    if (j < 0) drawTile(context, corner, 0, left, top, size, 1);
    else drawTile(context, sheet, j, left, top, size);
    if (j >= 0) { // a bar: its activation
      context.fillStyle = code.value[j] < 0 ? colours.takes : colours.adds;
      context.fillRect(left, top + size + 2, Math.max(1, (Math.abs(code.value[j]) / strongest) * size), TILE.bar);
    }
    context.globalAlpha = inside ? 1 : 0.75;
    context.fillStyle = colours.text;
    context.fillText(j < 0 ? "bias" : `${code.index[j]}`, left + size / 2, top + size + TILE.bar + 14);
    context.globalAlpha = 1;
    if (!inside) { // struck out
      context.strokeStyle = "#bbb";
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(left, top);
      context.lineTo(left + size, top + size);
      context.stroke();
    }
    if (p === current()) {
      context.strokeStyle = colours.accent;
      context.lineWidth = 3;
      context.strokeRect(left - 1, top - 1, size + 2, size + 2);
    }
  }

  function cell() {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "cell";
    button.dataset.testid = "tile";
    button.tabIndex = -1;
    return button;
  }
  const cellAt = (/** @type {number} */ p) => /** @type {HTMLElement | undefined} */ (cells.children[p]);

  /** Words for those who do not see the tiles: not in every frame of a stroke. */
  function label() {
    for (let p = 0; p < tiles(); p++) {
      const e = /** @type {HTMLElement} */ (cellAt(p)), f = featureAt(p), inside = tileIn(p);
      const text = f === BIAS ? "Bias, which every picture has" : `Feature ${f}, activation ${code.value[p - lead()].toFixed(3)}`;
      if (e.dataset.words === `${text} ${inside}`) continue;
      e.dataset.words = `${text} ${inside}`;
      e.dataset.testid = f === BIAS ? "bias" : "tile";
      e.dataset.feature = f === BIAS ? "" : `${f}`;
      e.setAttribute("aria-label", text);
      e.setAttribute("aria-pressed", `${inside}`);
    }
    const from = focused >= 0 && focused < tiles() ? focused : 0;
    for (let p = 0; p < cells.childElementCount; p++) {
      const e = cellAt(p);
      if (e && (e.tabIndex === 0) !== (p === from)) e.tabIndex = p === from ? 0 : -1;
    }
  }

  // ---- one tile: what it is, and where it looks

  function say() {
    const p = current(), f = featureAt(p), j = p - lead();
    if (f === BIAS) {
      hint.textContent = `Bias: what every reconstruction starts from, ${tileIn(p) ? "in" : "not in"} the sum.`;
    } else if (f !== undefined) {
      const often = notes.frequency ? ` Active on ${(100 * notes.frequency[f]).toFixed(1)} % of ${notes.where}.` : "";
      hint.textContent = `Feature ${f}: activation ${code.value[j].toFixed(3)}, ${(100 * energy[j] / (total || 1)).toFixed(1)} % of the energy, ` +
        `${isIn(j) ? "in" : "out"}.${effect(f, code.value[j])}${often}`;
      last = f;
      more.textContent = `Open feature ${f}`;
    } else {
      hint.textContent = "Click: take a term out or put it in. Double click: open its feature. Keys: arrows, space, Enter.";
    }
    more.hidden = last === null;
  }
  /** What the classifier says of the whole reconstruction with and without one term. @param {number} f @param {number} a */
  function effect(f, a) {
    if (!of || !shown?.h || !shown.asks) return "";
    const { model } = of, { h_hat, names, asks } = shown, at = Number(place(model, f)) * model.d_in;
    const [p, q] = [h_hat, h_hat.map((v, i) => v - a * model.D[at + i])].map((h) => asks(h, picture(model, h)));
    return ` ${without(names[argmax(p)], p[argmax(p)], q[argmax(p)])}`;
  }
  function look() {
    if (!of || !shown) return;
    const { at, bias } = of, { x } = shown;
    const f = featureAt(current()) ?? null, looks = f !== null && f !== BIAS; // the bias looks nowhere
    paint(here, looks ? x : new Float64Array(x.length));
    if (f === looked) return;
    looked = f;
    which.textContent = looks ? `#${f}` : "";
    for (const rows of /** @type {const} */ (["encoder", "decoder"])) {
      const hidden = f === null || (!looks && rows === "encoder");
      const row = hidden || !looks ? bias : bias.map((_, i) => at[rows](f, i));
      for (const over of root.querySelectorAll(`.over.${rows}`)) {
        if (!(over instanceof HTMLCanvasElement)) continue;
        over.hidden = hidden;
        over.dataset.feature = `${f ?? ""}`;
        if (!hidden) paintOver(over, row);
      }
    }
  }
  function turned() { say(); look(); paintTiles(); }

  /** @param {Event} event */
  const placeOf = ({ target }) => [...cells.children].findIndex((e) => target instanceof Element && e === target.closest(".cell"));
  /** @param {number} p */
  const opens = (p) => { const f = featureAt(p); if (f !== undefined && f !== BIAS) open(f); };
  cells.onpointerover = (event) => { if (event.pointerType !== "touch") { hovered = placeOf(event); turned(); } };
  cells.onpointerleave = () => { hovered = -1; turned(); };
  cells.addEventListener("focusin", (event) => { focused = placeOf(event); label(); turned(); });
  cells.addEventListener("focusout", () => { focused = -1; turned(); });
  uncover(cells, find(root, ".foot"));
  cells.onclick = (event) => {
    const f = featureAt(placeOf(event));
    if (f === undefined) return;
    if (!flipped.delete(f)) flipped.add(f);
    label();
    say();
    refresh(event);
  };
  cells.ondblclick = (event) => opens(placeOf(event));
  cells.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -Infinity, End: Infinity }[event.key];
    event.stopPropagation(); // or Streamlit takes c and r for its own
    if (step) {
      event.preventDefault();
      hovered = -1;
      cellAt(clamp(focused + step, 0, tiles() - 1))?.focus();
    } else if (event.key === "Enter") {
      event.preventDefault();
      opens(focused);
    }
  };
  more.onclick = () => { if (last !== null) open(last); };

  // ---- controls

  function stop() {
    clearTimeout(timer);
    timer = 0;
    play.textContent = "Play";
  }
  /** @param {number} n @param {Event} [event] */
  function upTo(n, event) {
    terms = n >= code.index.length ? null : n;
    flipped = new Set();
    refresh(event);
  }
  function tick() {
    upTo(count() + 1);
    if (terms === null) stop();
    else timer = setTimeout(tick, STEP_MS);
  }
  slider.oninput = (event) => { stop(); upTo(+slider.value, event); };
  steady(slider, () => ({ terms, flipped }), (before, event) => {
    ({ terms, flipped } = before);
    refresh(event);
  });
  all.onclick = (event) => { stop(); upTo(Infinity, event); };
  play.onclick = (event) => {
    if (timer) { stop(); return; }
    if (terms === null) upTo(0, event);
    play.textContent = "Pause";
    timer = setTimeout(tick, STEP_MS);
  };
  by.onchange = (event) => { order = /** @type {Order} */ (by.value); refresh(event); };
  one.onchange = (event) => { scaled = one.checked; refresh(event); };
  keepKeys([slider, play, more, all, by, one]);

  return {
    show,
    /** What is said of features, and the page's colours. @param {Notes} said @param {Colours} style */
    update(said, style) {
      notes = said;
      colours = style;
      if (current() < 0) say();
    },
    /** The code in the order of the tiles, and what a figure of it needs. */
    sum: () => of && { ...of, code },
    /** As if the pointer were on that feature's tile; on none where it is not active. @param {number | null} feature */
    point(feature) {
      const j = feature === null ? -1 : code.index.indexOf(feature), p = j < 0 ? -1 : j + lead();
      if (p === hovered) return;
      hovered = p;
      turned();
    },
    unmount() { stop(); resized.disconnect(); },
  };
}
