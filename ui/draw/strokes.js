/** What is drawn on a pad: strokes over a picture, their past, and what they are in pixels. */

import { fromLevels } from "../live/bytes.js";
import { paint, pen } from "../live/paint.js";
import { prepareDrawing } from "./prepare.js";

/** @typedef {[x: number, y: number]} Point in the pad's own pixels */
/** @typedef {{ points: Point[], size: number, erase: boolean }} Stroke */
/** @typedef {{ base: Uint8Array | null, ref: string | null, strokes: Stroke[] }} Drawing */

export const RASTER = 224; // the pad's own pixels a side: eight for each of MNIST's
const STEPS = 200; // drawings that Undo takes back

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

/** The pixels of a pad. */
export class Raster {
  /** Grey levels of the last `input` that was drawn. */
  gray = new Uint8Array(RASTER * RASTER);

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    canvas.width = canvas.height = RASTER;
    this.context = pen(canvas, true);
  }

  /** A stroke's line to its point number i. @param {Stroke} stroke @param {number} i */
  segment(stroke, i) {
    const { context } = this, [ax, ay] = stroke.points[Math.max(0, i - 1)], [bx, by] = stroke.points[i];
    context.strokeStyle = context.fillStyle = stroke.erase ? "#000" : "#fff";
    context.lineWidth = stroke.size + (stroke.erase ? 4 : 0); // takes the soft rim of a line of its size along
    context.lineCap = "round";
    context.beginPath();
    if (i === 0) { // a tap is a dot: a line of no length would draw nothing
      context.arc(bx, by, context.lineWidth / 2, 0, 2 * Math.PI);
      context.fill();
      return;
    }
    context.moveTo(ax, ay);
    context.lineTo(bx, by);
    context.stroke();
  }

  /** @param {Strokes} drawn */
  redraw({ base, strokes }) {
    const { context } = this;
    context.fillStyle = "#000";
    context.fillRect(0, 0, RASTER, RASTER);
    if (base) {
      const small = document.createElement("canvas");
      paint(small, fromLevels(base));
      context.imageSmoothingEnabled = true;
      context.drawImage(small, 0, 0, RASTER, RASTER);
    }
    for (const stroke of strokes) stroke.points.forEach((_, i) => this.segment(stroke, i));
  }

  /**
   * The input: an untouched picture as it is, anything drawn as MNIST would have prepared it; null: nothing.
   * @param {Strokes} drawn
   * @param {number} side of the pictures that the model reads
   */
  input({ base, strokes }, side) {
    if (!strokes.length) return base ? fromLevels(base) : null;
    const { gray } = this, pixels = this.context.getImageData(0, 0, RASTER, RASTER).data;
    for (let i = 0; i < gray.length; i++) gray[i] = pixels[4 * i];
    return prepareDrawing(gray, RASTER, RASTER, side);
  }
}
