/** The mounts of all components, which come to the page in one script, once; each component's own only stands in for it. */

import { shared } from "./shared.js";

/** @import { Component } from "./mount.js" */
/** @typedef {(component: Component<any>) => (() => void) | void} Mount */

/** @type {{ mounts: Record<string, Mount> | null, waiting: Set<() => void> }} */
const scripts = shared("scripts", () => ({ mounts: null, waiting: new Set() }));

/** The script is here, and with it what waited for it. @param {Record<string, Mount>} mounts by module */
export function come(mounts) {
  scripts.mounts ??= mounts;
  for (const go of [...scripts.waiting]) go();
  scripts.waiting.clear();
}

/**
 * Does what the component's own mount does, as soon as the script is here.
 * @param {string} name of its module
 * @param {Component<any>} component
 * @returns {() => void}
 */
export function standIn(name, component) {
  /** @type {(() => void) | void} */
  let undo;
  const go = () => { undo = scripts.mounts?.[name](component); };
  if (scripts.mounts) go();
  else scripts.waiting.add(go);
  return () => {
    scripts.waiting.delete(go);
    undo?.();
  };
}
