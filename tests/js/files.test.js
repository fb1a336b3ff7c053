import assert from "node:assert/strict";
import { test } from "node:test";

import { isPicture } from "../../ui/live/files.js";

test("a picture is known by its kind or by its name, in large letters too", () => {
  for (const [type, name] of [["image/jpeg", "x.jfif"], ["", "x.jfif"], ["image/pjpeg", "x"], ["", "IMG_1.JPG"], ["", "a.JPE"],
    ["application/octet-stream", "a.Png"], ["image/x-ms-bmp", "a"]]) assert.ok(isPicture({ type, name }), `${type} ${name}`);
  for (const [type, name] of [["text/plain", "x"], ["image/svg+xml", "a.svg"], ["image/tiff", "a.tif"], ["", "jpg"], ["", "a.jpg.exe"]]) {
    assert.ok(!isPicture({ type, name }), `${type} ${name}`);
  }
});
