/** Bytes as they travel: base64, the 8-bit levels of pictures, and the packed weights of a model. */

import { shared } from "./shared.js";

/** @import { Layer, Model } from "./arithmetic.js" */

/** @param {Uint8Array} bytes */
export function toBase64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return btoa(text);
}

/** @param {string} text */
export const fromBase64 = (text) => Uint8Array.from(atob(text), (ch) => ch.charCodeAt(0));

/** The picture, in [0, 1], of 8-bit levels. @param {Uint8Array} levels */
export const fromLevels = (levels) => Float64Array.from(levels, (v) => v / 255);

/** Every float16, decoded. */
function halves() {
  const half = new Float32Array(65536);
  for (let h = 0; h < 65536; h++) {
    const e = (h >> 10) & 31, m = h & 1023, s = h >> 15 ? -1 : 1;
    half[h] = e === 0 ? s * m * 2 ** -24 : e === 31 ? (m ? NaN : s * Infinity) : s * (1 + m / 1024) * 2 ** (e - 15);
  }
  return half;
}

/**
 * What Python says of packed weights, in front of them: what a Model says of itself, but for its matrices and biases,
 * and of a part of a model its `features` and, as its `answer`, what the link is to hear with it.
 * @param {Uint8Array} bytes uint32 length of a JSON header, the header, the weights
 * @returns {{ head: Record<string, any>, at: number }} the header, and where the weights begin
 */
export function header(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  return { head: JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length))), at: 4 + length };
}

/**
 * The model that Python packed: matrices as float16, W, D and, where the model has them, its reader's and its painter's;
 * then as many biases as float32, in the same order: b, c, the reader's, the painter's; then, where latents are selected
 * by threshold, those. A header with `features` brings only those columns of W, b and thresholds and rows of D.
 * @param {Uint8Array} bytes
 * @returns {Model}
 */
export function unpack(bytes) {
  const { head: { features: names, answer: _, ...head }, at: start } = header(bytes);
  const half = shared("halves", halves), view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { d_in } = head, n = names ? names.length : head.d_sae;
  /** @type {Layer[]} */
  const layers = [head.reader, head.painter].filter(Boolean);
  let at = start;
  /** @param {number} count */
  const matrix = (count) => {
    const out = new Float32Array(count);
    for (let i = 0; i < count; i++, at += 2) out[i] = half[view.getUint16(at, true)];
    return out;
  };
  /** @param {number} count */
  const biases = (count) => new Float32Array(bytes.slice(at, (at += 4 * count)).buffer);
  const W = matrix(d_in * n), D = matrix(n * d_in);
  for (const layer of layers) layer.W = matrix(layer.n_in * layer.n_out);
  const b = biases(n), c = biases(d_in);
  for (const layer of layers) layer.b = biases(layer.n_out);
  const thresholds = head.select === "threshold" ? biases(n) : null;
  const parts = names && { names, place: new Map(names.map((/** @type {number} */ f, /** @type {number} */ i) => [f, i])), age: new Map() };
  return /** @type {Model} */ ({ ...head, n, parts: parts ?? null, W, D, b, c, thresholds });
}
