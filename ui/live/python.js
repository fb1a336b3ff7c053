/** When a component may send a value to Python. */

import { shared } from "./shared.js";

const APART_MS = 25;

/** When the next value may go, and the page that is being left. */
const way = shared("way", () => {
  /** @type {{ free: number, leaving: { path: string, until: number } | null }} */
  const made = { free: 0, leaving: null };
  document.addEventListener("click", (event) => {
    const link = event.composedPath().find((e) => e instanceof HTMLAnchorElement && e.matches("a[data-testid^=stPageLink]"));
    if (!(link instanceof HTMLAnchorElement) || link.pathname === location.pathname) return;
    made.leaving = { path: location.pathname, until: performance.now() + 10_000 };
  }, true);
  return made;
});

/**
 * Values go to Python apart from each other: of one for the page and one for a fragment that come together, Streamlit
 * runs the fragment and forgets the page.
 * @param {() => void} send
 * @param {Element | null} host the element that sends: nothing goes once it is gone, and nothing while a link to another
 *   page was clicked, as a value of this page would call it back
 */
export function toPython(send, host = null) {
  const now = performance.now(), wait = Math.max(0, way.free - now);
  way.free = now + wait + APART_MS;
  function go() {
    if (!host) send();
    else if (!host.isConnected) return;
    else if (way.leaving?.path === location.pathname && performance.now() < way.leaving.until) setTimeout(go, 100);
    else send();
  }
  if (wait) setTimeout(go, wait); else go();
}
