// Features picked on the wall, a model's in the order in which they were picked: a group on Steer. They last as long as
// the tab.
const PICKS = "sae-explorer-picks", MOST_PICKS = 100;
const picks = (globalThis.__saePicks ??= (() => {
  try { return new Map(JSON.parse(sessionStorage.getItem(PICKS) ?? "[]")); } catch { return new Map(); }
})());

const picked = (model) => picks.get(model) ?? [];
function setPicked(model, features) {
  picks.set(model, features);
  try { sessionStorage.setItem(PICKS, JSON.stringify([...picks])); } catch { /* no storage: until the page is left */ }
}
