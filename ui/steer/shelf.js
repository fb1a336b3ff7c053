/**
 * Invisible: keeps Python's texts in this browser, each under the name that it says, and tells Python once what an
 * earlier visit left. Other tabs keep theirs in the same place, so only what Python names is put or dropped. Python hears
 * whether it was kept: a browser can be full, or keep nothing (a private window, say).
 */

import { linkOf, through } from "../live/link.js";
import { shared } from "../live/shared.js";

/** @import { Answer } from "../live/link.js" */
/** @import { Component } from "../live/mount.js" */
/** @typedef {{ id: string, put: [name: string, text: string][], drop: string[], most: number }} Change */
/** @typedef {Answer & { id: string, change: Change | null, read: boolean }} Data */

/**
 * What Python asked of a shelf and is to be told.
 * @typedef {object} Shelf
 * @property {Set<string>} done ids of changes
 * @property {{ id: string, kept: boolean } | null} written the last of them, and whether it could be
 * @property {string | null} read the session that asked last what is there
 * @property {unknown} texts that are there, to be told; undefined: none
 */

/** @type {Map<string, Shelf>} by data.id */
const shelves = shared("shelves", () => new Map());

/** @param {string} text @returns {string | null} */
function nameOf(text) {
  try { return JSON.parse(text).name ?? null; } catch { return null; }
}

/** @param {string} place @param {Change} change */
function change(place, { put, drop, most }) {
  try {
    const before = localStorage.getItem(place);
    let texts = null;
    try { texts = JSON.parse(before ?? "null"); } catch { /* damaged: nothing to keep of it */ }
    /** @type {Map<string | null, string>} */
    const kept = new Map((Array.isArray(texts) ? texts : []).map((text) => [nameOf(text), text]));
    for (const name of [null, ...drop]) kept.delete(name);
    for (const [name, text] of put) kept.set(name, text);
    if (put.length && kept.size > most) return false;
    localStorage.setItem(place, JSON.stringify([...kept.values()]));
    return true;
  } catch { return false; }
}

/** What an earlier visit left; what is damaged as null, as Python says that it is; undefined: nothing. @param {string} place */
function left(place) {
  try {
    const kept = localStorage.getItem(place) ?? "[]";
    try {
      const texts = JSON.parse(kept);
      return texts?.length === 0 ? undefined : texts;
    } catch { return null; }
  } catch { return undefined; } // no storage
}

/** @param {Component<Data>} component */
export default function ({ data, parentElement, setStateValue }) {
  const place = `sae-explorer-${data.id}`, link = linkOf(data.id);
  /** @type {Shelf} */
  const shelf = shelves.get(data.id) ?? { done: new Set(), written: null, read: null, texts: undefined };
  shelves.set(data.id, shelf);
  link.hear(data, through(parentElement, setStateValue));
  let news = false;
  if (!data.read) shelf.texts = undefined;
  else if (shelf.read !== data.epoch) {
    Object.assign(shelf, { read: data.epoch, texts: left(place) });
    news = shelf.texts !== undefined;
  }
  if (data.change && !shelf.done.has(data.change.id)) {
    const { id } = data.change;
    shelf.done.add(id);
    shelf.written = { id, kept: change(place, data.change) };
    news = true;
  }
  if (news) link.say(() => ["told", { texts: shelf.texts, written: shelf.written }]);
}
