/** Pictures in a row with words below them. Those with a value are buttons; a click sends the value. */

import { fromBase64, fromLevels } from "./bytes.js";
import { focusIn } from "./dom.js";
import { withModel } from "./models.js";
import { mounting } from "./mount.js";
import { drawTile, paint, pen, sideOf, sprite } from "./paint.js";

/** @import { Model } from "./arithmetic.js" */
/** @import { Rows } from "./rows.js" */

/**
 * As `Tile` in tiles.py, which says what each is.
 * @typedef {{ caption: string, label: string, rows: Rows | null, feature: number, levels: string | null,
 *   value: string | number | null, chosen: boolean }} Tile
 */
/** @typedef {{ id: string, model: string, label: string, size: number, tiles: Tile[] }} Data */

export default mounting(".tiles", (root) => {
  let known = "", stop = () => {}, send = (/** @type {Tile["value"]} */ _) => {};

  /** @param {Model} model @param {Data} data */
  function fill(model, { id, label, size, tiles }) {
    const focused = [...root.children].findIndex((tile) => tile === focusIn(root));
    root.dataset.testid = id;
    root.setAttribute("aria-label", label);
    root.style.gridTemplateColumns = `repeat(auto-fill, minmax(${size}px, 1fr))`;
    root.replaceChildren(...tiles.map((tile) => element(model, tile, () => send(tile.value))));
    if (focused >= 0) /** @type {HTMLElement | undefined} */ (root.children[focused])?.focus();
  }

  return {
    /** @param {Data} data */
    update(data, { setTriggerValue }) {
      send = (value) => setTriggerValue("picked", value);
      const text = JSON.stringify(data);
      if (text === known) return;
      known = text;
      stop();
      // Filled when the weights are here, all at once: what is on the screen is never half of one feature.
      stop = withModel(data.model, (model) => fill(model, data));
    },
    unmount() { stop(); },
  };
});

/** @param {Model} model @param {Tile} tile @param {() => void} pick */
function element(model, tile, pick) {
  const clickable = tile.value !== null, box = document.createElement(clickable ? "button" : "figure");
  box.className = tile.chosen ? "tile chosen" : "tile";
  box.title = tile.label;
  if (box instanceof HTMLButtonElement) {
    box.type = "button";
    box.setAttribute("aria-label", tile.label);
    if (tile.chosen) box.setAttribute("aria-current", "true");
    box.dataset.value = `${tile.value}`;
    box.onclick = pick;
    box.onkeydown = (event) => { if (event.key === "Enter" || event.key === " ") event.stopPropagation(); };
  }
  const caption = document.createElement("span");
  caption.className = "caption";
  caption.textContent = tile.caption;
  box.append(picture(model, tile), caption);
  return box;
}

/** @param {Model} model @param {Tile} tile */
function picture(model, { rows, feature, levels, label }) {
  if (rows === null && levels === null) {
    const none = document.createElement("div");
    none.className = "none";
    return none;
  }
  const canvas = document.createElement("canvas");
  if (rows !== null) {
    const side = (canvas.width = canvas.height = sideOf(model));
    drawTile(pen(canvas), sprite(model, rows, "each"), feature, 0, 0, side);
  } else {
    paint(canvas, fromLevels(fromBase64(levels ?? "")));
  }
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  return canvas;
}
