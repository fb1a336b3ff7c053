/** What components do with the elements of their page. */

import { pixels } from "./arithmetic.js";

/** @import { Model } from "./arithmetic.js" */

/**
 * The element of that selector, which has to be there and of that kind.
 * @template {Element} [E=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => E} [kind]
 * @returns {E}
 */
export function find(root, selector, kind) {
  const found = root.querySelector(selector);
  if (!(found instanceof (kind ?? HTMLElement))) throw new Error(`no ${(kind ?? HTMLElement).name} ${selector}`);
  return /** @type {E} */ (found);
}

/** What has the focus in the component of that element. @param {Element} element */
export const focusIn = (element) => /** @type {ShadowRoot | Document} */ (element.getRootNode()).activeElement;

/**
 * Put text into an element that holds nothing else. The text node stays and what has not changed is not touched: to
 * replace it in every frame costs the browser a style, a layout and a paint each.
 * @param {Element} element
 * @param {string} text
 */
export function write(element, text) {
  const node = element.firstChild;
  // A page that is translated has other nodes around the text, or beside it: then all of them make place.
  if (!(node instanceof Text) || node.nextSibling) element.textContent = text;
  else if (node.data !== text) node.data = text;
}

/** @type {WeakMap<Element, ReturnType<typeof setTimeout>>} */
const speech = new WeakMap();

/**
 * Say something to those who do not see the page, once nothing newer has come for half a second.
 * @param {Element} element
 * @param {string} text
 */
export function announce(element, text) {
  clearTimeout(speech.get(element));
  speech.set(element, setTimeout(() => write(element, text), 500));
}

/**
 * Make buttons usable or not; one that has the focus and is not hands it to another that is.
 * @param {[HTMLButtonElement, boolean][]} buttons
 */
export function able(buttons) {
  const focused = buttons.find(([button]) => button.matches(":focus"));
  for (const [button, can] of buttons) button.disabled = !can;
  if (focused && !focused[1]) buttons.find(([, can]) => can)?.[0].focus({ preventScroll: true });
}

/**
 * What the keys bring the focus to within `inside` is not left under what sticks above it.
 * @param {HTMLElement} inside
 * @param {HTMLElement} sticky
 */
export function uncover(inside, sticky) {
  inside.addEventListener("focusin", ({ target }) => {
    if (!(target instanceof Element) || !target.matches(":focus-visible")) return;
    const covered = sticky.getBoundingClientRect().bottom + 8 - target.getBoundingClientRect().top;
    const root = inside.getRootNode();
    if (covered > 0 && root instanceof ShadowRoot) root.host.closest("[data-testid=stMain]")?.scrollBy(0, -covered);
  });
}

/**
 * A finger that begins to scroll the page on a range has moved it already: what save() kept is then put back.
 * @template S
 * @param {HTMLInputElement} range
 * @param {() => S} save
 * @param {(before: S, event: PointerEvent) => void} restore
 */
export function steady(range, save, restore) {
  /** @type {S} */
  let before;
  range.addEventListener("pointerdown", () => { before = save(); });
  range.addEventListener("pointercancel", (event) => restore(before, event));
}

/** Keys that are meant for a control do not reach Streamlit, which takes c and r for its own. @param {Iterable<Element>} controls */
export function keepKeys(controls) {
  for (const control of controls) control.addEventListener("keydown", (event) => event.stopPropagation());
}

/**
 * Say in a component what its model reads: CSS shows .of-pixels or .of-layer, and an element with data-layer-title has
 * that title for a hidden layer. A title that names the size of pictures stands in data-pixels-title, for it is not known
 * before: {pixels} and {side} are its numbers. What is said of a model in parts stands in .in-parts, with its size in a <b>.
 * @param {HTMLElement} root
 * @param {Model} model
 */
export function showReads(root, model) {
  root.dataset.reads = model.reader ? "layer" : "pixels";
  for (const element of root.querySelectorAll(".in-parts")) {
    if (!(element instanceof HTMLElement)) continue;
    element.hidden = !model.parts;
    write(find(element, "b"), model.d_sae.toLocaleString("en"));
  }
  const n = pixels(model), side = Math.sqrt(n);
  for (const element of root.querySelectorAll("[data-layer-title], [data-pixels-title]")) {
    if (!(element instanceof HTMLElement)) continue;
    const said = element.dataset, ofPixels = (said.pixelsTitle ??= element.title);
    const title = (model.reader && said.layerTitle) || ofPixels;
    element.title = title.replaceAll("{pixels}", `${n}`).replaceAll("{side}", `${side}`);
  }
}
