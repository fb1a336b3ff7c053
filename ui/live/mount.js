/** The life of a component's elements. */

import { completed } from "./address.js";
import { standInForClipboard } from "./clipboard.js";
import { find } from "./dom.js";
import { oneStepEach } from "./history.js";
import { shared } from "./shared.js";

if (typeof document !== "undefined") {
  standInForClipboard(navigator);
  shared("one step each", () => { oneStepEach(history, window, completed); return true; });
}

/**
 * What Streamlit gives a component in each run that has new data for it.
 * @template D
 * @typedef {object} Component
 * @property {D} data from Python
 * @property {HTMLElement | ShadowRoot} parentElement
 * @property {Send} setStateValue kept in Python's session
 * @property {Send} setTriggerValue gone after one run of the page
 */
/** @typedef {(name: string, value: unknown) => void} Send */

/**
 * What a component has in one element.
 * @template D
 * @typedef {object} View
 * @property {(data: D, component: Component<D>) => void} update
 * @property {() => void} unmount
 */

/**
 * A component whose HTML has one element of that selector: it gets a view, which is updated with each run's data and taken
 * down when the element is gone. (Streamlit also takes back an update that a newer one overtook, while the element stays.)
 * @template D
 * @param {string} selector
 * @param {(root: HTMLElement) => View<D>} make
 * @returns {(component: Component<D>) => () => void}
 */
export function mounting(selector, make) {
  const views = shared(`views of ${selector}`, () => /** @type {WeakMap<HTMLElement, View<D>>} */ (new WeakMap()));
  return (component) => {
    const root = find(component.parentElement, selector), view = views.get(root) ?? make(root);
    views.set(root, view);
    view.update(component.data, component);
    return () => {
      setTimeout(() => {
        if (root.isConnected || views.get(root) !== view) return;
        views.delete(root);
        view.unmount();
      });
    };
  };
}
