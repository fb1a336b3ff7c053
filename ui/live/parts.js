/**
 * A model in parts: too large to send, so that its rows come as pictures need them. Python finds which those are; with
 * all that are active on a picture here, encode gives that picture's code. One question is under way, the newest is next.
 */

import { place } from "./arithmetic.js";
import { toBase64 } from "./bytes.js";
import { linkOf } from "./link.js";
import { shared } from "./shared.js";

/** @import { Model } from "./arithmetic.js" */
/** @import { Answer, Mount } from "./link.js" */
/** @typedef {{ x: Float64Array, features: number[] }} Question a picture, and features that it does not need */

/**
 * What was asked of one model.
 * @typedef {object} Asked
 * @property {Question | null} last
 * @property {Question | null} sent the question that is under way, or was last
 * @property {Question | null} answered
 */

const OLDER_ROWS = 1024; // kept beside those that came last

/** @type {Map<string, Asked>} by the model's id */
const questions = shared("questions", () => new Map());
const came = shared("came", () => ({ messages: 0 }));

/** @param {string} id @returns {Asked} */
function askedOf(id) {
  const asked = questions.get(id) ?? { last: null, sent: null, answered: null };
  questions.set(id, asked);
  return asked;
}

/** Whether a question asks all that another does. @param {Question | null} question @param {Question} other */
const covers = (question, { x, features }) =>
  question !== null && question.x.every((v, i) => v === x[i]) && features.every((f) => question.features.includes(f));

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
  const thresholds = here.thresholds && new Float32Array(n);
  const all = { ...here, n, parts, W: new Float32Array(d_in * n), D: new Float32Array(n * d_in), b: new Float32Array(n), thresholds };
  names.forEach((f, to) => {
    const model = from.place.has(f) ? more : here, i = Number(place(model, f));
    for (let r = 0; r < d_in; r++) all.W[r * n + to] = model.W[r * model.n + i];
    all.D.set(model.D.subarray(i * d_in, (i + 1) * d_in), to * d_in);
    all.b[to] = model.b[i];
    if (thresholds && model.thresholds) thresholds[to] = model.thresholds[i];
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
  const asked = askedOf(model.id), missing = features.filter((f) => place(model, f) === undefined);
  const question = { x: Float64Array.from(x), features: missing };
  if (!missing.length && covers(asked.answered, question)) return true;
  if (covers(asked.last, question)) return false;
  asked.last = question;
  linkOf(`part-${model.id}`).say(() => {
    if (covers(asked.answered, question)) { // by the one that was under way
      asked.last = null;
      return null;
    }
    asked.sent = question;
    return ["want", { features: missing, x: toBase64(new Uint8Array(Float32Array.from(x).buffer)) }];
  });
  return false;
}

/** The picture whose code a model in parts can tell now; null before the first. @param {Model} model */
export const known = (model) => askedOf(model.id).answered?.x ?? null;

/** What the link is to hear came with parts of a model, through that mount. @param {string} id @param {Answer} answer @param {Mount} mount */
export function answered(id, answer, mount) {
  const asked = askedOf(id), news = linkOf(`part-${id}`).hear(answer, mount);
  if (!news?.answered || news.refused !== null) return;
  asked.answered = asked.sent;
  if (asked.last === asked.sent) asked.last = null;
}
