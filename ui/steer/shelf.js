/**
 * Invisible: keeps Python's texts in this browser, each under the name that it says, and tells Python once what an
 * earlier visit left. Other tabs keep theirs in the same place, so only what Python names is put or dropped. Python hears
 * whether it was kept: a browser can be full, or keep nothing (a private window, say).
 */

import { toPython } from "../live/python.js";

/** @import { Component } from "../live/mount.js" */
/** @typedef {{ id: string, put: [name: string, text: string][], drop: string[], most: number }} Change */
/** @typedef {{ id: string, change: Change | null, read: string | null }} Data */

/** @type {Set<string>} ids of what Python asked */
const done = new Set();

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

/** @param {Component<Data>} component */
export default function ({ data, setStateValue }) {
  const place = `sae-explorer-${data.id}`;
  if (data.read && !done.has(data.read)) {
    done.add(data.read);
    try {
      const kept = localStorage.getItem(place);
      let texts = kept === null ? [] : null;
      try { texts ??= JSON.parse(kept ?? "[]"); } catch { /* Python says that it is damaged */ }
      if (texts?.length !== 0) toPython(() => setStateValue("found", { texts }));
    } catch { /* no storage */ }
  }
  if (data.change && !done.has(data.change.id)) {
    const { id } = data.change, kept = change(place, data.change);
    done.add(id);
    toPython(() => setStateValue("written", { id, kept }));
  }
}
