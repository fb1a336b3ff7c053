/** The models of the page, by their ids: put here once, for every component that shows one. */

import { header, unpack } from "./bytes.js";
import { answered, joined } from "./parts.js";
import { shared } from "./shared.js";

/** @import { Model } from "./arithmetic.js" */
/** @import { Mount } from "./link.js" */
/** @typedef {(model: Model) => void} Taker */

/** @type {Map<string, Model>} */
const models = shared("models", () => new Map());
/** @type {Map<string, Set<Taker>>} */
const waiting = shared("waiting", () => new Map());

/**
 * Keep the model, or the part of one, that Python packed, and hand it to all who want it.
 * @param {Uint8Array} bytes see `unpack`
 * @param {Mount | null} mount through which Python is asked for more of it
 * @returns {Model}
 */
export function putModel(bytes, mount = null) {
  const { head: { id, answer } } = header(bytes), here = models.get(id);
  if (here && !here.parts) return here;
  const found = unpack(bytes), model = found.parts ? joined(here, found) : found;
  models.set(id, model);
  if (model.parts && mount) answered(id, answer, mount);
  for (const take of [...(waiting.get(id) ?? [])]) take(model);
  return model;
}

/**
 * Call `take` with the model, now or when it is here, and each time it grows.
 * @param {string} id
 * @param {Taker} take
 * @returns {() => void} takes the request back
 */
export function withModel(id, take) {
  const takers = waiting.get(id) ?? new Set(), here = models.get(id);
  waiting.set(id, takers.add(take));
  if (here) take(here);
  return () => { takers.delete(take); };
}
