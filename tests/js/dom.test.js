import assert from "node:assert/strict";
import { test } from "node:test";

import { showReads, write } from "../../ui/live/dom.js";
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

test("a number moves on in a page that a translator has wrapped", (t) => {
  class Text { constructor(data) { this.data = data; this.nextSibling = null; } }
  globalThis.Text = Text;
  t.after(() => { delete globalThis.Text; });
  const make = (...nodes) => {
    nodes.forEach((node, i) => { node.nextSibling = nodes[i + 1] ?? null; });
    return { firstChild: nodes[0] ?? null, set textContent(text) { this.firstChild = new Text(text); } };
  };
  const plain = make(new Text("0.1")), node = plain.firstChild;
  write(plain, "0.2");
  assert.equal(plain.firstChild, node, "untouched, the node stays");
  assert.equal(node.data, "0.2");
  for (const wrapped of [make({ font: "0.1" }), make(new Text(""), { font: "0.1" })]) {
    write(wrapped, "0.3");
    assert.equal(wrapped.firstChild.data, "0.3");
    assert.equal(wrapped.firstChild.nextSibling, null);
  }
});
