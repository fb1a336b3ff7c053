import assert from "node:assert/strict";
import { test } from "node:test";

import { encode } from "../../ui/live/arithmetic.js";
import { joined } from "../../ui/live/parts.js";
import { f32, f64, small } from "./models.js";

/**
 * Some latents of a model of 50 on two pixels, as they come from Python: of latent f all numbers are told from f.
 * @param {number[]} names
 */
function part(...names) {
  const of = (number) => Float32Array.from(names, number);
  return small({
    select: "threshold", k: 0, d_sae: 50, n: names.length,
    W: f32(...of((f) => f), ...of((f) => -f)), D: Float32Array.from(names.flatMap((f) => [f + 0.25, f + 0.5])),
    b: of((f) => 100 + f), thresholds: of((f) => 200 + f),
    parts: { names, place: new Map(names.map((f, i) => [f, i])), age: new Map() },
  });
}
/** What a model should have that holds these. */
function same(model, ...names) {
  const { W, D, b, thresholds, n, parts } = model, whole = part(...names);
  assert.deepEqual({ W, D, b, thresholds, n }, { W: whole.W, D: whole.D, b: whole.b, thresholds: whole.thresholds, n: whole.n });
  assert.deepEqual([parts.names, parts.place], [names, whole.parts.place]);
}

test("each latent keeps its own numbers where two parts are joined", () => {
  const first = joined(undefined, part(4, 30, 41));
  same(first, 4, 30, 41);
  const both = joined(first, part(7, 30, 49)); // before, between and behind those that are here
  same(both, 4, 7, 30, 41, 49);
  same(joined(both, part(0)), 0, 4, 7, 30, 41, 49);
});

test("a latent passes its own threshold, not another's", () => {
  const model = joined(joined(undefined, part(4, 41)), { ...part(7), thresholds: f32(90) });
  assert.deepEqual(encode(model, f64(0, 0)), { index: [7], value: [107] });
});

test("what is here already is not made anew, only younger", () => {
  const here = joined(undefined, part(4, 7)), before = here.thresholds;
  const after = joined(here, part(7));
  assert.equal(after, here);
  assert.equal(after.thresholds, before);
  assert.ok(after.parts.age.get(7) > after.parts.age.get(4));
});

test("a model without thresholds gets none", () => {
  const plain = (...names) => ({ ...part(...names), select: /** @type {const} */ ("topk"), k: 1, thresholds: null });
  const model = joined(joined(undefined, plain(4)), plain(7));
  assert.equal(model.thresholds, null);
  assert.deepEqual(model.b, f32(104, 107));
});
