import assert from "node:assert/strict";
import { test } from "node:test";

import { biasPicture, features, peaks, rowPictures } from "../../ui/live/rows.js";
import { f32, f64, layer, small } from "./models.js";

const all = (model, rows, size) => {
  const at = rowPictures(model, rows);
  return features(model).map((f) => Array.from({ length: size }, (_, i) => at(f, i)));
};

test("a feature's column of W and its row of D", () => {
  assert.deepEqual(all(small(), "encoder", 2), [[1, 0], [0, 1], [2, -1]]);
  assert.deepEqual(all(small(), "decoder", 2), [[1, 0], [0, 1], [0.5, 0.5]]);
  assert.deepEqual(peaks(small(), rowPictures(small(), "encoder")), f64(1, 1, 2));
  assert.deepEqual(biasPicture(small()), f64(0.25, 0));
});

test("of a hidden layer they go back through the reader and on through the painter", () => {
  const reader = layer(3, 2, "tanh-relu", f32(1, 0, 0, 1, 1, 1), f32(0, 0)); // pixels: h0, h1, h0 + h1
  const painter = layer(2, 3, "sigmoid", f32(1, 0, 2, 0, 1, 2), f32(0, 0, 0)); // h0, h1, 2 (h0 + h1)
  const model = small({ reader, painter });
  assert.deepEqual(all(model, "encoder", 3), [[1, 0, 1], [0, 1, 1], [2, -1, 1]]);
  assert.deepEqual(all(model, "decoder", 3), [[1, 0, 2], [0, 1, 2], [0.5, 0.5, 2]]);
  assert.deepEqual(biasPicture(model), f64(0.25, 0, 0.5));
});

test("of a model in parts they go by name", () => {
  const parts = { names: [5, 6, 9], place: new Map([[5, 0], [6, 1], [9, 2]]), age: new Map() };
  assert.deepEqual(features(small({ parts })), [5, 6, 9]);
  assert.deepEqual(all(small({ parts }), "decoder", 2), [[1, 0], [0, 1], [0.5, 0.5]]);
  assert.deepEqual(all(small({ parts }), "encoder", 2), [[1, 0], [0, 1], [2, -1]]);
});
