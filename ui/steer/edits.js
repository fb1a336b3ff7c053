/** What a person did to one picture's code, and its past; it knows nothing of the page. */

/** @import { Code } from "../live/arithmetic.js" */

/**
 * An edit that is no fixed value: a scale multiplies the activation by `value`, a clamp holds it from `low` to `high`.
 * @typedef {{ mode: "scale" | "clamp", value?: number | null, low?: number | null, high?: number | null }} Rule
 */

/**
 * A state, as Undo keeps it and Python gets it.
 * @typedef {object} State
 * @property {[feature: number, value: number][]} edits
 * @property {[feature: number, rule: Rule][]} rules of edits that are no fixed value: `edits` has what each gives here
 * @property {number[]} added what has a strip though the picture does not use it
 * @property {number[] | null} solo the only features that stay; null: all
 */

const STEPS = 100; // states that Undo takes back
const TYPING_MS = 1000; // steps of one key on one slider that come within it are one for Undo

export class Edits {
  /** @type {Map<number, number>} */
  edits = new Map();
  /** @type {Map<number, Rule>} */
  rules = new Map();
  /** @type {number[]} */
  added = [];
  /** @type {Set<number> | null} */
  solo = null;
  /** @type {Map<number, number>} feature -> its activation without edits */
  natural = new Map();
  /** @type {Map<number, [value: number, rule: Rule | null]>} feature -> what it had when it was last on */
  last = new Map();
  /** @type {State[]} */
  past = [];
  /** @type {State[]} */
  future = [];
  typed = { what: /** @type {string | null} */ (null), at: 0 };

  /** @param {State} state */
  constructor(state) {
    this.put(state);
    this.now = this.snap();
  }

  /** @param {number} f */
  before(f) { return this.natural.get(f) ?? 0; }
  /** Where its slider stands. @param {number} f */
  own(f) { return this.edits.get(f) ?? this.before(f); }
  /** @param {number} f */
  value(f) { return this.solo && !this.solo.has(f) ? 0 : this.own(f); }
  get touched() { return this.edits.size > 0 || this.solo !== null; }

  /**
   * The features of the code in its own order and then the others: with nothing edited, the sums are those of the
   * untouched code, term by term, and their difference is exactly 0.
   * @param {number[]} index
   * @returns {Code}
   */
  code(index) {
    const others = [...this.edits.keys()].filter((f) => !this.natural.has(f)).sort((a, b) => a - b);
    const all = [...index, ...others];
    return { index: all, value: all.map((f) => this.value(f)) };
  }

  /**
   * A feature at its own value (a slider comes back to it but for the last digit) is not an edit; one that is moved is
   * among the only ones.
   * @param {number} f
   * @param {number} v
   * @param {Rule | null} rule
   */
  set(f, v, rule = null) {
    if (this.own(f) !== 0) this.last.set(f, [this.own(f), this.rules.get(f) ?? null]);
    this.solo?.add(f);
    this.forget(f);
    const own = this.before(f);
    if (Math.abs(v - own) <= 1e-9 * Math.abs(own)) return;
    this.edits.set(f, v);
    if (rule) this.rules.set(f, rule);
  }
  /** @param {number} f */
  off(f) { this.set(f, 0); }
  /** Back on: as it was last, else its own value, else what is given. @param {number} f @param {number} otherwise */
  on(f, otherwise = 0) {
    const last = this.last.get(f);
    if (this.own(f) !== 0) this.set(f, this.own(f), this.rules.get(f));
    else if (last) this.set(f, ...last);
    else this.set(f, this.before(f) || otherwise);
  }
  /** @param {number} f */
  forget(f) {
    this.edits.delete(f);
    this.rules.delete(f);
  }
  /** @param {number} f */
  remove(f) {
    this.forget(f);
    this.added = this.added.filter((other) => other !== f);
    this.solo?.delete(f);
  }
  /** Among the only ones, or no longer. @param {number} f */
  alone(f) {
    const only = new Set(this.solo ?? []);
    if (!only.delete(f)) only.add(f);
    this.solo = only.size ? only : null;
  }

  /** What the rule gives for an activation. @param {Rule} rule @param {number} a */
  static ruled({ mode, value, low, high }, a) {
    return mode === "scale" ? a * (value ?? 1) : Math.min(Math.max(a, low ?? -Infinity), high ?? Infinity);
  }
  /**
   * The edits of another picture's state, made on this one: a rule is applied to this picture's own activations.
   * @param {State} state
   */
  adopt({ edits, rules, solo }) {
    const by = new Map(rules);
    this.put({ edits: [], rules: [], added: this.added, solo });
    for (const [f, v] of edits) {
      const rule = by.get(f);
      this.set(f, rule ? Edits.ruled(rule, this.before(f)) : v, rule);
    }
    this.solo = solo && new Set(solo);
  }

  /** @returns {State} */
  snap() {
    return { edits: [...this.edits], rules: [...this.rules], added: [...this.added], solo: this.solo && [...this.solo] };
  }
  /** @param {State} state */
  put({ edits, rules, added, solo }) {
    this.edits = new Map(edits);
    this.rules = new Map(rules);
    this.added = [...added];
    this.solo = solo && new Set(solo);
  }
  /** What is edited and how, the same whatever the order in which it was. @param {State} state */
  static key({ edits, rules, solo }) {
    const byFeature = (/** @type {[number, unknown]} */ [a], /** @type {[number, unknown]} */ [b]) => a - b;
    const plain = [...rules].sort(byFeature).map(([f, { mode, value = null, low = null, high = null }]) => [f, mode, value, low, high]);
    return JSON.stringify([[...edits].sort(byFeature), plain, solo && [...solo].sort((a, b) => a - b)]);
  }

  /** Keeps the state before this one for Undo. @param {string | null} what a slider that is moved by keys, whose steps are one */
  remember(what = null) {
    const next = this.snap();
    if (JSON.stringify(next) === JSON.stringify(this.now)) return;
    const on = what !== null && what === this.typed.what && performance.now() - this.typed.at < TYPING_MS;
    this.typed = { what, at: performance.now() };
    if (!on) this.past.push(this.now);
    if (this.past.length > STEPS) this.past.shift();
    this.future = [];
    this.now = next;
  }
  undo() { return this.#step(this.past, this.future); }
  redo() { return this.#step(this.future, this.past); }
  /** @param {State[]} from @param {State[]} to */
  #step(from, to) {
    const before = from.pop();
    if (!before) return false;
    to.push(this.now);
    this.now = before;
    this.put(before);
    this.typed.what = null;
    return true;
  }
}
