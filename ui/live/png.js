/**
 * Pixels as a PNG, by our own arithmetic: a browser may alter what it gives back of a canvas, also as a file, so that a
 * site cannot know it by its drawing. Not compressed, as the pictures are small.
 */

import { toBase64 } from "./bytes.js";

const SIGNATURE = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), MOST_STORED = 65_535;
const CRC = new Uint32Array(256);
for (let i = 0; i < 256; i++) {
  CRC[i] = i;
  for (let bit = 0; bit < 8; bit++) CRC[i] = CRC[i] & 1 ? 0xedb88320 ^ (CRC[i] >>> 1) : CRC[i] >>> 1;
}

/** @param {string} name @param {Uint8Array} content */
function chunk(name, content) {
  const out = new Uint8Array(12 + content.length), view = new DataView(out.buffer);
  view.setUint32(0, content.length);
  for (let i = 0; i < 4; i++) out[4 + i] = name.charCodeAt(i);
  out.set(content, 8);
  let crc = 0xffffffff;
  for (let i = 4; i < out.length - 4; i++) crc = CRC[(crc ^ out[i]) & 255] ^ (crc >>> 8);
  view.setUint32(out.length - 4, ~crc);
  return out;
}

/** Bytes as a zlib stream that stores them. @param {Uint8Array} bytes */
function stored(bytes) {
  const blocks = Math.max(1, Math.ceil(bytes.length / MOST_STORED)), out = new Uint8Array(bytes.length + 5 * blocks + 6);
  const view = new DataView(out.buffer);
  out.set([0x78, 0x01]);
  let to = 2, a = 1, b = 0;
  for (let k = 0; k < blocks; k++) {
    const part = bytes.subarray(k * MOST_STORED, (k + 1) * MOST_STORED);
    out[to] = k === blocks - 1 ? 1 : 0;
    view.setUint16(to + 1, part.length, true);
    view.setUint16(to + 3, ~part.length, true);
    out.set(part, to + 5);
    to += 5 + part.length;
  }
  for (const byte of bytes) {
    a = (a + byte) % 65_521;
    b = (b + a) % 65_521;
  }
  view.setUint32(to, ((b << 16) | a) >>> 0);
  return out;
}

/**
 * @param {{ width: number, height: number, data: ArrayLike<number> }} image RGBA, 8 bits each
 * @returns {Uint8Array<ArrayBuffer>} a PNG file: grey where all of it is grey and opaque
 */
export function png({ width, height, data }) {
  let grey = true;
  for (let i = 0; grey && i < data.length; i += 4) grey = data[i] === data[i + 1] && data[i] === data[i + 2] && data[i + 3] === 255;
  const step = grey ? 1 : 4, lines = new Uint8Array(height * (1 + width * step)); // each begins with 0: not filtered
  for (let y = 0, from = 0, to = 0; y < height; y++) {
    to++;
    for (let x = 0; x < width; x++, from += 4) {
      for (let c = 0; c < step; c++) lines[to++] = data[from + c];
    }
  }
  const head = new Uint8Array(13), view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([8, grey ? 0 : 6], 8);
  const parts = [SIGNATURE, chunk("IHDR", head), chunk("IDAT", stored(lines)), chunk("IEND", new Uint8Array())];
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The same as an address. @param {{ width: number, height: number, data: ArrayLike<number> }} image */
export const pngAddress = (image) => `data:image/png;base64,${toBase64(png(image))}`;
