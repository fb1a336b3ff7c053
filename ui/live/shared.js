/**
 * What the components of a page share. Streamlit may run a script again, and then its modules' variables are new ones, as
 * are those of a component that stands in (scripts.js): what others have to see, or what outlives a script, stands here by
 * its name.
 *
 * This is all that ours put into the page's global scope: `globalThis[Symbol.for("sae-explorer")]`, { build, state }.
 * There is no other way for scripts that Streamlit loads one by one to find each other. Tests and benchmarks read `state`.
 * In a tab that was open while the server was updated, the first script of the other build replaces it all: nothing has
 * to last, as Python gives models, pictures and edits again.
 */

const BUILD = "unlinked"; // the linker puts a hash of all modules here
const KEY = Symbol.for("sae-explorer");

/** @type {Record<symbol, { build: string, state: Record<string, any> }>} */
const page = /** @type {any} */ (globalThis);
const mine = page[KEY]?.build === BUILD ? page[KEY] : (page[KEY] = { build: BUILD, state: {} });

/**
 * The page's one thing of that name, made by the first who asks for it.
 * @template T
 * @param {string} name
 * @param {() => T} make
 * @returns {T}
 */
export function shared(name, make) {
  return (mine.state[name] ??= make());
}
