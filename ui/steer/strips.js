/** The steering strips: toggles and sliders on the features of a picture; everything follows while they move. */

import { fromBase64, fromLevels } from "../live/bytes.js";
import { able, find, showReads } from "../live/dom.js";
import { live } from "../live/frames.js";
import { linkOf, through } from "../live/link.js";
import { withModel } from "../live/models.js";
import { mounting } from "../live/mount.js";
import { knows } from "../live/parts.js";
import { shared } from "../live/shared.js";
import { Edits } from "./edits.js";
import { groups } from "./groups.js";
import { keep, keptAt } from "./kept.js";
import { stripList } from "./list.js";
import { results, see } from "./results.js";

/** @import { Model } from "../live/arithmetic.js" */
/** @import { Answer } from "../live/link.js" */
/** @import { Send } from "../live/mount.js" */
/** @import { Rule, State } from "./edits.js" */
/** @import { Data as GroupData } from "./groups.js" */
/** @import { Kept } from "./kept.js" */
/** @import { Mode } from "./results.js" */
/** @import { Data as StripData, Desk } from "./strip.js" */

/**
 * @typedef {object} Message
 * @property {string} id of the strips
 * @property {{ ref: string, levels: string }} picture its name and its 8-bit levels
 * @property {number | null} feature the one that was chosen on the wall
 * @property {string} note
 * @property {Mode} mode
 * @property {Record<string, number>} edits the picture's, as Python has them, with
 * @property {Record<string, Rule>} rules
 * @property {number[]} added
 * @property {number[] | null} solo
 * @property {number | null} message of which they are, and
 * @property {number | null} push Python's last own change of them: see link.js
 */
/** @typedef {Message & Answer & StripData & GroupData} Data */

/**
 * What is the same for all pictures.
 * @typedef {object} Common
 * @property {Mode} mode
 * @property {State | null} offer the edits of the picture before, to be taken along
 * @property {string} [place] of the picture that is shown
 * @property {string} [model]
 */

/** @type {Map<string, Common>} by data.id */
const steering = shared("steering", () => new Map());
const SHOWN = 200; // strips; a code with more active features shows its strongest

export default mounting(".steer", (root) => {
  const carry = find(root, ".carry"), number = find(root, ".number", HTMLInputElement), said = find(root, ".said");
  const back = find(root, ".back", HTMLButtonElement), again = find(root, ".again", HTMLButtonElement);
  const note = find(root, ".note"), soloNote = find(root, ".solo-note");
  /** @type {Data} */
  let data;
  /** @type {Send} */
  let send = () => {};
  /** @type {Common} */
  let common;
  /** @type {Kept} */
  let mine;
  /** @type {Model} of the strips that are shown */
  let model;
  let cancel = () => {};

  const shown = results(root), which = groups(root, shown, (toTop) => {
    lay();
    if (toTop) strips.toTop();
  });
  /** @type {Set<() => void>} how the strips look that a hand is moving */
  const moving = new Set();
  const frame = live(() => {
    for (const show of moving) show();
    moving.clear();
    if (shown.seen) shown.show(mine, common.mode);
  });
  const say = (/** @type {string} */ text) => { said.textContent = text; };
  /** @type {Desk} */
  const desk = {
    get mine() { return mine; }, get data() { return data; }, get model() { return model; },
    say, frame, changed, showAll,
    move: (event, show) => { moving.add(show); frame(event); },
    open: (feature) => send("feature", { feature, at: Date.now() }),
  };
  const strips = stripList(root, desk);

  // ---- strips

  /** The picture's model is here, or more of it. @param {Model} found */
  function build(found) {
    model = found;
    showReads(root, model);
    const original = shown.seen?.original ?? fromLevels(fromBase64(data.picture.levels));
    if (shown.seen) { // rows that were missing are here
      shown.seen.model = model;
      strips.pictures();
      knows(model, original, [...strips.features(), ...mine.edits.keys()]);
      frame();
      return;
    }
    if (!knows(model, original)) return;
    const seen = see(model, original), { index, value } = seen.code, { feature } = data;
    mine.natural = new Map(index.map((f, j) => [f, value[j]]));
    number.max = `${model.d_sae - 1}`;
    number.placeholder = `0–${model.d_sae - 1}`;
    // The one that was chosen on the wall gets a strip, once.
    if (feature !== null && feature < model.d_sae && mine.took !== feature && !mine.natural.has(feature)) {
      mine.added = [feature, ...mine.added.filter((f) => f !== feature)];
    }
    mine.took = feature;
    shown.take(seen);
    lay();
    strips.toTop();
    if (!index.length) say("The code of this picture is empty: no feature is active. Add one by its number.");
    frame();
  }

  /** Makes the strips: what was added or is edited, and then those of the picture or of a class. */
  function lay(settled = true) {
    if (!shown.seen) return;
    const { original, code } = shown.seen, own = which.own(), listed = own ? which.features().slice(0, SHOWN) : which.features();
    const there = new Set(listed), edited = [...mine.edits.keys()].filter((f) => !there.has(f)), used = mine.natural;
    const others = edited.filter((f) => !used.has(f) && !mine.added.includes(f) && f < model.d_sae);
    mine.added = [...others, ...mine.added].filter((f) => !used.has(f) && f < model.d_sae);
    if (settled) mine.now = mine.snap();
    strips.put([...mine.added.filter((f) => !there.has(f)), ...edited.filter((f) => used.has(f)), ...listed]);
    const hidden = own ? code.index.length - listed.length : 0;
    const weaker = hidden > 0 ? `${hidden} weaker active features have no strip here.` : "";
    note.textContent = [data.note, which.how(), weaker].filter(Boolean).join(" ");
    which.label();
    showAll();
    knows(model, original, strips.features());
  }
  function showAll() {
    strips.show();
    soloNote.hidden = !mine.solo;
    find(soloNote, "span").textContent = mine.solo ? `Only ${mine.solo.size} feature${mine.solo.size > 1 ? "s" : ""} on; all others are off.` : "";
    able([[back, mine.past.length > 0], [again, mine.future.length > 0]]);
    const n = common.offer ? common.offer.edits.length : 0;
    carry.hidden = !common.offer || mine.touched;
    carry.textContent = n ? `Take along the ${n === 1 ? "edit" : `${n} edits`} of the picture before` : "Take along what was kept alone";
  }

  // ---- controls

  const every = () => new Set([...(shown.seen?.code.index ?? []), ...mine.added, ...mine.edits.keys()]);
  const reset = find(root, ".reset");
  /** @param {string} selector @param {() => void} work */
  const press = (selector, work) => {
    find(root, selector).onclick = (event) => { if (shown.seen) { work(); showAll(); changed(event); } };
  };
  press(".off", () => { mine.solo = null; for (const f of every()) mine.off(f); });
  press(".on", () => { mine.solo = null; for (const f of every()) if (mine.own(f) === 0) mine.on(f); });
  press(".reset", () => {
    mine.put({ edits: [], rules: [], added: [], solo: null });
    for (const kept of [mine.last, mine.wide, mine.open]) kept.clear();
    lay(false);
  });
  press(".all", () => { mine.solo = null; reset.focus({ preventScroll: true }); });
  press(".only", () => { which.solo(); lay(false); });
  press(".carry", () => {
    if (common.offer) mine.adopt(common.offer);
    common.offer = null;
    lay(false);
    reset.focus({ preventScroll: true });
  });
  find(root, ".figure").onclick = () => shown.figure(mine, common.mode, data.model);

  /** @param {"undo" | "redo"} way @param {Event} event */
  function step(way, event) {
    if (!shown.seen || !mine[way]()) return;
    lay();
    tell(event);
  }
  back.onclick = (event) => step("undo", event);
  again.onclick = (event) => step("redo", event);

  find(root, ".add").onsubmit = (event) => {
    event.preventDefault();
    if (!shown.seen) return;
    const f = number.value === "" ? NaN : +number.value;
    if (!Number.isInteger(f) || f < 0 || f >= model.d_sae) {
      say(`There is no such feature: this model has 0 to ${model.d_sae - 1}.`);
      return;
    }
    if (strips.has(f)) {
      say(`Feature ${f} has a strip already.`);
    } else if (strips.features().length >= 2 * SHOWN) {
      say("There are enough strips here: remove some, or reset.");
      return;
    } else {
      if (!mine.natural.has(f)) mine.added = [f, ...mine.added.filter((other) => other !== f)];
      strips.add(f);
      knows(model, shown.seen.original, strips.features());
      say(mine.natural.has(f) ? "" : `Feature ${f} is added; it is off until you move it.`);
      number.value = "";
      changed(event);
    }
    strips.goTo(f);
  };
  const modes = [...root.querySelectorAll("[name=mode]")].filter((e) => e instanceof HTMLInputElement);
  for (const radio of modes) radio.onchange = (event) => { common.mode = /** @type {Mode} */ (radio.value); changed(event); };
  root.onkeydown = (event) => {
    event.stopPropagation(); // or Streamlit takes c and r for its own
    const key = event.key.toLowerCase(), typing = event.target instanceof HTMLInputElement && event.target.type === "number";
    if ((event.ctrlKey || event.metaKey) && !typing && (key === "z" || key === "y")) {
      event.preventDefault();
      step(key === "y" || event.shiftKey ? "redo" : "undo", event);
    }
  };

  // ---- to Python and back

  /** @param {Event} event @param {string | null} what */
  function changed(event, what = null) {
    if (shown.seen) { mine.remember(what); showAll(); }
    tell(event);
  }
  /** @param {Event} [event] */
  function tell(event) {
    if (event?.type !== "submit") say("");
    frame(event);
    const { picture: { ref }, model: id } = data, kept = mine, all = common;
    linkOf(data.id).say(() => ["edits", {
      ref, model: id, mode: all.mode, edits: Object.fromEntries(kept.edits), rules: Object.fromEntries(kept.rules),
      added: kept.added, solo: kept.solo && [...kept.solo],
    }], kept.thing);
  }

  /** @param {Data} next @param {{ setStateValue: Send }} component */
  function update(next, { setStateValue }) {
    data = next;
    send = setStateValue;
    const { id, mode } = data;
    common = steering.get(id) ?? { mode, offer: null };
    steering.set(id, common);
    root.dataset.answered = `${data.seq}`;

    const place = `${id} ${data.model} ${data.picture.ref}`;
    /** @template T @param {Record<string, T>} byFeature @returns {[number, T][]} */
    const listed = (byFeature) => Object.entries(byFeature).map(([f, v]) => [+f, v]);
    const given = { edits: listed(data.edits), rules: listed(data.rules), added: data.added, solo: data.solo };
    const left = common.place === place ? undefined : keptAt(common.place); // the picture before this one
    if (common.model !== data.model) common.offer = null;
    else if (left?.touched) common.offer = left.snap();
    Object.assign(common, { place, model: data.model });
    mine = keep(place, given);
    const news = linkOf(id).hear(data, through(root, setStateValue), mine.thing, { from: data.message, push: data.push });
    const verdict = news?.verdict, pushed = verdict === "take" && data.push !== null;
    which.update(data, mine);
    if (pushed) {
      common.mode = mode;
      mine.put(given);
      mine.remember();
    }
    if (verdict === "passed") mine.past.push(given);
    for (const radio of modes) radio.checked = radio.value === common.mode;
    shown.ask(data.classifier, () => {
      which.label();
      if (which.asks) lay();
      frame();
    });
    const key = `${place} ${data.source}`;
    if (root.dataset.key !== key) {
      root.dataset.key = key;
      shown.take(null);
      strips.clear(); // those of the picture before must not edit this one
      cancel();
      cancel = withModel(data.model, build);
    } else if (pushed && shown.seen) {
      lay();
      frame();
      if (root.getBoundingClientRect().top < 0) root.scrollIntoView({ block: "start" }); // what has moved is seen
    }
    if (verdict === "tell" && (Edits.key(given) !== Edits.key(mine.snap()) || mode !== common.mode)) tell();
  }

  return {
    update,
    unmount() {
      cancel();
      shown.unmount();
      linkOf(data.id).leave(through(root, send));
    },
  };
});
