// Invisible: takes a model's bytes once and keeps it in the page for every other component.
export default function ({ data, parentElement }) {
  const id = sae.putModel(data);
  const host = parentElement.host ?? parentElement;
  host.dataset.model = id;
}
