import assert from "node:assert/strict";
import { test } from "node:test";

import { arrived, asked, at, stepped } from "../../ui/live/steps.js";

const SHOWN = { of: "mnist", value: 3, most: 9, wraps: false, follows: true, ours: false };
const QUIET = { quiet: true, older: false, again: true }, BUSY = { ...QUIET, quiet: false };
const press = (count, n) => ({ ...count, presses: count.presses + n });

test("presses count on from the last number that was known, whatever of them Python has heard", () => {
  let count = press(arrived(undefined, SHOWN, QUIET), 3);
  assert.deepEqual(asked(count, "mnist"), { of: "mnist", value: 3, presses: 3 });
  count = press(count, 2);
  count = arrived(count, { ...SHOWN, value: 6, ours: true }, BUSY); // what became of the first three
  assert.deepEqual(asked(count, "mnist"), { of: "mnist", value: 3, presses: 5 });
  count = arrived(count, { ...SHOWN, value: 8, ours: true }, QUIET);
  assert.deepEqual(count, { of: "mnist", value: 8, presses: 0, seen: 8 });
});

test("the number is seen at once, but where Python looks for the next", () => {
  const count = press(arrived(undefined, SHOWN, QUIET), 8);
  assert.equal(at(count, SHOWN), 1, "after the last comes the first");
  assert.equal(at(count, { ...SHOWN, follows: false }), 3);
  assert.equal(at(press(arrived(undefined, { ...SHOWN, value: null }, QUIET), 1), SHOWN), 0);
});

test("the last wins: a number after presses, and presses after a number", () => {
  const count = press(arrived(undefined, SHOWN, QUIET), 4), to = stepped(count, SHOWN, at(count, SHOWN) + 1);
  assert.deepEqual(asked(to, "mnist"), { of: "mnist", value: 8, presses: 0 });
  assert.deepEqual(asked(press(to, 1), "mnist"), { of: "mnist", value: 8, presses: 1 });
});

test("a field ends where the numbers do, arrows go round", () => {
  const count = arrived(undefined, SHOWN, QUIET), value = (to, wraps) => stepped(count, { ...SHOWN, wraps }, to).value;
  assert.deepEqual([value(-1, false), value(10, false), value(-1, true), value(10, true)], [0, 9, 9, 0]);
});

test("what was meant for another list, or was overtaken on another page, is void", () => {
  const count = press(arrived(undefined, SHOWN, QUIET), 1);
  assert.equal(asked(arrived(count, { ...SHOWN, of: "digits" }, BUSY), "mnist"), null);
  const there = { ...BUSY, again: false };
  assert.equal(asked(arrived(count, { ...SHOWN, value: 7 }, there), "mnist"), null, "chosen there");
  assert.deepEqual(asked(arrived(count, { ...SHOWN, value: 4, ours: true }, there), "mnist"), { of: "mnist", value: 3, presses: 1 });
  assert.deepEqual(asked(arrived(count, SHOWN, there), "mnist"), { of: "mnist", value: 3, presses: 1 }, "nobody chose");
});

test("an older answer changes nothing", () => {
  const count = press(arrived(undefined, SHOWN, QUIET), 1);
  assert.equal(arrived(count, { ...SHOWN, value: 1 }, { ...QUIET, older: true }), count);
});
