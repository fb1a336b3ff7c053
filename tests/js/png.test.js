import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32, inflateSync } from "node:zlib";

import { png } from "../../ui/live/png.js";

/** The chunks of a PNG, their sums looked at where node has one. */
function read(bytes) {
  assert.deepEqual([...bytes.slice(0, 8)], [137, 80, 78, 71, 13, 10, 26, 10]);
  const view = new DataView(bytes.buffer), chunks = {};
  for (let at = 8; at < bytes.length;) {
    const size = view.getUint32(at), name = String.fromCharCode(...bytes.slice(at + 4, at + 8));
    if (crc32) assert.equal(view.getUint32(at + 8 + size), crc32(bytes.slice(at + 4, at + 8 + size)), name);
    chunks[name] = bytes.slice(at + 8, at + 8 + size);
    at += 12 + size;
  }
  return { head: [...chunks.IHDR], lines: [...inflateSync(chunks.IDAT)], ends: chunks.IEND.length === 0 };
}

test("grey pixels are a grey picture, each level as it is", () => {
  const data = [1, 2, 3, 4, 5, 6].flatMap((v) => [v, v, v, 255]);
  assert.deepEqual(read(png({ width: 3, height: 2, data })), {
    head: [0, 0, 0, 3, 0, 0, 0, 2, 8, 0, 0, 0, 0], lines: [0, 1, 2, 3, 0, 4, 5, 6], ends: true });
});

test("colours and what is seen through are kept", () => {
  const data = [1, 2, 3, 255, 9, 9, 9, 128], { head, lines } = read(png({ width: 1, height: 2, data }));
  assert.equal(head[9], 6);
  assert.deepEqual(lines, [0, 1, 2, 3, 255, 0, 9, 9, 9, 128]);
});

test("a picture of more than a block's bytes", () => {
  const side = 300, data = Uint8Array.from({ length: side * side * 4 }, (_, i) => (i % 4 === 3 ? 255 : (i >> 2) % 250));
  const { lines } = read(png({ width: side, height: side, data }));
  assert.equal(lines.length, side * (side + 1));
  for (const i of [0, 250, 65_535, 65_536, side * side - 1]) assert.equal(lines[i + 1 + Math.floor(i / side)], i % 250);
});
