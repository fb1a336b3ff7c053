import assert from "node:assert/strict";
import { test } from "node:test";

import { energies, inexact, meanSquares, norms, sorted, without } from "../../ui/draw/terms.js";
import { decode } from "../../ui/live/arithmetic.js";
import { f64, small } from "./models.js";

const CODE = { index: [1, 0, 2], value: [2, -1.5, 3] };

test("energies by hand", () => {
  assert.deepEqual(norms(small()), f64(1, 1, 0.5));
  assert.deepEqual(energies(small(), norms(small()), CODE), [4, 2.25, 4.5]);
});

test("terms in each order", () => {
  const energy = [4, 2.25, 4.5];
  assert.deepEqual(sorted(CODE, "energy", energy), { code: { index: [2, 1, 0], value: [3, 2, -1.5] }, energy: [4.5, 4, 2.25] });
  assert.deepEqual(sorted(CODE, "activation", energy).code.index, [2, 1, 0]);
  assert.deepEqual(sorted(CODE, "index", energy).code.index, [0, 1, 2]);
  assert.deepEqual(sorted({ index: [5, 2], value: [1, -1] }, "activation", [1, 1]).code.index, [2, 5], "of equal ones the first");
});

test("how exact the sum is", () => {
  assert.equal(inexact(small(), CODE, decode(small(), CODE)), 0);
  assert.equal(inexact(small(), CODE, decode(small(), CODE).map((v, i) => v + i / 4)), 0.25);
  const code = { index: [0], value: [1 / 3] };
  const off = Math.fround(Math.fround(1 / 3) + 0.25) - (1 / 3 + 0.25);
  assert.equal(inexact(small(), code, decode(small(), code)), Math.abs(off));
  assert.equal(meanSquares(f64(1, 2), f64(2, 4)), 2.5);
});

test("a change that its number does not show is said in words", () => {
  assert.equal(without("7", 0.99999, 0.99996), "Without it no visible change: 7 with 100.0 %.");
  assert.equal(without("7", 0.9, 0.5), "Without it: 7 with 50.0 %, not 90.0 %.");
});
