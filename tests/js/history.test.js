import assert from "node:assert/strict";
import { test } from "node:test";

import { oneStepEach } from "../../ui/live/history.js";

/** A browser's history and its window. */
function browser(address, complete = (/** @type {URL} */ there) => there) {
  const view = new EventTarget(), steps = [address];
  let at = 0;
  Object.defineProperty(view, "location", { get: () => ({ href: `http://here${steps[at]}` }) });
  const history = {
    pushState: (state, unused, to) => { steps.splice(++at, steps.length, to.replace("http://here", "")); },
    replaceState: (state, unused, to) => { steps[at] = to.replace("http://here", ""); },
  };
  const back = () => { at--; view.dispatchEvent(new Event("popstate")); };
  oneStepEach(history, view, complete);
  return { view, steps, back, push: (to) => history.pushState(null, "", to), act: (kind) => view.dispatchEvent(new Event(kind)) };
}

test("the address that completes an opened page's takes its place", () => {
  const { steps, push, act } = browser("/Features");
  act("click");
  push("/Steer?model=a");
  push("/Steer?model=a&feature=0");
  assert.deepEqual(steps, ["/Features", "/Steer?model=a&feature=0"]);
});

for (const kind of ["pointerdown", "click", "keydown", "drop", "change"]) {
  test(`what a person does on the page is a step: ${kind}`, () => {
    const { steps, push, act } = browser("/Features");
    push("/Steer");
    act(kind);
    push("/Steer?feature=1");
    push("/Steer?feature=2");
    assert.deepEqual(steps, ["/Features", "/Steer", "/Steer?feature=1", "/Steer?feature=2"]);
  });
}

test("a page that is gone back to completes its address without losing the way forward", () => {
  const { steps, push, back, act } = browser("/");
  push("/Draw");
  act("click");
  push("/Draw?image=3");
  back();
  push("/Draw?model=a");
  assert.deepEqual(steps, ["/", "/Draw?model=a", "/Draw?image=3"]);
});

test("of what was done before the script came nothing is known: a step", () => {
  const { steps, push } = browser("/Draw");
  push("/Draw?model=a");
  assert.deepEqual(steps, ["/Draw", "/Draw?model=a"]);
});

test("an address that Python writes of the open page says what the browser knows of it", () => {
  const { steps, push, act } = browser("/Features", (there) => { there.searchParams.set("order", "7"); return there; });
  act("click");
  push("/Features?feature=1");
  push("/Steer?feature=1");
  assert.deepEqual(steps, ["/Features", "/Features?feature=1&order=7", "/Steer?feature=1"]);
});
