import assert from "node:assert/strict";
import { test } from "node:test";

import { Edits } from "../../ui/steer/edits.js";

const NOTHING = { edits: [], rules: [], added: [], solo: null };

/** The edits of a picture that uses features 1 (at 2) and 4 (at 0.5). */
function made() {
  const edits = new Edits(NOTHING);
  edits.natural = new Map([[1, 2], [4, 0.5]]);
  return edits;
}
const values = (e) => e.code([1, 4]);

test("by hand: off, on, set, alone, and back", () => {
  const e = made();
  assert.deepEqual([values(e), e.touched], [{ index: [1, 4], value: [2, 0.5] }, false]);
  e.off(1);
  assert.deepEqual(values(e).value, [0, 0.5]);
  e.on(1);
  assert.deepEqual([values(e).value, e.touched], [[2, 0.5], false]);
  e.set(9, 3);
  e.set(3, -2);
  assert.deepEqual(values(e), { index: [1, 4, 3, 9], value: [2, 0.5, -2, 3] });
  e.alone(4);
  assert.deepEqual(values(e).value, [0, 0.5, 0, 0]);
  e.alone(4);
  assert.equal(e.solo, null);
});

test("rules: a scale multiplies this picture's own activation, a clamp holds it", () => {
  assert.equal(Edits.ruled({ mode: "scale", value: 3 }, 2), 6);
  assert.deepEqual([-5, 0.5, 5].map((a) => Edits.ruled({ mode: "clamp", low: 0, high: 1 }, a)), [0, 0.5, 1]);
  const e = made();
  e.adopt({ ...NOTHING, edits: [[1, 99], [4, 99]], rules: [[1, { mode: "scale", value: 0.5 }], [4, { mode: "clamp", low: 1, high: 2 }]] });
  assert.deepEqual(values(e).value, [1, 1]);
});

test("undo and redo go through all states, whatever was done", () => {
  const e = made(), states = [e.snap()];
  let seed = 7;
  const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
  for (let i = 0; i < 60; i++) {
    const f = random(6), work = [() => e.set(f, random(5)), () => e.off(f), () => e.on(f, 1), () => e.alone(f), () => e.forget(f), () => e.remove(f)];
    work[random(6)]();
    e.remember();
    if (JSON.stringify(e.snap()) !== JSON.stringify(states.at(-1))) states.push(e.snap());
  }
  assert.ok(states.length > 30);
  for (const state of states.slice(0, -1).reverse()) {
    assert.ok(e.undo());
    assert.deepEqual(e.snap(), state);
  }
  assert.equal(e.undo(), false);
  for (const state of states.slice(1)) {
    assert.ok(e.redo());
    assert.deepEqual(e.snap(), state);
  }
  assert.equal(e.redo(), false);
});
