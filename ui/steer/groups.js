/** Which features have strips: those of the picture, by activation or by effect, or the first n of a class. */

import { argmax, clamp, decode, picture } from "../live/arithmetic.js";
import { find } from "../live/dom.js";
import { picked } from "../live/picks.js";

/** @import { Classifier } from "../live/bars.js" */
/** @import { Kept } from "./kept.js" */
/** @import { results, Seen } from "./results.js" */

/** @typedef {{ names: string[], lists: number[][], how: string }} Groups of each class, its features in a ranking `how` */
/** @typedef {{ model: string, groups: Groups | null, classifier: Classifier | null }} Data */
/** @typedef {ReturnType<typeof results>} Results */

const PICKED = "picked", EFFECT = "effect"; // beside the classes, by number: picked on the wall; the picture's own, by effect

/**
 * @param {HTMLElement} root the component's element
 * @param {Results} results
 * @param {(toTop: boolean) => void} again lays the strips anew
 */
export function groups(root, results, again) {
  const which = find(root, ".which", HTMLSelectElement), most = find(root, ".n", HTMLInputElement);
  const only = find(root, ".only"), box = find(root, ".group"), mostBox = find(root, ".most");
  /** @type {Data} */
  let data;
  /** @type {Kept} */
  let mine;
  let listed = "";

  const own = () => mine.group === "" || mine.group === EFFECT;

  /** The features of a group that is not the picture's own. @param {string} group @returns {number[]} */
  function members(group) {
    const d_sae = results.seen?.model.d_sae ?? 0;
    if (group === PICKED) return picked(data.model).filter((f) => f < d_sae);
    return data.groups ? data.groups.lists[+group].slice(0, mine.n) : [];
  }

  /** The chosen group; without a choice the class that the classifier sees in the picture. */
  function chosen() {
    if (!own()) return mine.group;
    if (!data.groups) return null;
    const best = results.opinions ? argmax(results.opinions.original) : 0;
    return `${best < data.groups.lists.length ? best : 0}`;
  }

  /** The picture's own, by how much the classifier's log-odds for what it says change when each is switched off. @param {Seen} seen */
  function byEffect({ model, h, code: { index, value } }) {
    const { opinions, asks } = results;
    if (!opinions) return index;
    const c = argmax(opinions.original);
    const margin = (/** @type {Float64Array} */ p) => Math.log(p[c] + 1e-300) - Math.log(Math.max(...p.map((v, i) => (i === c ? 0 : v))) + 1e-300);
    const all = margin(opinions.original);
    const effect = new Map(index.map((f, j) => {
      const off = decode(model, { index: [f], value: [-value[j]] }, false), without = h.map((v, i) => v + off[i]);
      const p = asks(without, picture(model, without));
      return [f, p ? Math.abs(margin(p) - all) : 0];
    }));
    return [...index].sort((p, q) => (effect.get(q) ?? 0) - (effect.get(p) ?? 0));
  }

  /** @param {string} group */
  const ranked = (group) =>
    group === PICKED ? "In the order in which they were picked on the wall."
      : group === EFFECT ? "In the order of their effect: by how much switching each off changes the classifier's log-odds of what it says of this picture."
        : `Ranked by ${data.groups?.how}.`;

  /** What the controls say. */
  function label() {
    const group = chosen(), picks = picked(data.model).length;
    which.value = mine.group;
    most.value = `${mine.n}`;
    box.hidden = !data.groups && !picks && !data.classifier;
    only.hidden = group === null;
    mostBox.hidden = !data.groups || mine.group === PICKED;
    if (group === null) return;
    only.textContent = group === PICKED ? `Only the ${picks} picked`
      : `Only the top ${Math.min(mine.n, data.groups?.lists[+group].length ?? 0)} features of ${data.groups?.names[+group]}`;
    only.title = `Switch everything else off. ${ranked(group)}`;
  }

  /** What there is to choose from, which changes with the model. @param {Data} next @param {Kept} edits */
  function update(next, edits) {
    data = next;
    mine = edits;
    const picks = picked(data.model).length, names = data.groups?.names ?? [];
    if (mine.group === PICKED ? !picks : !own() && !data.groups?.lists[+mine.group]) mine.group = "";
    const text = `${names.join("\n")} ${picks} ${Boolean(data.classifier)}`;
    if (text === listed) return;
    listed = text;
    which.replaceChildren(new Option("everything this picture uses", ""),
      ...(data.classifier ? [new Option("the same, by effect on the classifier", EFFECT)] : []),
      ...names.map((name, c) => new Option(`top features of ${name}`, `${c}`)),
      ...(picks ? [new Option(`picked on the wall (${picks})`, PICKED)] : []));
    which.value = mine.group;
  }

  which.onchange = () => { mine.group = which.value; again(true); };
  most.onchange = () => {
    mine.n = clamp(Math.round(+most.value) || 30, 1, 100);
    again(false);
  };

  return {
    label, update,
    /** The features that are listed, all of them, the first first. */
    features: () => (!own() ? members(mine.group) : !results.seen ? [] : mine.group === EFFECT ? byEffect(results.seen) : results.seen.code.index),
    /** Keep only those of the group, and list it. */
    solo() {
      const group = chosen();
      if (group === null) return;
      mine.solo = new Set(members(group));
      if (own()) mine.group = group;
    },
    /** Whether the listed features are the picture's own, and in which order they are. */
    own, how: () => (mine.group === "" ? "" : ranked(mine.group)),
    /** Whether what the classifier says changes the list. */
    get asks() { return mine.group === EFFECT; },
  };
}
