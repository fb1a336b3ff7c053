/** What the edits make of the picture: the four pictures, their numbers, and what a classifier says of them. */

import { argmax, decode, encode, magnitude, minus, opinion, pearson, picture, read } from "../live/arithmetic.js";
import { classBars } from "../live/bars.js";
import { announce, find, write } from "../live/dom.js";
import { figureSvg, takeHome } from "../live/files.js";
import { withModel } from "../live/models.js";
import { paint } from "../live/paint.js";

/** @import { Code, Model } from "../live/arithmetic.js" */
/** @import { Bars, Classifier } from "../live/bars.js" */
/** @import { Edits } from "./edits.js" */

/**
 * A picture and what its untouched code gives.
 * @typedef {object} Seen
 * @property {Model} model
 * @property {Float64Array} original
 * @property {Float64Array} h what the model reads of it
 * @property {Code} code
 * @property {Float64Array} h_hat
 * @property {Float64Array} whole the picture of h: on pixels the original
 * @property {Float64Array} reconstruction the picture of h_hat
 * @property {number} r Pearson(original, reconstruction)
 */
/** @typedef {"error-preserving" | "plain"} Mode */
/** @typedef {"original" | "reconstruction" | "steered"} Of */

const LONG = 6; // letters of a class's name beside its bar at most
const FULL = 0.5; // the change that the difference shows in full colour

/** @param {Model} model @param {Float64Array} original @returns {Seen} */
export function see(model, original) {
  const h = read(model, original), code = encode(model, h), h_hat = decode(model, code);
  const whole = picture(model, h), reconstruction = picture(model, h_hat);
  return { model, original, h, code, h_hat, whole, reconstruction, r: pearson(original, reconstruction) };
}

/** @param {HTMLElement} root the component's element */
export function results(root) {
  const canvas = (/** @type {string} */ name) => find(root, `[data-testid=${name}]`, HTMLCanvasElement);
  const original = canvas("original"), reconstruction = canvas("reconstruction");
  const steered = canvas("steered"), difference = canvas("difference");
  const l0Of = find(root, ".l0"), r = find(root, ".pearson"), rOfSteered = find(root, ".pearson-steered");
  const change = find(root, ".change"), spoken = find(root, ".result"), opinionBox = find(root, ".opinion");
  const says = (/** @type {Of} */ of) => find(root, `.says[data-of=${of}]`);
  const saysOfSteered = says("steered");

  /** @type {Seen | null} */
  let seen = null;
  /** @type {Classifier | null} */
  let classifier = null;
  /** @type {Model | null} the classifier */
  let net = null;
  /** @type {string | null} */
  let asked = null;
  let drop = () => {};
  /** @type {Partial<Record<Of, Bars>>} */
  let bars = {};
  /** @type {{ original: Float64Array, reconstruction: Float64Array } | null} */
  let opinions = null;

  /** Show a picture, untouched; null: another one is on its way. @param {Seen | null} next */
  function take(next) {
    seen = next;
    opinions = null;
    if (!seen) return;
    paint(original, seen.original);
    paint(reconstruction, seen.reconstruction);
    r.textContent = seen.r.toFixed(4);
    weigh();
  }

  /** Show what the edits make of it. @param {Edits} mine @param {Mode} mode */
  function show(mine, mode) {
    if (!seen) return;
    const { model, h, h_hat, code } = seen, plain = mode === "plain", now = mine.code(code.index), changed = decode(model, now);
    const h_now = plain ? changed : h.map((v, i) => v + (changed[i] - h_hat[i])), made = picture(model, h_now);
    // A hidden layer keeps less than the original: what the edits changed is told from its own picture.
    const off = minus(made, model.reader && plain ? seen.reconstruction : seen.whole), largest = magnitude(off);
    const l0 = now.value.filter((v) => v !== 0).length, before = code.index.length, correlation = pearson(seen.original, made);
    paint(steered, made);
    paint(difference, off, FULL);
    write(l0Of, l0 === before ? `${l0}` : `${l0} (was ${before})`);
    write(rOfSteered, correlation.toFixed(4));
    write(change, largest.toFixed(4));
    Object.assign(root.dataset, { l0, pearson: seen.r, pearsonSteered: correlation, change: largest, edits: mine.edits.size });
    root.dataset.solo = mine.solo ? `${mine.solo.size}` : "";
    const p = asks(h_now, made);
    if (!opinions || !classifier || !p) return;
    bars.steered?.(p, mine.touched ? opinions[plain ? "reconstruction" : "original"] : null);
    write(saysOfSteered, short(p));
    const best = argmax(p);
    announce(spoken, mine.touched ? `The classifier says ${classifier.names[best]} with ${(100 * p[best]).toFixed(0)} %; largest change ${largest.toFixed(2)}.` : "");
  }

  /** What the classifier says; null while there is none. @param {Float64Array} h @param {Float64Array} x its picture */
  const asks = (h, x) => (net && classifier ? opinion(net, classifier.sameLayer, h, x) : null);
  /** @param {Float64Array} p */
  const short = (p) => `${classifier?.names[argmax(p)]} · ${(100 * p[argmax(p)]).toFixed(1)} %`;

  /** What the classifier says of the untouched picture. */
  function weigh() {
    const p = seen && asks(seen.h, seen.original), q = seen && asks(seen.h_hat, seen.reconstruction);
    opinions = p && q && { original: p, reconstruction: q };
    if (!p || !q) return;
    bars.original?.(p);
    bars.reconstruction?.(q);
    write(says("original"), short(p));
    write(says("reconstruction"), short(q));
  }

  /**
   * Ask that classifier, which may be another one than before.
   * @param {Classifier | null} next
   * @param {() => void} heard called when it is here
   */
  function ask(next, heard) {
    const id = next ? `${next.id} ${next.sameLayer}` : null;
    classifier = next;
    if (id === asked) return;
    asked = id;
    drop();
    net = opinions = null;
    opinionBox.hidden = find(root, ".others").hidden = !next;
    for (const element of root.querySelectorAll(".says")) element.textContent = "";
    if (!next) return;
    find(root, ".about").textContent = opinionBox.title = next.said;
    bars = {};
    for (const of of /** @type {Of[]} */ (["original", "reconstruction", "steered"])) {
      const place = find(root, `[data-testid=opinion-${of}]`);
      bars[of] = classBars(place, next.names);
      place.setAttribute("aria-label", `Classes of the ${of === "steered" ? "steered picture" : of}`);
      place.classList.toggle("worded", next.names.some((name) => name.length > 2 && name.length <= LONG));
      for (const name of place.querySelectorAll(".name")) {
        if (!(name instanceof HTMLElement) || (name.textContent ?? "").length <= LONG) continue;
        name.title = name.textContent ?? "";
        name.textContent = "–";
      }
    }
    drop = withModel(next.id, (found) => {
      net = found;
      weigh();
      heard();
    });
  }

  /**
   * The pictures and what was done, for a paper.
   * @param {Edits} mine
   * @param {Mode} mode
   * @param {string} name the model's
   */
  function figure(mine, mode, name) {
    if (!seen) return;
    const panels = Object.entries({ original, reconstruction, steered, difference }).map(([title, canvas]) => ({
      canvas, title, below: title === "difference" ? `what changed, ±${FULL}` : (says(/** @type {Of} */ (title)).textContent ?? ""),
    }));
    const list = [...mine.edits].map(([f, v]) => `#${f}: ${mine.before(f).toFixed(2)} → ${v.toFixed(2)}`);
    const edits = list.length > 8 ? `${list.slice(0, 8).join(", ")} and ${list.length - 8} more` : list.join(", ") || "none";
    takeHome(figureSvg("A picture steered by its features", panels, [
      `Model ${name.split("@")[0]}, ${mode} mode, L0 ${seen.code.index.length} → ${root.dataset.l0}, Pearson(original, reconstruction) ${seen.r.toFixed(4)}, ` +
        `(original, steered) ${Number(root.dataset.pearsonSteered).toFixed(4)}.`,
      `Edits: ${edits}${mine.solo ? `; only ${mine.solo.size} features on` : ""}.`,
      ...(opinions && classifier ? [`Below the pictures: the classifier's class and its probability. ${classifier.said}`] : []),
    ], FULL), "steered.svg", "image/svg+xml");
  }

  return {
    take, show, ask, asks, figure,
    get seen() { return seen; },
    get opinions() { return opinions; },
    unmount() { drop(); },
  };
}
