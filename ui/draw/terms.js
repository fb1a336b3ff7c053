/** The terms of a reconstruction: a · d for each active feature, a its activation and d its row of D. */

import { place } from "../live/arithmetic.js";

/** @import { Code, Model } from "../live/arithmetic.js" */
/** @typedef {"energy" | "activation" | "index"} Order */

/** ‖d‖² of every row that is here, by place. @param {Model} model */
export function norms({ D, n, d_in }) {
  const out = new Float64Array(n);
  for (let f = 0, i = 0; f < n; f++) for (let j = 0; j < d_in; j++, i++) out[f] += D[i] ** 2;
  return out;
}

/** a² · ‖d‖² of each term. @param {Model} model @param {Float64Array} norms @param {Code} code */
export const energies = (model, norms, { index, value }) => index.map((f, j) => value[j] ** 2 * norms[Number(place(model, f))]);

/**
 * A code in that order: the largest energy or magnitude first, or by index.
 * @param {Code} code
 * @param {Order} order
 * @param {number[]} energy of each of its terms
 * @returns {{ code: Code, energy: number[] }} both in that order
 */
export function sorted({ index, value }, order, energy) {
  const key = { energy: energy.map((e) => -e), activation: value.map((v) => -Math.abs(v)), index }[order];
  const to = index.map((_, j) => j).sort((p, q) => key[p] - key[q] || index[p] - index[q]);
  return { code: { index: to.map((j) => index[j]), value: to.map((j) => value[j]) }, energy: to.map((j) => energy[j]) };
}

/**
 * How far the terms, added one by one in float32, are from what was decoded: the largest absolute difference.
 * @param {Model} model
 * @param {Code} code
 * @param {Float64Array} h_hat
 */
export function inexact(model, { index, value }, h_hat) {
  const sum = Float32Array.from(model.c), { d_in, D } = model;
  index.forEach((f, j) => {
    const a = Math.fround(value[j]), row = Number(place(model, f)) * d_in;
    for (let i = 0; i < d_in; i++) sum[i] += Math.fround(a * D[row + i]);
  });
  return h_hat.reduce((most, v, i) => Math.max(most, Math.abs(v - sum[i])), 0);
}

/** The mean of the squared differences. @param {Float64Array} a @param {Float64Array} b */
export function meanSquares(a, b) {
  let error = 0;
  for (let i = 0; i < a.length; i++) error += (a[i] - b[i]) ** 2 / a.length;
  return error;
}

/** What a class loses or gains without a term. @param {string} name @param {number} p with it @param {number} q without it */
export function without(name, p, q) {
  const [before, after] = [p, q].map((v) => (100 * v).toFixed(1));
  if (before === after) return `Without it no visible change: ${name} with ${before} %.`;
  return `Without it: ${name} with ${after} %, not ${before} %.`;
}
