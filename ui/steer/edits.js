// What a person did to one picture's code, and its past; it knows nothing of the page. A state, as Undo keeps it and
// Python gets it: { edits: [[feature, value]], rules: [[feature, rule]], added: [feature], solo: [feature] or null }.
// A rule, { mode, value, low, high }, says of an edit that is no fixed value: a scale or a clamp, of which edits holds
// what it gives here. added: what has a strip though the picture does not use it. solo: the only features that stay.
const STEPS = 100; // states that Undo takes back
const TYPING_MS = 1000; // steps of one key on one slider that come within it are one for Undo

export class Edits {
  edits = new Map();
  rules = new Map();
  added = [];
  solo = null;
  natural = new Map(); // feature -> its activation without edits
  last = new Map(); // feature -> [value, rule] that it had when it was last on
  past = [];
  future = [];
  now = null;
  typed = { what: null, at: 0 };

  constructor(state) {
    this.put(state);
    this.now = this.snap();
  }

  before(f) { return this.natural.get(f) ?? 0; }
  own(f) { return this.edits.get(f) ?? this.before(f); } // where its slider stands
  value(f) { return this.solo && !this.solo.has(f) ? 0 : this.own(f); }
  get touched() { return this.edits.size > 0 || this.solo !== null; }

  // The features of the code in its own order and then the others: with nothing edited, the sums are those of the
  // untouched code, term by term, and their difference is exactly 0.
  code(index) {
    const others = [...this.edits.keys()].filter((f) => !this.natural.has(f)).sort((a, b) => a - b);
    const all = [...index, ...others];
    return { index: all, value: all.map((f) => this.value(f)) };
  }

  // A feature at its own value (a slider comes back to it but for the last digit) is not an edit; one that is moved is
  // among the only ones.
  set(f, v, rule = null) {
    if (this.own(f) !== 0) this.last.set(f, [this.own(f), this.rules.get(f) ?? null]);
    this.solo?.add(f);
    this.forget(f);
    const own = this.before(f);
    if (Math.abs(v - own) <= 1e-9 * Math.abs(own)) return;
    this.edits.set(f, v);
    if (rule) this.rules.set(f, rule);
  }
  off(f) { this.set(f, 0); }
  // Back on: as it was last, else its own value, else what is given.
  on(f, otherwise = 0) {
    if (this.own(f) !== 0) this.set(f, this.own(f), this.rules.get(f));
    else if (this.last.has(f)) this.set(f, ...this.last.get(f));
    else this.set(f, this.before(f) || otherwise);
  }
  forget(f) {
    this.edits.delete(f);
    this.rules.delete(f);
  }
  remove(f) {
    this.forget(f);
    this.added = this.added.filter((other) => other !== f);
    this.solo?.delete(f);
  }
  // Among the only ones, or no longer.
  alone(f) {
    const only = new Set(this.solo ?? []);
    if (!only.delete(f)) only.add(f);
    this.solo = only.size ? only : null;
  }

  // What the rule gives for an activation.
  static ruled(rule, a) {
    return rule.mode === "scale" ? a * rule.value : Math.min(Math.max(a, rule.low), rule.high);
  }
  // The edits of another picture's state, made on this one: a rule is applied to this picture's own activations.
  adopt({ edits, rules, solo }) {
    const by = new Map(rules);
    this.put({ edits: [], rules: [], added: this.added, solo });
    for (const [f, v] of edits) this.set(f, by.has(f) ? Edits.ruled(by.get(f), this.before(f)) : v, by.get(f));
    this.solo = solo && new Set(solo);
  }

  snap() {
    return { edits: [...this.edits], rules: [...this.rules], added: [...this.added], solo: this.solo && [...this.solo] };
  }
  put({ edits, rules, added, solo }) {
    this.edits = new Map(edits);
    this.rules = new Map(rules);
    this.added = [...added];
    this.solo = solo && new Set(solo);
  }
  // What is edited and how, the same whatever the order in which it was.
  static key({ edits, rules, solo }) {
    const sorted = (pairs) => [...pairs].sort(([a], [b]) => a - b);
    const plain = ([f, { mode, value = null, low = null, high = null }]) => [f, mode, value, low, high];
    return JSON.stringify([sorted(edits), sorted(rules).map(plain), solo && [...solo].sort((a, b) => a - b)]);
  }

  // Keeps the state before this one for Undo. what: names a slider that is moved by keys, whose steps are one.
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
  #step(from, to) {
    if (!from.length) return false;
    to.push(this.now);
    this.put((this.now = from.pop()));
    this.typed.what = null;
    return true;
  }
}
