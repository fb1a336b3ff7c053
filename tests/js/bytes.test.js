import assert from "node:assert/strict";
import { test } from "node:test";

import { fromBase64, fromLevels, header, toBase64, unpack } from "../../ui/live/bytes.js";
import { f32, f64 } from "./models.js";

/** As `pack` in model.py. */
function packed(head, halves, floats) {
  const text = new TextEncoder().encode(JSON.stringify(head));
  const parts = [new Uint8Array(Uint32Array.of(text.length).buffer), text, new Uint8Array(Uint16Array.from(halves).buffer), new Uint8Array(f32(...floats).buffer)];
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
// Bits of float16 numbers, by hand.
const ONE = 0x3c00, TWO = 0x4000, MINUS_HALF = 0xb800, LEAST = 0x0001, ZERO = 0;

test("base64 and levels there and back", () => {
  const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => i % 251);
  assert.deepEqual(fromBase64(toBase64(bytes)), bytes);
  assert.equal(toBase64(Uint8Array.of(1, 2, 3)), "AQID");
  assert.deepEqual(fromLevels(Uint8Array.of(0, 51, 255)), f64(0, 0.2, 1));
});

test("a packed model", () => {
  const reader = { n_in: 3, n_out: 2, squash: "tanh-relu" };
  const head = { id: "m", d_in: 2, d_sae: 1, select: "all", k: 0, relu: true, reader, painter: null };
  // A length that is odd, so that nothing is where float32 numbers may begin.
  for (const id of ["m", "mm", "mmm"]) {
    const bytes = packed({ ...head, id }, [ONE, TWO, MINUS_HALF, LEAST, ONE, ONE, TWO, TWO, ZERO, ONE], [0.1, 1, 2, 3, 4]);
    const model = unpack(bytes);
    assert.deepEqual([model.id, model.n, model.parts, model.reader?.squash, model.painter], [id, 1, null, "tanh-relu", null]);
    assert.deepEqual([model.W, model.D], [f32(1, 2), f32(-0.5, 2 ** -24)]);
    assert.deepEqual([model.b, model.c, model.reader?.b], [f32(0.1), f32(1, 2), f32(3, 4)]);
    assert.deepEqual(model.reader?.W, f32(1, 1, 2, 2, 0, 1));
  }
});

test("a part of a model", () => {
  const head = { id: "m", d_in: 1, d_sae: 50, select: "topk", k: 2, relu: false, reader: null, painter: null };
  const bytes = packed({ ...head, features: [4, 9], answer: { seq: 3 } }, [ONE, TWO, TWO, ONE], [5, 6, 7]);
  const { parts, n, d_sae, W, D, b, c } = unpack(bytes);
  assert.equal(header(bytes).head.answer.seq, 3);
  assert.deepEqual([parts?.names, [...(parts?.place ?? [])], n, d_sae], [[4, 9], [[4, 0], [9, 1]], 2, 50]);
  assert.deepEqual([W, D, b, c], [f32(1, 2), f32(2, 1), f32(5, 6), f32(7)]);
  const over = packed({ ...head, select: "threshold", features: [4, 9] }, [ONE, TWO, TWO, ONE], [5, 6, 7, 8, 9]);
  assert.deepEqual([unpack(over).b, unpack(over).thresholds], [f32(5, 6), f32(8, 9)]);
  assert.equal(unpack(bytes).thresholds, null);
});
