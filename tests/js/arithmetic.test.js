import assert from "node:assert/strict";
import { test } from "node:test";

import { argmax, clamp, decode, encode, classify, classifyLayer, magnitude, minus, most, opinion, pearson, picture, read } from "../../ui/live/arithmetic.js";
import { f32, f64, layer, small } from "./models.js";

const near = (a, b, by = 1e-12) => assert.ok(Math.abs(a - b) <= by, `${a} is not ${b}`);
const X = f64(1, 2); // pre_acts of `small`: 1·1 + 0.5, 2·1, 2·1 − 2·1 − 1 = 1.5, 2, −1

test("top-k keeps the k largest and says the largest first", () => {
  assert.deepEqual(encode(small({ k: 1 }), X), { index: [1], value: [2] });
  assert.deepEqual(encode(small({ k: 2 }), X), { index: [1, 0], value: [2, 1.5] });
  assert.deepEqual(encode(small({ k: 3 }), X), { index: [1, 0, 2], value: [2, 1.5, -1] });
  assert.deepEqual(encode(small({ k: 9 }), X), { index: [1, 0, 2], value: [2, 1.5, -1] });
});

test("of equal ones top-k keeps the first", () => {
  const equal = small({ b: f32(1, 0, 2) }); // 2, 2, 2
  assert.deepEqual(encode({ ...equal, k: 1 }, X), { index: [0], value: [2] });
  assert.deepEqual(encode({ ...equal, k: 2 }, X), { index: [0, 1], value: [2, 2] });
});

test("what is 0 is not active, nor with a ReLU what is negative", () => {
  assert.deepEqual(encode(small({ k: 3, relu: true }), X), { index: [1, 0], value: [2, 1.5] });
  assert.deepEqual(encode(small({ k: 3, b: f32(-1, 0, -1) }), X).index, [1, 2]); // the first is 0
});

test("all with a ReLU keeps what is over 0, threshold what is over its own", () => {
  assert.deepEqual(encode(small({ select: "all", relu: true }), X), { index: [1, 0], value: [2, 1.5] });
  assert.deepEqual(encode(small({ select: "all" }), X).index, [1, 0, 2]);
  assert.deepEqual(encode(small({ select: "threshold", thresholds: f32(1.5, 1.5, 1.5) }), X), { index: [1], value: [2] });
  assert.deepEqual(encode(small({ select: "threshold", thresholds: f32(1, 2, -2) }), X).index, [0, 2]);
  assert.deepEqual(encode(small({ select: "threshold", thresholds: f32(1, 2, -2), relu: true }), X).index, [0]);
});

test("an encoder of two passes looks again at what is left over", () => {
  // First: 1.5, 2, −1. z = (0, 2, 0) is written as (0, 2), which all see as (0, 2, −2): 1.5, 2 + 2 − 2, −1 + 2 = 1.5, 2, 1.
  assert.deepEqual(encode(small({ k: 1, passes: 2 }), X), { index: [1], value: [2] });
  assert.deepEqual(encode(small({ k: 3, passes: 2, relu: true }), X), { index: [1, 0], value: [2, 1.5] });
  // Half a step: first = 0.5 · (1, 2, 0) + (0.5, 0, −1) = 1, 1, −1; z = (1, 0, 0) writes (1, 0), seen as half of (1, 0, 2):
  // 1 + 1 − 0.5, 1, −1 − 1.
  assert.deepEqual(encode(small({ k: 1, passes: 2, step: 0.5 }), X), { index: [0], value: [1.5] });
});

test("a pursuit adds one after the other", () => {
  // First: 1.5, 2, −1: latent 1 with 2, which writes (0, 2), seen as (0, 2, −2). Left: 1.5, 0, 1: latent 0 with 1.5, which
  // writes (1.5, 0), seen as (1.5, 0, 3). Left: 0, 0, −2.
  assert.deepEqual(encode(small({ k: 1, passes: 2, pursuit: true }), X), { index: [1, 0], value: [2, 1.5] });
  assert.deepEqual(encode(small({ k: 1, passes: 3, pursuit: true, relu: true }), X), { index: [1, 0], value: [2, 1.5] });
  assert.equal(most(small({ k: 1, passes: 3, pursuit: true })), 3);
  assert.equal(most(small({ k: 2, passes: 3 })), 2);
  assert.equal(most(small({ select: "all" })), 0);
});

test("decode sums the rows and the bias", () => {
  const code = { index: [2, 0], value: [2, -1] }; // 2·(0.5, 0.5) − (1, 0) + (0.25, 0)
  assert.deepEqual(decode(small(), code), f64(0.25, 1));
  assert.deepEqual(decode(small(), code, false), f64(0, 1));
  assert.deepEqual(decode(small(), { index: [], value: [] }), f64(0.25, 0));
});

test("of a model in parts features go by their names, and one that is not here adds nothing", () => {
  const parts = { names: [7, 40, 41], place: new Map([[7, 0], [40, 1], [41, 2]]), age: new Map() };
  const model = small({ d_sae: 50, parts });
  assert.deepEqual(encode(model, X), { index: [40, 7], value: [2, 1.5] });
  assert.deepEqual(decode(model, { index: [41, 3], value: [2, 5] }, false), f64(1, 1));
});

test("a reader and a painter are layers before and after", () => {
  const reader = layer(2, 2, "tanh-relu", f32(1, -1, 0, 0), f32(0, 0.5)), painter = layer(2, 1, "sigmoid", f32(1, 1), f32(-1));
  const h = read(small({ reader }), f64(0.5, 9)); // tanh 0.5, and tanh 0
  near(h[0], Math.tanh(0.5));
  assert.equal(h[1], 0);
  assert.deepEqual(picture(small({ painter }), f64(0.5, 0.5)), f64(0.5)); // sigmoid 0
  const x = f64(1, 2);
  assert.equal(read(small(), x), x);
  assert.equal(picture(small(), x), x);
});

test("a classifier's probabilities by hand", () => {
  const reader = layer(2, 2, "tanh-relu", f32(1, 0, 0, 1), f32(0, 0));
  const net = small({ d_in: 2, d_sae: 2, n: 2, W: f32(1, 0, 0, 1), b: f32(0, Math.log(3)), reader });
  const [p, q] = classifyLayer(net, f64(0, 0)); // 1 : 3
  near(p, 0.25, 1e-7);
  near(p + q, 1);
  // A picture is judged as it is shown, clipped.
  assert.deepEqual(classify(net, f64(7, -3)), classify(net, f64(1, 0)));
  assert.deepEqual(opinion(net, true, f64(0, 0), f64(1, 1)), classifyLayer(net, f64(0, 0)));
  assert.deepEqual(opinion(net, false, f64(0, 0), f64(1, 1)), classify(net, f64(1, 1)));
  assert.ok(classifyLayer(small({ W: f32(900, 0, 0, 0, 0, 0) }), f64(1, 0)).every(Number.isFinite));
});

test("Pearson, and the small ones", () => {
  near(pearson([1, 2, 3], [2, 4, 6]), 1);
  near(pearson([1, 2, 3], [3, 2, 1]), -1);
  near(pearson([1, 2, 3, 4], [1, 3, 2, 4]), 0.8);
  assert.equal(pearson([1, 1], [1, 2]), 0);
  assert.deepEqual([argmax([1, 3, 3]), magnitude([1, -4, 2]), magnitude([])], [1, 4, 0]);
  assert.deepEqual([clamp(-1, 0, 1), clamp(2, 0, 1), clamp(0.5, 0, 1)], [0, 1, 0.5]);
  assert.deepEqual(minus([3, 1], [1, 2]), f64(2, -1));
});
