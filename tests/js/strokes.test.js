import assert from "node:assert/strict";
import { test } from "node:test";

import { Strokes } from "../../ui/draw/strokes.js";

const PICTURE = Uint8Array.of(1, 2, 3, 4);

const given = () => Object.assign(new Strokes(), { base: PICTURE, ref: "mnist-test-11" });

test("the first stroke takes the place of a picture that was given, and undo brings it back", () => {
  const drawn = given();
  assert.ok(drawn.startsAnew);
  drawn.begin([1, 1], 7);
  assert.deepEqual([drawn.base, drawn.ref, drawn.strokes.length], [null, null, 1]);
  drawn.pointer = null;
  drawn.begin([2, 2], 7);
  assert.equal(drawn.strokes.length, 2, "only the first one does");
  drawn.pointer = null;
  drawn.undo();
  drawn.undo();
  assert.deepEqual([drawn.base, drawn.ref, drawn.strokes.length], [PICTURE, "mnist-test-11", 0]);
});

test("who says so draws on it, and so does an eraser", () => {
  for (const how of ["onto", "erase"]) {
    const drawn = Object.assign(given(), { [how]: true });
    assert.ok(!drawn.startsAnew, how);
    drawn.begin([1, 1], 7);
    assert.deepEqual([drawn.base, drawn.ref, drawn.strokes.length], [PICTURE, "mnist-test-11", 1]);
  }
});

test("an abandoned stroke was never drawn", () => {
  const drawn = given();
  drawn.begin([1, 1], 7);
  drawn.abandon();
  assert.deepEqual([drawn.base, drawn.strokes.length, drawn.past.length, drawn.pointer], [PICTURE, 0, 0, null]);
});
