// Invisible: takes a model's bytes once and keeps it in the page for every other component. Of a model in parts it asks
// Python for what they need.
import { sae } from "./engine.js";

const seen = (globalThis.__saeSeen ??= new WeakSet());

export default function ({ data, parentElement, setStateValue }) {
  const id = sae.putModel(data);
  const host = parentElement.host ?? parentElement;
  host.dataset.model = id;
  if (sae.models.get(id).names) sae.serve(id, (want) => setStateValue("want", want), !seen.has(parentElement));
  seen.add(parentElement);
}
