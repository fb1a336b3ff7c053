import assert from "node:assert/strict";
import { test } from "node:test";

import { prepareDrawing } from "../../ui/draw/prepare.js";

const SIDE = 28;

/** A drawing with ink in a rectangle. */
function drawing(width, height, [left, top, right, bottom], ink = 255) {
  const gray = new Uint8Array(width * height);
  for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) gray[y * width + x] = ink;
  return prepareDrawing(gray, width, height, 28);
}
const rows = (picture) => Array.from({ length: SIDE }, (_, y) => [...picture.slice(y * SIDE, (y + 1) * SIDE)]);

test("a square by hand: 40 × 40 becomes 20 × 20, its centre between two pixels, so that the tie goes up", () => {
  const inside = (i) => i >= 5 && i < 25;
  assert.deepEqual(rows(drawing(200, 300, [120, 10, 160, 50])), Array.from({ length: 28 }, (_, y) =>
    Array.from({ length: 28 }, (_, x) => (inside(x) && inside(y) ? 1 : 0))));
});

test("a line keeps its shape and its grey: 10 × 100 becomes 2 × 20", () => {
  const made = rows(drawing(90, 120, [40, 5, 50, 105], 204));
  assert.deepEqual(made[4], Array(28).fill(0));
  assert.deepEqual(made[5], Array.from({ length: 28 }, (_, x) => (x === 14 || x === 15 ? 204 / 255 : 0)));
});

test("where it is drawn does not matter", () => {
  assert.deepEqual(drawing(224, 224, [10, 20, 50, 90]), drawing(224, 224, [150, 120, 190, 190]));
});

test("nothing, and next to nothing, is no picture", () => {
  assert.equal(drawing(10, 10, [0, 0, 0, 0]), null);
  assert.equal(drawing(10, 10, [2, 2, 8, 8], 25), null);
  assert.notEqual(drawing(10, 10, [2, 2, 8, 8], 26), null);
});
