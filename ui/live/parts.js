/**
 * A model in parts: too large to send, so that its rows come as pictures need them. Python finds which those are; with
 * all that are active on a picture here, encode gives that picture's code. One question is under way, the newest is next.
 */

import { place } from "./arithmetic.js";
import { toBase64 } from "./bytes.js";
import { toPython } from "./python.js";
import { shared } from "./shared.js";

/** @import { Model } from "./arithmetic.js" */
/** @typedef {{ x: Float64Array, features: number[] }} Question a picture, and features that it does not need */
/** @typedef {{ seq: number, x: string, features: number[] }} Asked a question as Python gets it */

/**
 * @typedef {object} Link how parts of one model come
 * @property {((question: Asked) => void) | null} ask
 * @property {number} seq of the last question
 * @property {(Question & { seq: number, at: number }) | null} sent the question that is under way
 * @property {Question | null} next the one after it
 * @property {Float64Array | null} x the picture that was answered last
 */

const OLDER_ROWS = 1024; // kept beside those that came last
const PATIENCE_MS = 5000; // after which an answer counts as lost

/** @type {Map<string, Link>} by the model's id */
const links = shared("links", () => new Map());
const came = shared("came", () => ({ messages: 0 }));

/** @param {string} id @returns {Link} */
function linkOf(id) {
  let link = links.get(id);
  if (!link) links.set(id, (link = { ask: null, seq: 0, sent: null, next: null, x: null }));
  return link;
}

/** @param {Float64Array | null} a @param {Float64Array} b */
const same = (a, b) => a !== null && a.every((v, i) => v === b[i]);

/**
 * What a model has after more of it came: the rows that came last and, beside them, the newest of those before.
 * @param {Model | undefined} here
 * @param {Model} more
 * @returns {Model} `here` itself, where it had them all
 */
export function joined(here, more) {
  const now = came.messages++, old = here?.parts, from = more.parts;
  if (!from) return more;
  for (const f of from.names) from.age.set(f, now);
  if (!here || !old) return more;
  /** @param {number} f */
  const age = (f) => old.age.get(f) ?? 0;
  const others = old.names.filter((f) => !from.place.has(f)).sort((p, q) => age(q) - age(p)).slice(0, OLDER_ROWS);
  const names = [...from.names, ...others].sort((p, q) => p - q), n = names.length, { d_in } = here;
  const parts = {
    names, place: new Map(names.map((f, i) => [f, i])), age: new Map(from.age),
  };
  for (const f of others) parts.age.set(f, age(f));
  if (n === here.n && names.every((f, i) => f === old.names[i])) return Object.assign(here, { parts });
  const all = { ...here, n, parts, W: new Float32Array(d_in * n), D: new Float32Array(n * d_in), b: new Float32Array(n) };
  names.forEach((f, to) => {
    const model = from.place.has(f) ? more : here, i = Number(place(model, f));
    for (let r = 0; r < d_in; r++) all.W[r * n + to] = model.W[r * model.n + i];
    all.D.set(model.D.subarray(i * d_in, (i + 1) * d_in), to * d_in);
    all.b[to] = model.b[i];
  });
  return all;
}

/**
 * Whether all is here that picture x and these features need. If not, Python is asked for it.
 * @param {Model} model
 * @param {Float64Array} x
 * @param {number[]} features
 */
export function knows(model, x, features = []) {
  if (!model.parts) return true;
  const link = linkOf(model.id), missing = features.filter((f) => place(model, f) === undefined);
  if (same(link.x, x) && !missing.length) return true;
  /** @param {Question | null} question */
  const asks = (question) => question && same(question.x, x) && missing.every((f) => question.features.includes(f));
  link.next = asks(link.sent) ? null : { x: Float64Array.from(x), features: missing };
  post(link);
  return false;
}

/** The picture whose code a model in parts can tell now; null before the first. @param {Model} model */
export const known = (model) => linkOf(model.id).x;

/** @param {Link} link */
function post(link) {
  if (!link.ask || !link.next || (link.sent && performance.now() - link.sent.at < PATIENCE_MS)) return;
  link.sent = { ...link.next, seq: ++link.seq, at: performance.now() };
  link.next = null;
  const { ask, sent: { seq, x, features } } = link;
  const question = { seq, features, x: toBase64(new Uint8Array(Float32Array.from(x).buffer)) };
  toPython(() => ask(question));
}

/** Python answered the question of that number. @param {string} id @param {number} seq */
export function answered(id, seq) {
  const link = linkOf(id);
  if (link.sent?.seq !== seq) return;
  link.x = link.sent.x;
  link.sent = null;
  post(link);
}

/**
 * How Python is asked for parts of a model.
 * @param {string} id
 * @param {(question: Asked) => void} ask
 * @param {boolean} anew through another element than before, where nothing is under way
 */
export function serve(id, ask, anew) {
  const link = linkOf(id);
  link.ask = ask;
  if (anew && link.sent) { link.next ??= link.sent; link.sent = null; }
  post(link);
}
