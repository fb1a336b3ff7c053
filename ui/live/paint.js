/** Pictures onto canvases. Ink is white on black as in MNIST; signed is blue – black – orange, for every kind of eye. */

import { clamp, magnitude, pixels, place } from "./arithmetic.js";
import { decoderPicture, features, peaks, rowPictures } from "./rows.js";
import { pngAddress } from "./png.js";
import { shared } from "./shared.js";

/** @import { Code, Model } from "./arithmetic.js" */
/** @import { Pictures, Rows } from "./rows.js" */
/** @typedef {"each" | "common"} Scale every tile over its own largest magnitude, or all over the 99.5th percentile of them */

const INK = new Uint32Array(256), SIGNED = new Uint32Array(511);
/** @param {number} r @param {number} g @param {number} b */
const rgb = (r, g, b) => (255 << 24) | (b << 16) | (g << 8) | r;
for (let i = 0; i < 256; i++) {
  const t = i / 255;
  INK[i] = rgb(i, i, i);
  SIGNED[255 + i] = rgb(255 * t ** 0.8, 176 * t, 30 * t ** 2);
  SIGNED[255 - i] = rgb(60 * t ** 1.5, 150 * t, 255 * t ** 0.8);
}

/** @type {WeakMap<HTMLCanvasElement, ImageData>} what was painted last into a canvas, to be painted over */
const images = new WeakMap();

/**
 * What was painted last into a canvas, from where it was painted: what is read back of it a browser may alter.
 * @param {HTMLCanvasElement} canvas
 */
export function painted(canvas) {
  const image = images.get(canvas);
  if (!image) throw new Error("nothing was painted here");
  return image;
}

/** @param {HTMLCanvasElement} canvas @param {boolean} readBack kept in main memory: its pixels are read every frame */
export const pen = (canvas, readBack = false) =>
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", readBack ? { willReadFrequently: true } : undefined));

/** How many pixels a side a model's pictures have. @param {Model} model */
export const sideOf = (model) => Math.sqrt(pixels(model));

/**
 * A canvas's pixels, to be written and put; the canvas has that size afterwards.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 */
function sheet(canvas, width, height) {
  if (canvas.width !== width || canvas.height !== height) {
    Object.assign(canvas, { width, height });
    images.delete(canvas);
  }
  const context = pen(canvas), image = images.get(canvas) ?? context.createImageData(width, height);
  images.set(canvas, image);
  return { context, image, data: new Uint32Array(image.data.buffer) };
}

/**
 * Paint a square picture into a canvas of as many pixels; CSS enlarges it.
 * @param {HTMLCanvasElement} canvas
 * @param {ArrayLike<number>} values clipped here only, on the screen
 * @param {number | null} scale the value that is full orange (−scale is full blue); null: values are ink in [0, 1]
 */
export function paint(canvas, values, scale = null) {
  const side = Math.sqrt(values.length), { context, image, data } = sheet(canvas, side, side);
  if (scale === null) {
    for (let i = 0; i < data.length; i++) data[i] = INK[(clamp(values[i], 0, 1) * 255 + 0.5) | 0];
  } else {
    const unit = scale > 0 ? 255 / scale : 0;
    for (let i = 0; i < data.length; i++) data[i] = SIGNED[(clamp(values[i] * unit, -255, 255) + 255.5) | 0];
  }
  context.putImageData(image, 0, 0);
}

/**
 * Paint a square picture as colour over another: orange or blue, the stronger the less of the other is seen.
 * @param {HTMLCanvasElement} canvas
 * @param {ArrayLike<number>} values
 */
export function paintOver(canvas, values) {
  const side = Math.sqrt(values.length), { context, image, data } = sheet(canvas, side, side);
  const largest = magnitude(values) || 1;
  for (let i = 0; i < data.length; i++) {
    const opaque = Math.round((215 * Math.abs(values[i])) / largest);
    data[i] = ((values[i] > 0 ? rgb(255, 150, 20) : rgb(40, 130, 255)) & 0xffffff) | (opaque << 24);
  }
  context.putImageData(image, 0, 0);
}

/**
 * Paint value[j] times the picture of feature index[j] as tile j of a canvas. The canvas only ever grows.
 * @param {HTMLCanvasElement} canvas
 * @param {number} side of a tile
 * @param {Pictures} at
 * @param {Code} code
 * @param {(j: number) => number} limit the value that is full colour in tile j
 * @param {number} columns tiles a line
 */
export function paintTerms(canvas, side, at, { index, value }, limit, columns = 32) {
  const lines = Math.max(1, Math.ceil(index.length / columns)), wide = columns * side;
  const { context, image, data } = sheet(canvas, wide, canvas.width === wide ? Math.max(canvas.height, lines * side) : lines * side);
  for (let j = 0; j < index.length; j++) {
    const unit = (255 * value[j]) / (limit(j) || 1), f = index[j];
    const corner = Math.floor(j / columns) * side * wide + (j % columns) * side;
    for (let y = 0, i = 0; y < side; y++) {
      for (let x = 0, to = corner + y * wide; x < side; x++, i++, to++) {
        data[to] = SIGNED[(clamp(at(f, i) * unit, -255, 255) + 255.5) | 0];
      }
    }
  }
  context.putImageData(image, 0, 0, 0, 0, wide, lines * side);
}

/**
 * All rows of a model as one canvas, by place.
 * @param {Model} model
 * @param {Rows} rows
 * @param {Scale} scale
 * @param {number} columns tiles a line
 */
export function sprite(model, rows = "decoder", scale = "each", columns = 32) {
  const sprites = shared("sprites", () => /** @type {WeakMap<Model, Map<string, HTMLCanvasElement>>} */ (new WeakMap()));
  const ofModel = sprites.get(model) ?? new Map(), key = `${rows} ${scale} ${columns}`, made = ofModel.get(key);
  if (made) return made;
  const at = rowPictures(model, rows), largest = peaks(model, at), index = features(model);
  const common = Float64Array.from(largest).sort()[Math.floor(0.995 * (index.length - 1))];
  const canvas = document.createElement("canvas"), value = index.map(() => 1);
  paintTerms(canvas, sideOf(model), at, { index, value }, (j) => (scale === "each" ? largest[j] : common), columns);
  images.delete(canvas);
  sprites.set(model, ofModel.set(key, canvas));
  return canvas;
}

/**
 * Draw tile number p of a canvas of tiles into a box of another.
 * @param {CanvasRenderingContext2D} context
 * @param {HTMLCanvasElement} canvas
 * @param {number} p
 * @param {number} x
 * @param {number} y
 * @param {number} size
 * @param {number} columns tiles a line
 */
export function drawTile(context, canvas, p, x, y, size, columns = 32) {
  const side = canvas.width / columns;
  context.imageSmoothingEnabled = false;
  context.drawImage(canvas, (p % columns) * side, Math.floor(p / columns) * side, side, side, x, y, size, size);
}

/**
 * Feature f's decoder row as a picture's address; black where it is not here yet. A page of many canvases is slow: each
 * is a layer of its own in every frame.
 * @param {Model} model
 * @param {number} f
 */
export function tileAddress(model, f) {
  const side = sideOf(model), data = new Uint32Array(side * side).fill(INK[0]), at = place(model, f);
  if (at !== undefined) {
    const row = decoderPicture(model, at), unit = 255 / (magnitude(row) || 1);
    for (let i = 0; i < data.length; i++) data[i] = SIGNED[(clamp(row[i] * unit, -255, 255) + 255.5) | 0];
  }
  return pngAddress({ width: side, height: side, data: new Uint8Array(data.buffer) });
}

/**
 * Make a canvas's pixels those of the screen.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width in CSS pixels
 * @param {number} height
 * @returns {CanvasRenderingContext2D} scaled to CSS pixels
 */
export function fit(canvas, width, height) {
  const ratio = globalThis.devicePixelRatio || 1, context = pen(canvas);
  const w = Math.round(width * ratio), h = Math.round(height * ratio);
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w; canvas.height = h;
    canvas.style.width = `${width}px`; canvas.style.height = `${height}px`;
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}
