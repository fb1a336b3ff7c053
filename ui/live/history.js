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
 * @param {(address: URL) => URL} complete an address that Python wrote of the page that is open
 */
export function oneStepEach(history, view, complete) {
  const push = history.pushState;
  let acted = true; // what has been done before this is not known
  for (const act of ACTS) view.addEventListener(act, () => { acted = true; }, { capture: true, passive: true });
  view.addEventListener("popstate", () => { acted = false; }, { capture: true });
  history.pushState = (state, unused, address) => {
    const here = new URL(view.location.href), wanted = new URL(address ?? here, here);
    const same = wanted.pathname === here.pathname, there = (same ? complete(wanted) : wanted).href;
    if (same && !acted) history.replaceState(state, unused, there);
    else push.call(history, state, unused, there);
    if (!same) acted = false;
  };
}
