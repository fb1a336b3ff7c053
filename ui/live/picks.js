/**
 * Features picked on the wall, a model's in the order in which they were picked: a group on Steer. They last as long as
 * the tab.
 */

import { shared } from "./shared.js";

export const MOST_PICKS = 100;
const PLACE = "sae-explorer-picks";

/** @type {Map<string, number[]>} by the model's id */
const picks = shared("picks", () => {
  try { return new Map(JSON.parse(sessionStorage.getItem(PLACE) ?? "[]")); } catch { return new Map(); }
});

/** @param {string} model */
export const picked = (model) => picks.get(model) ?? [];

/** @param {string} model @param {number[]} features */
export function setPicked(model, features) {
  picks.set(model, features);
  try { sessionStorage.setItem(PLACE, JSON.stringify([...picks])); } catch { /* no storage: until the page is left */ }
}
