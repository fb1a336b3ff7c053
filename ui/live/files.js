/** Files in and out of a page: a picture that is dropped, and what a person takes home. */

import { toBase64 } from "./bytes.js";
import { painted, pen } from "./paint.js";
import { pngAddress } from "./png.js";

const LARGEST_FILE = 10_000_000, MOST_PIXELS = 64_000_000, SENT_SIDE = 560;
const SENT_WHOLE = 400_000; // bytes: less than the pixels of a larger one
const NOISE = 2; // levels by which what is read back may differ, where it is a photo and is made smaller anyhow

/**
 * By what the browser says it is, or where it says nothing that we know, as of .jfif in some systems, by its name.
 * @param {{ type: string, name: string }} file
 */
export const isPicture = ({ type, name }) =>
  /^image\/(png|p?jpeg|jpg|webp|gif|bmp|x-ms-bmp)$/.test(type) || /\.(png|jpe?g|jfif|jpe|webp|gif|bmp)$/i.test(name);

/** By how many levels the browser alters what it gives back of a canvas, as some do so that no site knows them by it. */
export function alteredBy(canvas = document.createElement("canvas")) {
  const side = 32;
  Object.assign(canvas, { width: side, height: side });
  const context = pen(canvas, true), image = context.createImageData(side, side), { data } = image;
  for (let i = 0; i < data.length; i++) data[i] = i % 4 === 3 ? 255 : (i * 37) % 251;
  const sent = Uint8ClampedArray.from(data);
  context.putImageData(image, 0, 0);
  return context.getImageData(0, 0, side, side).data.reduce((most, v, i) => Math.max(most, Math.abs(v - sent[i])), 0);
}

/**
 * A picture file for Python, which finds out what the ink is in it as it does of uploads: the file itself, or of a large
 * one its luminance, then its opacity, 8 bits each; both in base64, the latter at most 560 pixels a side. An Error in
 * words for what is no such file.
 * @param {File | undefined} file
 * @returns {Promise<{ file: string } | { width: number, height: number, px: string }>}
 */
export async function readPicture(file) {
  if (!file) throw new Error("That was no file. Drop a picture file.");
  if (!isPicture(file)) throw new Error("That is no PNG, JPEG, WebP, GIF or BMP file.");
  if (file.size > LARGEST_FILE) {
    throw new Error(`This file has ${(file.size / 1e6).toFixed(1)} MB, and at most ${LARGEST_FILE / 1e6} MB are read. Make it smaller and try again.`);
  }
  if (file.size <= SENT_WHOLE) return { file: toBase64(new Uint8Array(await file.arrayBuffer())) };
  if (alteredBy() > NOISE) {
    throw new Error("This browser alters the pictures that a page reads (a setting for privacy), and a file of over " +
      `${SENT_WHOLE / 1e6} MB has to be made smaller here. Use “Upload a picture” instead, or allow this page to read canvases.`);
  }
  /** @type {ImageBitmap} */
  let bitmap; // of the file's own numbers: no profile changes a level
  try { bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" }); } catch {
    throw new Error("This picture is damaged and cannot be read.");
  }
  if (bitmap.width * bitmap.height > MOST_PIXELS) {
    const size = `${bitmap.width} × ${bitmap.height}`;
    bitmap.close();
    throw new Error(`This picture is too large: ${size} pixels, and at most ${MOST_PIXELS / 1e6} million are read. Make it smaller and try again.`);
  }
  const share = Math.min(1, SENT_SIDE / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * share)));
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = pen(canvas, true), n = width * height;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const pixels = context.getImageData(0, 0, width, height).data, bytes = new Uint8Array(2 * n);
  for (let i = 0, at = 0; i < n; i++, at += 4) { // as Pillow weighs them: grey stays exactly what it is
    bytes[i] = (pixels[at] * 19595 + pixels[at + 1] * 38470 + pixels[at + 2] * 7471 + 0x8000) >> 16;
    bytes[n + i] = pixels[at + 3];
  }
  return { width, height, px: toBase64(bytes) };
}

/**
 * Take content home under that name.
 * @param {Uint8Array<ArrayBuffer> | string | null} content
 * @param {string} name
 * @param {string} type
 */
export function takeHome(content, name, type = "text/plain") {
  const blob = new Blob([content ?? ""], { type });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** @typedef {{ canvas: HTMLCanvasElement, title: string, below?: string, sign?: string }} Panel `sign` stands before it */

/** pixels that a letter of a figure's notes takes at most on average */
const A_LETTER = 6.2;

/** A line in lines of at most so many letters, broken between words. @param {string} line @param {number} letters */
export function wrapped(line, letters) {
  /** @type {string[]} */
  const found = [];
  for (const word of line.split(" ")) {
    const longer = `${found.at(-1) ?? ""} ${word}`;
    if (found.length && longer.length <= letters) found[found.length - 1] = longer;
    else found.push(word);
  }
  return found;
}

/**
 * A row of pictures as a standalone SVG, for a paper.
 * @param {string} title
 * @param {Panel[]} panels
 * @param {string[]} note lines of text under them
 * @param {string | number | null} signed the value that is full colour: adds what the colours mean
 */
export function figureSvg(title, panels, note, signed = null) {
  const SIZE = 84, GAP = 26, EDGE = 14, TOP = 44, A_LINE = 8, HIGH = SIZE + 52;
  /** @type {Record<string, string>} */
  const codes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  /** @param {string} text */
  const safe = (text) => text.replace(/[&<>"]/g, (c) => codes[c]);
  /** @param {number} x @param {number} y @param {string} words */
  const text = (x, y, words, how = "") => `<text x="${x}" y="${y}" ${how}>${safe(words)}</text>`;
  const lines = Math.ceil(panels.length / A_LINE), columns = Math.min(panels.length, A_LINE);
  const width = Math.max(560, 2 * EDGE + GAP + columns * (SIZE + GAP)), parts = [text(EDGE, 24, title, 'font-size="15" font-weight="bold"')];
  panels.forEach(({ canvas, title: name, below = "", sign = "" }, i) => {
    const x = EDGE + GAP + (i % A_LINE) * (SIZE + GAP), y = TOP + Math.floor(i / A_LINE) * HIGH, middle = x + SIZE / 2;
    parts.push(text(x - GAP / 2, y + 12 + SIZE / 2 + 6, sign, 'font-size="18" text-anchor="middle"'), text(middle, y + 8, name, 'text-anchor="middle"'),
      `<image x="${x}" y="${y + 14}" width="${SIZE}" height="${SIZE}" style="image-rendering: pixelated" href="${pngAddress(painted(canvas))}"/>`,
      text(middle, y + SIZE + 30, below, 'text-anchor="middle"'));
  });
  let y = TOP + lines * HIGH + 6;
  if (signed) {
    parts.push(`<rect x="${EDGE}" y="${y - 9}" width="10" height="10" fill="#ffb01e"/>`, text(EDGE + 15, y, "adds ink"),
      `<rect x="${EDGE + 80}" y="${y - 9}" width="10" height="10" fill="#3c96ff"/>`, text(EDGE + 95, y, `takes it away; full colour is ±${signed}`));
    y += 18;
  }
  for (const line of note.flatMap((whole) => wrapped(whole, (width - 2 * EDGE) / A_LETTER))) { parts.push(text(EDGE, y, line)); y += 18; }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" viewBox="0 0 ${width} ${y}" font-family="sans-serif" font-size="11" fill="#000">` +
    `<rect width="100%" height="100%" fill="#fff"/>${parts.join("\n")}</svg>\n`;
}
