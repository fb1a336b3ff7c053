/** The rows of a model as pictures: what a feature looks for, and what it adds. */

import { addRow, pixels, place } from "./arithmetic.js";

/** @import { Model } from "./arithmetic.js" */
/** @typedef {"encoder" | "decoder"} Rows a feature's column of W, or its row of D */
/** @typedef {(f: number, i: number) => number} Pictures feature and pixel -> value */

/** A [n × d_in] times B [d_in × p]. @param {Float32Array} A @param {Float32Array} B @param {number} d_in */
function times(A, B, d_in) {
  const n = A.length / d_in, p = B.length / d_in, out = new Float64Array(n * p);
  for (let r = 0; r < n; r++) {
    for (let i = 0; i < d_in; i++) addRow(out.subarray(r * p, (r + 1) * p), A[r * d_in + i], B, i);
  }
  return out;
}

/**
 * The picture of each feature's row. Of a model that reads a hidden layer: taken back through its reader's weights, or
 * on through its painter's.
 * @param {Model} model
 * @param {Rows} rows
 * @returns {Pictures}
 */
export function rowPictures(model, rows) {
  const { W, D, d_in, n, reader, painter } = model, size = pixels(model);
  /** @param {number} f */
  const of = (f) => /** @type {number} */ (place(model, f));
  if (rows === "decoder") {
    const P = painter ? times(D, painter.W, d_in) : D;
    return model.parts ? (f, i) => P[of(f) * size + i] : (f, i) => P[f * size + i];
  }
  const P = reader ? times(reader.W, W, d_in) : W;
  return model.parts ? (f, i) => P[i * n + of(f)] : (f, i) => P[i * n + f];
}

/** What a vector of the model's inputs is as a picture. @param {Model} model @param {Float32Array} values */
function shown(model, values) {
  const { painter } = model;
  if (!painter) return new Float64Array(values);
  const out = new Float64Array(pixels(model));
  for (let i = 0; i < values.length; i++) addRow(out, values[i], painter.W, i);
  return out;
}

/** The picture of the bias c, as those of the decoder's rows are. @param {Model} model */
export const biasPicture = (model) => shown(model, model.c);

/** The picture of the decoder's row of the feature in that place. @param {Model} model @param {number} at */
export const decoderPicture = (model, at) => shown(model, model.D.subarray(at * model.d_in, (at + 1) * model.d_in));

/** The features that are here, by their places. @param {Model} model */
export const features = (model) => model.parts?.names ?? Array.from({ length: model.n }, (_, f) => f);

/** The largest magnitude of the picture of each feature that is here, by place. @param {Model} model @param {Pictures} at */
export function peaks(model, at) {
  const size = pixels(model);
  return Float64Array.from(features(model), (f) => {
    let largest = 0;
    for (let i = 0; i < size; i++) largest = Math.max(largest, Math.abs(at(f, i)));
    return largest;
  });
}
