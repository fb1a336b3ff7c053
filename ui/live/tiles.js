// Pictures in a row with words below them. Those with a value are buttons; a click sends the value.
import { sae } from "./engine.js";

const rowsOfTiles = (globalThis.__saeTiles ??= new WeakMap());

export default function ({ data, parentElement, setTriggerValue }) {
  let me = rowsOfTiles.get(parentElement);
  if (!me) {
    const root = document.createElement("div");
    root.className = "tiles";
    root.setAttribute("role", "group");
    parentElement.append(root);
    me = { root, text: null, stop: () => {} };
    rowsOfTiles.set(parentElement, me);
  }
  me.send = (value) => setTriggerValue("picked", value);
  const text = JSON.stringify(data);
  if (text !== me.text) {
    me.text = text;
    me.stop();
    // Filled when the weights are here, all at once: what is on the screen is never half of one feature.
    me.stop = sae.withModel(data.model, (model) => {
      const focused = [...me.root.children].indexOf(me.root.getRootNode().activeElement);
      me.root.dataset.testid = data.id;
      me.root.setAttribute("aria-label", data.label);
      me.root.style.gridTemplateColumns = `repeat(auto-fill, minmax(${data.size}px, 1fr))`;
      me.root.replaceChildren(...data.tiles.map((tile) => element(model, tile, me)));
      if (focused >= 0) me.root.children[focused]?.focus?.();
    });
  }
  return () => {
    me.stop();
    me.root.remove();
    rowsOfTiles.delete(parentElement);
  };
}

function element(model, tile, me) {
  const clickable = tile.value !== null;
  const box = document.createElement(clickable ? "button" : "figure");
  box.className = tile.chosen ? "tile chosen" : "tile";
  box.title = tile.label;
  if (clickable) {
    box.type = "button";
    box.setAttribute("aria-label", tile.label);
    if (tile.chosen) box.setAttribute("aria-current", "true");
    box.dataset.value = tile.value;
    box.onclick = () => me.send(tile.value);
    box.onkeydown = (event) => { if (event.key === "Enter" || event.key === " ") event.stopPropagation(); };
  }
  const caption = document.createElement("span");
  caption.className = "caption";
  caption.textContent = tile.caption;
  box.append(picture(model, tile), caption);
  return box;
}

function picture(model, tile) {
  if (tile.rows === null && tile.levels === null) {
    const none = document.createElement("div");
    none.className = "none";
    return none;
  }
  const canvas = document.createElement("canvas");
  if (tile.rows !== null) {
    canvas.width = canvas.height = sae.SIDE;
    sae.drawTile(canvas.getContext("2d"), sae.sprite(model, tile.rows, "each"), tile.feature, 0, 0, sae.SIDE);
  } else {
    sae.paint(canvas, sae.fromLevels(sae.fromBase64(tile.levels)));
  }
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", tile.label);
  return canvas;
}
