/** Through a gate the page's values go to Python apart from each other, and none while the page is being left. */

/**
 * Milliseconds that values are kept apart: of one for the page and one for a fragment that come together, Streamlit runs
 * the fragment and forgets the page.
 */
export const APART_MS = 25;
const LEAVING_MS = 100; // between looks whether the page is still being left

/**
 * The clock of a page, or a test's own.
 * @typedef {{ now: () => number, later: (work: () => void, ms: number) => any, cancel: (timer: any) => void }} Clock
 */

/** @type {Clock} */
export const PAGE_CLOCK = {
  now: () => performance.now(),
  later: (work, ms) => setTimeout(work, ms),
  cancel: (timer) => clearTimeout(timer),
};

export class Gate {
  #free = 0; // when the next may go

  /**
   * @param {Clock} clock
   * @param {() => boolean} leaving whether a link to another page was clicked: a value of this page would call it back
   */
  constructor(clock = PAGE_CLOCK, leaving = () => false) {
    this.clock = clock;
    this.leaving = leaving;
  }

  /**
   * Do `send` as soon as it may go: now, or after those that came before it.
   * @param {() => void} send
   */
  pass(send) {
    const now = this.clock.now(), wait = Math.max(0, this.#free - now);
    this.#free = now + wait + APART_MS;
    const go = () => {
      if (this.leaving()) this.clock.later(go, LEAVING_MS);
      else send();
    };
    if (wait) this.clock.later(go, wait);
    else go();
  }
}

/**
 * Whether a link to another page of the dashboard was clicked and that page is not there yet. For ten seconds at most: a
 * server that does not answer must not keep the page silent.
 * @param {Document} document
 * @param {Clock} clock
 * @returns {() => boolean}
 */
export function leaving(document, clock = PAGE_CLOCK) {
  const here = () => /** @type {Window} */ (document.defaultView).location.pathname;
  /** @type {{ path: string, until: number } | null} */
  let left = null;
  document.addEventListener("click", (event) => {
    const link = event.composedPath().find((e) => e instanceof HTMLAnchorElement && e.matches("a[data-testid^=stPageLink]"));
    if (link instanceof HTMLAnchorElement && link.pathname !== here()) left = { path: here(), until: clock.now() + 10_000 };
  }, true);
  return () => left !== null && left.path === here() && clock.now() < left.until;
}
