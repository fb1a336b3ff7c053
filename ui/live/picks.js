// Features picked on the wall, a model's in the order in which they were picked: a group on Steer. They last as long as
// the tab.
export const MOST_PICKS = 100;
const PICKS = "sae-explorer-picks";
const picks = (globalThis.__saePicks ??= (() => {
  try { return new Map(JSON.parse(sessionStorage.getItem(PICKS) ?? "[]")); } catch { return new Map(); }
})());

export const picked = (model) => picks.get(model) ?? [];
export function setPicked(model, features) {
  picks.set(model, features);
  try { sessionStorage.setItem(PICKS, JSON.stringify([...picks])); } catch { /* no storage: until the page is left */ }
}
