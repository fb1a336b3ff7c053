/** A drawing → the 28×28 picture MNIST would have made of it: sae_core's prepare(), number for number. */

import { withoutSpecks } from "./marks.js";

/** @typedef {{ n: number, max: Float64Array, sum: Float64Array }} Ink an axis: its largest value and its sum at each place */
/** @typedef {Ink & { step: number, edges: number[], from: number[], to: number[] }} Grid where each cell begins */

const SIDE = 28, LONGEST = 20; // of MNIST's pictures
const EDGE = 0.4, FAINT = 0.1, THIN = 1, THICK = 1.09, TIE = 1e-9;

/** @param {number} n @returns {Ink} */
const axis = (n) => ({ n, max: new Float64Array(n), sum: new Float64Array(n) });

/**
 * Where the ink is, row by row and column by column.
 * @param {ArrayLike<number>} gray
 * @param {number} width
 * @param {number} height
 */
function inkOf(gray, width, height) {
  const inRows = axis(height), inColumns = axis(width);
  let peak = 0;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const v = gray[i];
      if (v === 0) continue;
      inRows.sum[y] += v;
      inColumns.sum[x] += v;
      if (v > inRows.max[y]) inRows.max[y] = v;
      if (v > inColumns.max[x]) inColumns.max[x] = v;
    }
    if (inRows.max[y] > peak) peak = inRows.max[y];
  }
  return { inRows, inColumns, peak };
}

/**
 * The reasons behind the steps and constants are told in the Python file.
 * @param {ArrayLike<number>} gray width × height values, row by row, 0 (background) to 255 (ink)
 * @param {number} width
 * @param {number} height
 * @param {number} frame the side of what is made
 * @returns {Float64Array | null} frame² values k/255; null when nothing is drawn
 */
export function prepareDrawing(gray, width, height, frame) {
  let ink = inkOf(gray, width, height);
  if (!(ink.peak >= FAINT * 255)) return null;
  const clean = withoutSpecks(gray, width, height, EDGE * ink.peak);
  if (clean !== gray) {
    gray = clean;
    ink = inkOf(gray, width, height);
  }
  const { inRows, inColumns, peak } = ink;
  const [tall, wide] = [inRows, inColumns].map((ink) => extent(ink, peak)), longest = Math.max(tall.side, wide.side);
  const rows = grid(inRows, tall, longest, frame), columns = grid(inColumns, wide, longest, frame);
  const out = new Float64Array(frame * frame), line = new Float64Array(width);
  const left = columns.from[0], right = columns.to[frame];
  const w = stroke(gray, width, height, inRows) * longestOf(frame) / longest;
  const share = Math.min(Math.max((THICK - w) / (THICK - THIN), 0), 1), gain = 1 + (2 / w - 1) * share;
  for (let r = 0; r < frame; r++) {
    line.fill(0);
    for (let y = rows.from[r]; y < rows.to[r + 1]; y++) {
      if (rows.max[y] === 0) continue;
      const w = weight(rows, r, y);
      for (let x = left, i = y * width + left; x < right; x++, i++) line[x] += w * gray[i];
    }
    for (let c = 0; c < frame; c++) {
      let grey = 0;
      for (let x = columns.from[c]; x < columns.to[c + 1]; x++) grey += weight(columns, c, x) * line[x];
      out[r * frame + c] = Math.floor((share === 0 ? grey : Math.min(grey * gain, peak)) + 0.5 + TIE) / 255;
    }
  }
  return out;
}

/** Longest side of the digit in a frame. @param {number} frame */
const longestOf = (frame) => Math.max(1, Math.floor(frame * LONGEST / SIDE + 0.5));

/**
 * Mean width of the strokes in pixels of the drawing.
 * @param {ArrayLike<number>} gray
 * @param {number} width
 * @param {number} height
 * @param {Ink} inRows
 */
function stroke(gray, width, height, { max, sum }) {
  let ink = 0, edges = 0;
  for (let y = -1; y < height; y++) {
    if (!(max[y] > 0) && !(max[y + 1] > 0)) continue;
    if (y >= 0) ink += sum[y];
    for (let x = -1, i = y * width - 1; x < width; x++, i++) {
      const here = x < 0 || y < 0 ? 0 : gray[i];
      const down = (x < 0 || y + 1 === height ? 0 : gray[i + width]) - here;
      const across = (y < 0 || x + 1 === width ? 0 : gray[i + 1]) - here;
      if (down || across) edges += Math.sqrt(down * down + across * across);
    }
  }
  return 2 * ink / edges;
}

/** Where the ink of an axis that counts begins, and how long it is. @param {Ink} ink @param {number} peak */
function extent({ n, max }, peak) {
  let first = 0, last = n - 1;
  while (max[first] < EDGE * peak - TIE) first++;
  while (max[last] < EDGE * peak - TIE) last--;
  return { first, side: last + 1 - first };
}

/**
 * Where each of the cells of a frame begins, in pixels of the drawing, and the pixels that it touches.
 * @param {Ink} ink
 * @param {{ first: number, side: number }} extent
 * @param {number} longest
 * @param {number} frame
 * @returns {Grid}
 */
function grid(ink, { first, side }, longest, frame) {
  const cells = Math.max(1, Math.floor(side * longestOf(frame) / longest + 0.5)), step = side / cells;
  let mass = 0, moment = 0;
  for (let j = 0; j < ink.n; j++) { mass += ink.sum[j]; moment += ink.sum[j] * (j + 0.5); }
  let start = Math.floor(Math.floor(frame / 2) + 0.5 - (moment / mass - first) / step + 0.5 + TIE);
  start = Math.min(Math.max(start, 0), frame - cells);
  const edges = Array.from({ length: frame + 1 }, (_, i) => first - start * step + step * i);
  const within = (/** @type {number} */ edge) => Math.min(Math.max(edge, 0), ink.n);
  const from = edges.map((edge) => within(Math.floor(edge))), to = edges.map((edge) => within(Math.ceil(edge)));
  return { ...ink, step, edges, from, to };
}

/** How much of a cell a pixel of the drawing fills. @param {Grid} axis @param {number} cell @param {number} pixel */
const weight = ({ edges, step }, cell, pixel) => (Math.min(edges[cell + 1], pixel + 1) - Math.max(edges[cell], pixel)) / step;
