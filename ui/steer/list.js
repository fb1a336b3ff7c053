/** The strips of a picture, one below the other: one is in the order of the Tab key, the arrow keys walk between them. */

import { find, focusIn, uncover } from "../live/dom.js";
import { makeStrip } from "./strip.js";

/** @import { Desk, Row, Strip } from "./strip.js" */

/**
 * @param {HTMLElement} root the component's element
 * @param {Desk} desk
 */
export function stripList(root, desk) {
  const list = find(root, ".strips"), number = find(root, ".number");
  /** @type {Map<number, Strip>} */
  const strips = new Map();
  /** @type {number | null} the feature whose strip is in the order of the Tab key: that had the focus last */
  let roving = null;

  /** @type {Row} */
  const row = {
    /** A strip made anew, with another range; the focus stays. */
    again(f, focus) {
      const old = strips.get(f), item = make(f);
      old?.item.replaceWith(item);
      strips.get(f)?.show();
      find(item, focus).focus({ preventScroll: true });
    },
    tab: rove,
    gone(f) {
      strips.delete(f);
      rove(roving);
      number.focus();
    },
  };

  /** @param {number} f */
  function make(f) {
    const strip = makeStrip(desk, row, f);
    strips.set(f, strip);
    reach(f);
    return strip.item;
  }

  /** @param {number | null} f */
  function reach(f) {
    if (f === null) return;
    for (const e of strips.get(f)?.item.querySelectorAll("input, button") ?? []) {
      /** @type {HTMLElement} */ (e).tabIndex = f === roving ? 0 : -1;
    }
  }
  /** @param {number | null} f */
  function rove(f) {
    const old = roving;
    roving = f !== null && strips.has(f) ? f : (strips.keys().next().value ?? null);
    if (old !== roving) reach(old);
    reach(roving);
  }

  /** The strips of these features, in this order; the focus stays in the same one, or in the list. @param {number[]} features */
  function put(features) {
    const at = list.scrollTop, held = focusIn(root), where = held?.closest(".strip")?.getAttribute("data-feature");
    strips.clear();
    list.replaceChildren(...features.map(make));
    list.scrollTop = at;
    rove(roving);
    if (!held || !where) return;
    const same = strips.get(+where)?.item.querySelector(`.${held.className}`);
    const again = same ?? (roving === null ? null : strips.get(roving)?.item.querySelector(".toggle"));
    if (again instanceof HTMLElement) again.focus({ preventScroll: true });
  }

  /** To a strip, which is marked for a moment and gets the focus. @param {number} f */
  function goTo(f) {
    const item = strips.get(f)?.item;
    if (!item) return;
    list.scrollTop += item.getBoundingClientRect().top - list.getBoundingClientRect().top - 8;
    item.classList.add("found");
    setTimeout(() => item.classList.remove("found"), 1500);
    find(item, ".slider").focus({ preventScroll: true });
  }

  /** From strip to strip, to the same control of another one. @param {KeyboardEvent} event @param {Element} control */
  function walk(event, control) {
    const items = [...list.children], at = items.findIndex((item) => item.contains(control));
    const line = getComputedStyle(list).gridTemplateColumns.split(" ").length;
    const to = { ArrowUp: at - line, ArrowDown: at + line, ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: items.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (!items[to]) return;
    const same = items[to].querySelector(`.${control.className}`), usable = same && !/** @type {HTMLButtonElement} */ (same).disabled;
    (usable && same instanceof HTMLElement ? same : find(items[to], ".toggle")).focus();
  }
  root.addEventListener("keydown", (event) => {
    const control = event.target;
    if (!(control instanceof HTMLInputElement || control instanceof HTMLButtonElement) || !list.contains(control)) return;
    if (control.type !== "number" && (control.type !== "range" || event.altKey)) walk(event, control);
  });
  list.addEventListener("focusin", ({ target }) => {
    const item = target instanceof Element ? target.closest(".strip") : null;
    if (item) rove(Number(item.getAttribute("data-feature")));
  });
  uncover(list, find(root, ".top"));

  return {
    put, goTo,
    /** One more, before the others. @param {number} f */
    add(f) {
      list.prepend(make(f));
      strips.get(f)?.show();
    },
    /** @param {number} f */
    has: (f) => strips.has(f),
    features: () => [...strips.keys()],
    show() { for (const strip of strips.values()) strip.show(); },
    /** Rows that were missing are here. */
    pictures() { for (const strip of strips.values()) strip.picture(); },
    toTop() { list.scrollTop = 0; },
    clear() {
      strips.clear();
      list.replaceChildren();
    },
  };
}
