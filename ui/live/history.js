/**
 * One step of the browser's history for each thing that a person does. Python completes the address of a page that was
 * just opened or gone back to, and Streamlit makes a further step of every address that Python writes: one would have to
 * go back twice, or for ever, as the page that is gone back to completes its address again.
 */

const ACTS = ["pointerdown", "click", "keydown", "drop", "change"];

/**
 * From now on an address of the page that is open takes the place of the one before, until a person does something there.
 * @param {History} history
 * @param {EventTarget & { location: { href: string } }} view that history's window
 */
export function oneStepEach(history, view) {
  const push = history.pushState;
  let acted = true; // what has been done before this is not known
  for (const act of ACTS) view.addEventListener(act, () => { acted = true; }, { capture: true, passive: true });
  view.addEventListener("popstate", () => { acted = false; }, { capture: true });
  history.pushState = (state, unused, address) => {
    const here = new URL(view.location.href), there = new URL(address ?? here, here);
    const same = there.pathname === here.pathname;
    if (same && !acted) history.replaceState(state, unused, address);
    else push.call(history, state, unused, address);
    if (!same) acted = false;
  };
}
