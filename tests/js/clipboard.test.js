import assert from "node:assert/strict";
import { test } from "node:test";

import { standInForClipboard } from "../../ui/live/clipboard.js";

test("where there is a clipboard it stays", () => {
  const clipboard = { writeText: async () => {} }, page = { clipboard };
  standInForClipboard(page, () => assert.fail(), () => assert.fail());
  assert.equal(page.clipboard, clipboard);
});

test("without one the text is copied the old way, or shown selected with what to press", async () => {
  for (const works of [true, false]) {
    const page = {}, copied = [], asked = [];
    standInForClipboard(page, (text) => { copied.push(text); return works; }, (says, text) => asked.push([says, text]));
    await page.clipboard.writeText("recipe");
    assert.deepEqual(copied, ["recipe"]);
    assert.equal(asked.length, works ? 0 : 1);
    if (!works) {
      assert.match(asked[0][0], /Ctrl-C/);
      assert.equal(asked[0][1], "recipe");
    }
  }
});
