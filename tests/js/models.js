/** Small models for tests. */

/** @import { Layer, Model } from "../../ui/live/arithmetic.js" */

/** @param {number[]} numbers */
export const f32 = (...numbers) => Float32Array.from(numbers);
/** @param {number[]} numbers */
export const f64 = (...numbers) => Float64Array.from(numbers);

/**
 * Three latents on two pixels, with numbers that float32 has exactly: W is [[1, 0, 2], [0, 1, -1]], D is
 * [[1, 0], [0, 1], [0.5, 0.5]].
 * @param {Partial<Model>} changes
 * @returns {Model}
 */
export function small(changes = {}) {
  return {
    id: "small", d_in: 2, d_sae: 3, n: 3, select: "topk", k: 2, thresholds: null, relu: false, passes: 1, step: 1, pursuit: false, reader: null, painter: null, parts: null,
    W: f32(1, 0, 2, 0, 1, -1), b: f32(0.5, 0, -1), D: f32(1, 0, 0, 1, 0.5, 0.5), c: f32(0.25, 0), ...changes,
  };
}

/** @param {number} n_in @param {number} n_out @param {Layer["squash"]} squash @param {Float32Array} W @param {Float32Array} b */
export const layer = (n_in, n_out, squash, W, b) => ({ n_in, n_out, squash, W, b });
