import assert from "node:assert/strict";
import { test } from "node:test";

import { enlarge, line } from "../../ui/draw/ink.js";

const SIDE = 8;
const rows = (gray) => Array.from({ length: SIDE }, (_, y) => [...gray.slice(y * SIDE, (y + 1) * SIDE)]);
const sheet = () => new Uint8Array(SIDE * SIDE);

test("a line by hand: its pixels are full, and half where its rim is in their middle", () => {
  const gray = sheet(), box = line(gray, SIDE, [2, 3.5], [6, 3.5], 2, false);
  const [above, on, below] = rows(gray).slice(2, 5);
  assert.deepEqual(above.slice(2, 6), [128, 128, 128, 128]);
  assert.deepEqual(on.slice(2, 6), [255, 255, 255, 255]);
  assert.deepEqual(below, above);
  assert.equal(on[1], 255, "its round end: half a pixel from it");
  assert.equal(on[0], 0, "a pixel and a half from it, half of it beyond");
  assert.deepEqual(box, { x: 0, y: 2, width: 8, height: 3 });
  for (const y of [0, 1, 5, 6, 7]) assert.deepEqual(rows(gray)[y], Array(SIDE).fill(0));
});

test("a dot is a disc, whichever way it is written", () => {
  const dot = sheet();
  line(dot, SIDE, [4, 4], [4, 4], 4, false);
  for (const y of [0, 1, 2, 3]) assert.deepEqual(rows(dot)[y], rows(dot)[7 - y]);
  for (const row of rows(dot)) assert.deepEqual(row, [...row].reverse());
  // sqrt(1.5² + .5²) = 1.58 from the middle, of 2: .92 is covered; sqrt(1.5² + 1.5²) = 2.12: .379
  assert.deepEqual(rows(dot)[2], [0, 0, 97, 234, 234, 97, 0, 0]);
  const ink = dot.reduce((sum, v) => sum + v, 0) / 255;
  assert.ok(Math.abs(ink - Math.PI * 4) < 0.3, `${ink}`);
});

test("an eraser leaves what it does not cover, and nothing is drawn beyond the sheet", () => {
  const gray = sheet().fill(255);
  line(gray, SIDE, [4, -3], [4, 20], 4, true);
  for (const row of rows(gray)) assert.deepEqual(row, [255, 255, 0, 0, 0, 0, 255, 255]);
  assert.deepEqual(line(gray, SIDE, [-50, -50], [-40, -50], 4, false), { x: 0, y: 0, width: 0, height: 0 });
});

test("only the box that is said has changed", () => {
  const gray = sheet(), { x, y, width, height } = line(gray, SIDE, [1.2, 1.7], [3.3, 2.9], 1.5, false);
  assert.ok(gray.some((v) => v > 0));
  gray.forEach((v, i) => {
    const [column, row] = [i % SIDE, Math.floor(i / SIDE)];
    if (column < x || column >= x + width || row < y || row >= y + height) assert.equal(v, 0);
  });
});

test("a picture is enlarged linearly between the middles of its pixels, and keeps its size and its levels", () => {
  const gray = sheet();
  enlarge(gray, SIDE, Uint8Array.of(0, 80, 0, 80));
  assert.deepEqual(rows(gray)[3], [0, 0, 10, 30, 50, 70, 80, 80]);
  assert.deepEqual(rows(gray)[0], rows(gray)[7]);
  const same = Uint8Array.from({ length: SIDE * SIDE }, (_, i) => 3 * i);
  enlarge(gray, SIDE, same);
  assert.deepEqual([...gray], [...same]);
});
