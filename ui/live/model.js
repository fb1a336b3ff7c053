/**
 * Invisible: takes a model's bytes once and keeps it in the page for every other component. Of a model in parts it asks
 * Python for what they need.
 */

import { through } from "./link.js";
import { putModel } from "./models.js";

/** @import { Component } from "./mount.js" */

/** @param {Component<Uint8Array>} component */
export default function ({ data, parentElement, setStateValue }) {
  const model = putModel(data, through(parentElement, setStateValue));
  const host = parentElement instanceof ShadowRoot ? parentElement.host : parentElement;
  host.setAttribute("data-model", model.id);
}
