/** What a classifier says, as one bar a class, with the probabilities before an edit as ghosts behind them. */

import { argmax } from "./arithmetic.js";
import { find, write } from "./dom.js";

/**
 * A classifier, as Python names it: where `sameLayer`, the SAE reads its hidden layer; said: what it is and how good.
 * @typedef {{ id: string, names: string[], sameLayer: boolean, said: string }} Classifier
 */

/** @typedef {(p: ArrayLike<number> | null, before?: ArrayLike<number> | null) => void} Bars paints them; null: nothing yet */

/** @type {string | null} */
const NOTHING = null;

/**
 * Put the bars into an element of the component.
 * @param {HTMLElement} root
 * @param {string[]} names of the classes
 * @returns {Bars}
 */
export function classBars(root, names) {
  root.classList.add("class-bars");
  root.setAttribute("role", "list");
  const parts = names.map((name) => {
    const row = document.createElement("div");
    row.className = "class-bar";
    row.dataset.testid = "class-bar";
    row.dataset.class = name;
    row.setAttribute("role", "listitem");
    row.innerHTML = '<span class="name"></span><span class="track"><i class="ghost"></i><i class="bar"></i></span><span class="share"></span>';
    find(row, ".name").textContent = name;
    const shown = { now: NOTHING, was: NOTHING, told: NOTHING, words: NOTHING }; // what stands there
    return { ...shown, name, row, bar: find(row, ".bar"), ghost: find(row, ".ghost"), share: find(row, ".share") };
  });
  root.replaceChildren(...parts.map(({ row }) => row));
  return (p, before = null) => {
    const best = p ? argmax(p) : -1;
    parts.forEach((part, c) => {
      const { name, row, bar, ghost, share } = part;
      // Most probabilities stay at 0 while somebody draws: what does not change is not touched, and bars are moved by
      // transforms, or every frame would be laid out anew.
      const now = p ? p[c].toFixed(5) : "", was = before ? before[c].toFixed(5) : "";
      if (was !== part.was) {
        part.was = was;
        ghost.hidden = !before;
        ghost.style.transform = `translateX(${before ? 100 * before[c] - 100 : -100}%)`;
      }
      row.classList.toggle("best", c === best);
      if (now === part.now && was === part.told) return;
      part.now = now;
      part.told = was;
      const percent = p ? 100 * p[c] : 0;
      bar.style.transform = `scaleX(${percent / 100})`;
      row.dataset.p = now;
      const text = p ? `${percent.toFixed(1)} %` : "";
      const words = `${name}: ${text || "nothing yet"}${before ? `, before ${(100 * before[c]).toFixed(1)} %` : ""}`;
      if (words === part.words) return;
      part.words = words;
      write(share, text);
      row.setAttribute("aria-label", words);
    });
  };
}
