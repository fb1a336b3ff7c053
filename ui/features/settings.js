/** What a person set on a wall: a page switch keeps it. */

import { shared } from "../live/shared.js";

/** @import { Rows } from "../live/rows.js" */
/** @import { Scale } from "../live/paint.js" */

/**
 * @typedef {object} Settings
 * @property {Rows} rows
 * @property {Scale} scale
 * @property {string} order "index" or one of the wall's orders
 * @property {boolean} fresh whether the address was not looked at yet
 * @property {boolean} picking whether a click picks
 * @property {number | null} open the feature whose detail is shown
 * @property {number} top how far the wall is scrolled
 * @property {number | null | undefined} told the open feature as Python said it last; undefined: not yet
 * @property {((goThere: boolean) => void) | null} show paints the wall that is on the page
 */

/** @type {Map<string, Settings>} by the wall's id */
const walls = shared("walls", () => new Map());

/** With what a wall opens, of what its address says @type {Pick<Settings, "rows" | "scale" | "order">} */
export const DEFAULTS = { rows: "encoder", scale: "each", order: "index" };

/** @param {string} id @returns {Settings} */
export function settings(id) {
  const set = walls.get(id) ??
    { ...DEFAULTS, fresh: true, picking: false, open: null, top: 0, told: undefined, show: null };
  walls.set(id, set);
  return set;
}
