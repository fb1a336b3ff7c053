/** Edits outlive their elements: a rerun, a remount, a page switch or a lost connection takes none away. */

import { about } from "../live/link.js";
import { shared } from "../live/shared.js";
import { Edits } from "./edits.js";

/** @import { State } from "./edits.js" */

const KEPT = 50; // pictures whose edits are kept, as many as Python keeps

/** The edits of a picture with what belongs to its strips. */
export class Kept extends Edits {
  /** @type {Map<number, number>} feature -> how often its slider was doubled */
  wide = new Map();
  /** @type {Set<number>} strips with their second line */
  open = new Set();
  /** @type {string} whose features are listed: see groups.js */
  group = "";
  n = 30; // of them
  /** @type {number | null | undefined} the wall's feature that got a strip; undefined: not yet looked at */
  took = undefined;
  thing = about();
}

/** @type {Map<string, Kept>} by picture and model */
const kept = shared("edits", () => new Map());

/** What is kept of a picture and model. @param {string | undefined} place */
export const keptAt = (place) => (place === undefined ? undefined : kept.get(place));

/** The same, made of what Python has where nothing is kept. @param {string} place @param {State} given */
export function keep(place, given) {
  const mine = kept.get(place) ?? new Kept(given);
  kept.set(place, mine);
  if (kept.size > KEPT) kept.delete(/** @type {string} */ (kept.keys().next().value));
  return mine;
}
