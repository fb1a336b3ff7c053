import assert from "node:assert/strict";
import { test } from "node:test";

import { figureSvg, isPicture, wrapped } from "../../ui/live/files.js";

test("a picture is known by its kind or by its name, in large letters too", () => {
  for (const [type, name] of [["image/jpeg", "x.jfif"], ["", "x.jfif"], ["image/pjpeg", "x"], ["", "IMG_1.JPG"], ["", "a.JPE"],
    ["application/octet-stream", "a.Png"], ["image/x-ms-bmp", "a"]]) assert.ok(isPicture({ type, name }), `${type} ${name}`);
  for (const [type, name] of [["text/plain", "x"], ["image/svg+xml", "a.svg"], ["image/tiff", "a.tif"], ["", "jpg"], ["", "a.jpg.exe"]]) {
    assert.ok(!isPicture({ type, name }), `${type} ${name}`);
  }
});

test("a line is broken between words", () => {
  assert.deepEqual(wrapped("one two three", 7), ["one two", "three"]);
  assert.deepEqual(wrapped("unbreakable a", 4), ["unbreakable", "a"]);
});

test("a figure's notes stand within it, whole", () => {
  const note = "Model topk-1024-k50, error-preserving mode, of many words and numbers. ".repeat(4).trim();
  const svg = figureSvg("Title", [], [note], 1);
  const size = svg.match(/width="(\d+)" height="(\d+)"/)?.map(Number) ?? [];
  const lines = [...svg.matchAll(/<text x="14" y="(\d+)" >([^<]*)</g)];
  assert.equal(lines.map((line) => line[2]).join(" "), note);
  assert.ok(lines.length > 2);
  for (const [, y, line] of lines) assert.ok(line.length * 6 < size[1] && Number(y) < size[2], line);
});
