/** What is drawn on a pad: strokes over a picture, their past, and what they are in pixels. */

import { fromLevels } from "../live/bytes.js";
import { pen } from "../live/paint.js";
import { enlarge, line } from "./ink.js";
import { prepareDrawing } from "./prepare.js";

/** @import { Box } from "./ink.js" */
/** @typedef {[x: number, y: number]} Point in the pad's own pixels */
/** @typedef {{ points: Point[], size: number, erase: boolean }} Stroke */
/** @typedef {{ base: Uint8Array | null, ref: string | null, strokes: Stroke[] }} Drawing */

export const RASTER = 224; // the pad's own pixels a side: eight for each of MNIST's
const OPAQUE = 255 << 24;
const STEPS = 200; // drawings that Undo takes back

/** Whether a stroke is a dot: it never goes further from where it began than its brush is wide. @param {Stroke} stroke */
export function isDot({ points: [[x, y], ...others], size }) {
  return others.every((point) => Math.hypot(point[0] - x, point[1] - y) <= size);
}

export class Strokes {
  /** @type {Uint8Array | null} the picture under the strokes, as levels, */
  base = null;
  /** @type {string | null} and its name */
  ref = null;
  /** @type {Stroke[]} */
  strokes = [];
  /** @type {Drawing[]} what was drawn before each change, */
  past = [];
  /** @type {Drawing[]} and what was taken back */
  future = [];
  /** @type {number | "keys" | null} what draws now: a pointer, by its id, or the keys */
  pointer = null;
  /** @type {Point} the pen that the keys move */
  pen = [RASTER / 2, RASTER / 2];
  // The brush is MNIST's: a digit drawn over 70 % of the pad has strokes of 2.2 pixels when it is prepared, and MNIST's
  // are 2.0 to 2.9 (the middle half), 48 % of their ink full in both.
  brush = 19;
  erase = false;
  /** whether strokes go onto the picture that is there, or begin anew in its place */
  onto = false;

  get empty() { return !this.base && !this.strokes.length; }

  /** @param {Point} point @param {number | "keys"} pointer */
  begin(point, pointer) {
    this.remember();
    if (this.startsAnew) Object.assign(this, { base: null, ref: null });
    this.strokes.push({ points: [point], size: this.brush, erase: this.erase });
    this.pointer = pointer;
  }

  /** Whether the next stroke takes the place of a picture that was given: an eraser needs it, and who draws on it says so. */
  get startsAnew() { return this.base !== null && !this.strokes.length && !this.erase && !this.onto; }

  /** Take back the stroke that is being drawn, as if it had never begun. */
  abandon() {
    this.pointer = null;
    Object.assign(this, this.past.pop());
  }

  /** Another picture in place of all. @param {Uint8Array | null} base @param {string | null} ref */
  replace(base, ref) {
    if (!this.empty || base) this.remember();
    Object.assign(this, { base, ref, strokes: [] });
  }

  /** Undo comes back to what is drawn now. */
  remember() {
    this.past.push(this.#now());
    if (this.past.length > STEPS) this.past.shift();
    this.future = [];
  }
  undo() { return this.#step(this.past, this.future); }
  redo() { return this.#step(this.future, this.past); }

  /** @returns {Drawing} */
  #now() { return { base: this.base, ref: this.ref, strokes: [...this.strokes] }; }
  /** @param {Drawing[]} from @param {Drawing[]} to */
  #step(from, to) {
    const drawing = this.pointer === null && from.pop();
    if (!drawing) return false;
    to.push(this.#now());
    Object.assign(this, drawing);
    return true;
  }
}

/** The pixels of a pad: what is drawn is computed here, and the canvas only shows it. */
export class Raster {
  /** Grey levels of the pad. */
  gray = new Uint8Array(RASTER * RASTER);

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    canvas.width = canvas.height = RASTER;
    this.context = pen(canvas, true);
    this.image = this.context.createImageData(RASTER, RASTER);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  /** A stroke's line to its point number i. @param {Stroke} stroke @param {number} i */
  segment(stroke, i) { this.#show(this.#line(stroke, i)); }

  /** @param {Stroke} stroke @param {number} i */
  #line({ points, size, erase }, i) {
    const width = size + (erase ? 4 : 0); // takes the soft rim of a line of its size along
    return line(this.gray, RASTER, points[Math.max(0, i - 1)], points[i], width, erase);
  }

  /** @param {Strokes} drawn */
  redraw({ base, strokes }) {
    if (base) enlarge(this.gray, RASTER, base);
    else this.gray.fill(0);
    for (const stroke of strokes) stroke.points.forEach((_, i) => this.#line(stroke, i));
    this.#show({ x: 0, y: 0, width: RASTER, height: RASTER });
  }

  /** @param {Box} box what has changed */
  #show({ x, y, width, height }) {
    if (!width || !height) return;
    for (let row = y; row < y + height; row++) {
      for (let i = row * RASTER + x, end = i + width; i < end; i++) this.pixels[i] = OPAQUE | (this.gray[i] * 0x10101);
    }
    this.context.putImageData(this.image, 0, 0, x, y, width, height);
  }

  /**
   * The input: an untouched picture as it is, anything drawn as MNIST would have prepared it; null: nothing.
   * @param {Strokes} drawn
   * @param {number} side of the pictures that the model reads
   */
  input({ base, strokes }, side) {
    if (!strokes.length) return base ? fromLevels(base) : null;
    return prepareDrawing(this.gray, RASTER, RASTER, side);
  }
}
