/**
 * Invisible: takes a model's bytes once and keeps it in the page for every other component. Of a model in parts it asks
 * Python for what they need.
 */

import { putModel } from "./models.js";
import { serve } from "./parts.js";
import { shared } from "./shared.js";

/** @import { Component } from "./mount.js" */

/** @type {WeakSet<HTMLElement | ShadowRoot>} */
const seen = shared("seen", () => new WeakSet());

/** @param {Component<Uint8Array>} component */
export default function ({ data, parentElement, setStateValue }) {
  const model = putModel(data), host = parentElement instanceof ShadowRoot ? parentElement.host : parentElement;
  host.setAttribute("data-model", model.id);
  if (model.parts) serve(model.id, (want) => setStateValue("want", want), !seen.has(parentElement));
  seen.add(parentElement);
}
