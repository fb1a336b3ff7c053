/** One digit taken apart: its active features are added one by one, and the reconstruction grows. */

import { decode, encode, pearson, picture, place, read } from "../live/arithmetic.js";
import { fromBase64, fromLevels } from "../live/bytes.js";
import { find, keepKeys, showReads } from "../live/dom.js";
import { withModel } from "../live/models.js";
import { mounting } from "../live/mount.js";
import { drawTile, fit, paint, sprite } from "../live/paint.js";
import { knows } from "../live/parts.js";

/** @import { Code, Model } from "../live/arithmetic.js" */
/** @typedef {{ model: string, levels: string }} Data the model's id and the picture's 8-bit levels */
/** @typedef {{ model: Model, h: Float64Array, code: Code }} Shown */

const STEP_MS = 260, REST_MS = 2600;

export default mounting(".apart", (root) => {
  const slider = find(root, ".terms", HTMLInputElement), button = find(root, ".play");
  const input = find(root, ".input", HTMLCanvasElement), output = find(root, ".output", HTMLCanvasElement);
  const parts = find(root, ".parts", HTMLCanvasElement), wide = find(root, ".wide"), text = find(root, ".text");
  /** @type {Shown | null} */
  let shown = null;
  let terms = 0, timer = 0, cancel = () => {};
  let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;

  function show() {
    if (!shown) return;
    const { model, h, code } = shown, n = code.index.length;
    const h_hat = decode(model, { index: code.index.slice(0, terms), value: code.value.slice(0, terms) });
    paint(output, picture(model, h_hat));
    text.textContent = `${terms} of ${n} features: Pearson ${pearson(h, h_hat).toFixed(3)}`;
    slider.value = `${terms}`;
    root.dataset.terms = `${terms}`;
    showParts(model, code);
  }

  /** The features as tiles, those that are in lit. @param {Model} model @param {Code} code */
  function showParts(model, { index }) {
    const n = index.length, width = Math.min(470, wide.clientWidth || 400);
    const columns = Math.max(5, Math.ceil(Math.sqrt(n * 2))), size = width / columns, height = Math.ceil(n / columns) * size;
    const context = fit(parts, width, height), tiles = sprite(model);
    context.clearRect(0, 0, width, height);
    index.forEach((f, j) => {
      const left = (j % columns) * size + 1, top = Math.floor(j / columns) * size + 1;
      context.globalAlpha = j < terms ? 1 : 0.16;
      drawTile(context, tiles, Number(place(model, f)), left, top, size - 2);
      if (j !== terms - 1) return;
      context.globalAlpha = 1;
      context.strokeStyle = getComputedStyle(root).getPropertyValue("--st-primary-color") || "#e69a00";
      context.lineWidth = 2;
      context.strokeRect(left, top, size - 2, size - 2);
    });
  }

  function tick() {
    const n = shown?.code.index.length ?? 0;
    terms = terms >= n ? 0 : terms + 1;
    show();
    if (playing) timer = setTimeout(tick, terms === n ? REST_MS : STEP_MS);
  }
  /** @param {boolean} on */
  function play(on) {
    clearTimeout(timer);
    playing = on;
    button.textContent = on ? "Pause" : "Play";
    button.setAttribute("aria-label", `${button.textContent} the animation`);
    if (on && shown) timer = setTimeout(tick, STEP_MS);
  }
  button.onclick = () => play(!playing);
  slider.oninput = () => { play(false); terms = +slider.value; show(); };
  keepKeys([slider, button]);
  const resized = new ResizeObserver(show);
  resized.observe(root);

  return {
    /** @param {Data} data */
    update(data) {
      cancel();
      const x = fromLevels(fromBase64(data.levels));
      paint(input, x);
      cancel = withModel(data.model, (model) => {
        if (!knows(model, x)) return;
        const h = read(model, x), code = encode(model, h);
        shown = { model, h, code };
        showReads(root, model);
        slider.max = `${code.index.length}`;
        terms = playing ? 0 : code.index.length;
        show();
        play(playing);
      });
    },
    unmount() { clearTimeout(timer); cancel(); resized.disconnect(); },
  };
});
