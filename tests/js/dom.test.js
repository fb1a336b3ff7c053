import assert from "node:assert/strict";
import { test } from "node:test";

import { showReads } from "../../ui/live/dom.js";
import { f32, layer, small } from "./models.js";

/** As much of an element as titles need. */
class Element {
  constructor(title, dataset = {}) { Object.assign(this, { title, dataset }); }
}
const page = (...elements) => ({
  dataset: {}, querySelectorAll: (selector) => (selector.includes("-title") ? elements : []),
});

test("titles name the size of the model's pictures, also when another model comes", (t) => {
  globalThis.HTMLElement = Element;
  t.after(() => { delete globalThis.HTMLElement; });
  const counts = new Element("", { pixelsTitle: "{pixels} pixels, {side}×{side}" });
  const both = new Element("", { pixelsTitle: "{pixels} of x", layerTitle: "of h, {side} a side" });
  const plain = new Element("of x", { layerTitle: "of h" });
  const root = page(counts, both, plain);
  const shown = (model) => { showReads(root, model); return [root.dataset.reads, counts.title, both.title, plain.title]; };

  assert.deepEqual(shown({ ...small(), d_in: 400 }), ["pixels", "400 pixels, 20×20", "400 of x", "of x"]);
  const reader = layer(9, 2, "tanh-relu", new Float32Array(18), f32(0, 0));
  assert.deepEqual(shown(small({ reader })), ["layer", "9 pixels, 3×3", "of h, 3 a side", "of h"]);
  assert.deepEqual(shown({ ...small(), d_in: 784 }), ["pixels", "784 pixels, 28×28", "784 of x", "of x"]);
});
