/** What presses make of a number, until Python says what became of them. */

/**
 * @typedef {object} Shown what Python shows
 * @property {string} of what the number counts: presses for another list are void
 * @property {number | null} value
 * @property {number} most the numbers are 0 to this
 * @property {boolean} wraps whether the first follows the last
 * @property {boolean} follows whether the button for the next goes to the next number, not to one that Python looks for
 * @property {boolean} ours whether the value is what became of the last message from here
 */

/**
 * @typedef {object} Count
 * @property {string} of
 * @property {number | null} value the number that was reached
 * @property {number} presses of the button for the next, since then
 * @property {number | null} seen the last that Python showed
 */

/** The number to be shown. @param {Count} count @param {Shown} shown @returns {number | null} */
export function at({ value, presses, seen }, { follows, most }) {
  if (!presses) return value;
  return follows ? ((value ?? -1) + presses) % (most + 1) : seen;
}

/** Another number. @param {Count} count @param {Shown} shown @param {number} to @returns {Count} */
export function stepped(count, { most, wraps }, to) {
  const value = wraps ? (to + most + 1) % (most + 1) : Math.min(Math.max(to, 0), most);
  return { ...count, value, presses: 0 };
}

/**
 * What Python is told: all of it each time, so that no message adds to one before it, and one that is lost or comes twice
 * changes nothing. null: nothing, as it was about something that is shown no more.
 * @param {Count} count
 * @param {string} of what was shown when it was pressed
 * @returns {{ of: string, value: number | null, presses: number } | null}
 */
export const asked = ({ value, presses, ...count }, of) => (count.of === of ? { of, value, presses } : null);

/**
 * What stands after an answer of Python: its value, unless something newer is on its way to it.
 * @param {Count | undefined} count
 * @param {Shown} shown
 * @param {{ quiet: boolean, older: boolean, again: boolean }} how whether Python has all that was said; the answer is
 *   older than one before it; and the same element was there before it
 * @returns {Count}
 */
export function arrived(count, { of, value, ours }, { quiet, older, again }) {
  if (count && older) return count;
  // Of another page the number may have been chosen there, after what is still on its way from here.
  const left = count && !again && !ours && value !== count.seen;
  if (!count || count.of !== of || quiet || left) {
    return { of: left && !quiet ? "" : of, value, presses: 0, seen: value };
  }
  return { ...count, seen: value };
}
