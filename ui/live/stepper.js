/**
 * A number that is stepped through, and a button for the next one that Python knows. Every press counts here, at once,
 * however quickly they come: Python is told the number that was reached and the presses since, not each press.
 */

import { announce, find, keepKeys, write } from "./dom.js";
import { linkOf, through } from "./link.js";
import { mounting } from "./mount.js";
import { shared } from "./shared.js";
import { arrived, asked, at, stepped } from "./steps.js";

/** @import { Answer } from "./link.js" */
/** @import { Send } from "./mount.js" */
/** @import { Count, Shown } from "./steps.js" */

/**
 * @typedef {object} Looks
 * @property {string} id of the stepper
 * @property {"field" | "arrows" | "pages"} kind a number with its − and +, one between arrows, or pages between arrows
 * @property {string} label
 * @property {boolean} labelled whether it is seen
 * @property {string} placeholder where there is no number
 * @property {[less: string, more: string]} titles
 * @property {[text: string, title: string] | null} next the button of that name
 * @property {[size: number, n: number] | null} range a page's things, and all things
 */
/** @typedef {Looks & Shown & Answer} Data */

/** @type {Map<string, Count>} by data.id */
const counts = shared("counts", () => new Map());

export default mounting(".stepper", (root) => {
  const input = find(root, "input", HTMLInputElement), label = find(root, ".label"), range = find(root, ".range");
  const next = find(root, ".next", HTMLButtonElement), said = find(root, ".unseen");
  const all = (/** @type {string} */ name) => /** @type {HTMLButtonElement[]} */ ([...root.querySelectorAll(name)]);
  /** @type {Data} */
  let data;
  /** @type {Count} */
  let count;
  /** @type {Send} */
  let send = () => {};
  let mounted = false;

  function show() {
    const number = at(count, data), typing = input.matches(":focus") && input.dataset.typed === "true";
    if (!typing) input.value = number === null ? "" : `${number}`;
    if (data.range) {
      const [size, n] = data.range, first = (number ?? 0) * size;
      write(range, `${(first + 1).toLocaleString("en")} to ${Math.min(n, first + size).toLocaleString("en")} of ${n.toLocaleString("en")}`);
    }
    for (const [name, end] of /** @type {[string, number][]} */ ([[".less", 0], [".more", data.most]])) {
      for (const button of all(name)) button.disabled = !data.wraps && number === end;
    }
  }
  /** @param {Count} to */
  function go(to) {
    count = to;
    counts.set(data.id, count);
    delete input.dataset.typed;
    const { id, of } = data;
    linkOf(id).say(() => {
      const now = counts.get(id);
      return now && asked(now, of) ? ["step", asked(now, of) ?? {}] : null;
    });
    show();
    announce(said, data.range ? range.textContent ?? "" : input.value);
  }
  const step = (/** @type {number} */ by) => go(stepped(count, data, (at(count, data) ?? (by > 0 ? -1 : data.most + 1)) + by));
  for (const button of all(".less")) button.onclick = () => step(-1);
  for (const button of all(".more")) button.onclick = () => step(1);
  next.onclick = () => go({ ...count, presses: count.presses + 1 });
  input.oninput = () => { input.dataset.typed = "true"; };
  input.onchange = () => { // typed, and left or confirmed
    delete input.dataset.typed;
    const number = input.value === "" ? NaN : Math.round(Number(input.value));
    if (Number.isNaN(number) || number === at(count, data)) show();
    else go({ ...count, value: Math.min(Math.max(number, 0), data.most), presses: 0 });
  };
  input.onkeydown = (event) => {
    const by = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    if (input.dataset.typed) input.onchange?.(event);
    if (data.wraps || at(count, data) !== (by > 0 ? data.most : 0)) step(by);
  };
  keepKeys(root.querySelectorAll("button, input"));

  /** @param {Data} now @param {{ setStateValue: Send }} component */
  function update(now, { setStateValue }) {
    data = now;
    send = setStateValue;
    const link = linkOf(data.id), news = link.hear(data, through(root, send));
    count = arrived(counts.get(data.id), data, { quiet: link.quiet, older: news === null, again: mounted });
    mounted = true;
    counts.set(data.id, count);
    root.dataset.kind = data.kind;
    write(label, data.label);
    label.hidden = !data.labelled;
    input.setAttribute("aria-label", data.label);
    input.placeholder = data.placeholder;
    Object.assign(input, { min: "0", max: `${data.most}` });
    for (const [name, title] of [[".outer.less", data.titles[0]], [".outer.more", data.titles[1]]]) {
      for (const button of all(name)) Object.assign(button, { title }).setAttribute("aria-label", title);
    }
    next.hidden = !data.next;
    write(next, data.next?.[0] ?? "");
    next.title = data.next?.[1] ?? "";
    show();
  }
  return { update, unmount() { linkOf(data.id).leave(through(root, send)); } };
});
