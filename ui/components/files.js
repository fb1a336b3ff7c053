// Files in and out of a page, without the server: a picture that is dropped, and what a person takes home.

const LARGEST_FILE = 10_000_000, LARGEST_SIDE = 8000;

// A picture file -> grey levels [side × side], ink bright on 0: the whole picture, as large as it fits, paper taken away
// and turned round where it is light. An Error in words otherwise.
async function readPicture(file, side) {
  if (!file) throw new Error("That was no file. Drop a picture file.");
  if (!/^image\/(png|jpeg|webp|gif|bmp)$/.test(file.type)) throw new Error("That is no PNG, JPEG, WebP, GIF or BMP file.");
  if (file.size > LARGEST_FILE) {
    throw new Error(`This file has ${(file.size / 1e6).toFixed(1)} MB, and at most ${LARGEST_FILE / 1e6} MB are read.`);
  }
  let bitmap;
  try { bitmap = await createImageBitmap(file); } catch { throw new Error("This picture is damaged and cannot be read."); }
  const { width, height } = bitmap;
  if (Math.max(width, height) > LARGEST_SIDE) {
    throw new Error(`This picture is too large: ${width} × ${height} pixels, and at most ${LARGEST_SIDE} a side are read.`);
  }
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const w = Math.max(1, Math.round((width * side) / Math.max(width, height)));
  const h = Math.max(1, Math.round((height * side) / Math.max(width, height)));
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, w, h);
  bitmap.close();
  const pixels = context.getImageData(0, 0, w, h).data;
  const edge = [], ink = new Uint8Array(side * side), grey = (i) => 0.299 * pixels[i] + 0.587 * pixels[i + 1] + 0.114 * pixels[i + 2];
  const opaque = (i) => pixels[i + 3] / 255;
  const thick = Math.max(1, Math.floor(Math.min(w, h) / 28));
  let sum = 0, weight = 0;
  for (let y = 0, i = 0; y < h; y++) {
    for (let x = 0; x < w; x++, i += 4) {
      sum += grey(i) * opaque(i);
      weight += opaque(i);
      const rim = y < thick || x < thick || y >= h - thick || x >= w - thick;
      if (rim && opaque(i) > 0.5) edge.push(grey(i));
    }
  }
  if (weight < 1) throw new Error("There is nothing to see in this picture: it is transparent all over.");
  edge.sort((p, q) => p - q);
  // Ink on nothing: dark ink wants white paper, light ink wants black.
  const paper = edge.length ? edge[edge.length >> 1] : sum / weight < 128 ? 255 : 0;
  const sign = paper > 127 ? -1 : 1;
  let most = 0;
  const found = new Float64Array(w * h);
  for (let j = 0; j < found.length; j++) {
    found[j] = Math.max(0, sign * opaque(4 * j) * (grey(4 * j) - paper));
    most = Math.max(most, found[j]);
  }
  if (most < 26) throw new Error("There is no ink in this picture that stands out from its paper.");
  const left = (side - w) >> 1, top = (side - h) >> 1;
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const v = found[y * w + x] / most;
      ink[(y + top) * side + x + left] = v < 0.15 ? 0 : Math.round(255 * v); // the paper's own grain is no ink
    }
  }
  return ink;
}

// Take content (a Blob or text) home under that name.
function takeHome(content, name, type = "text/plain") {
  const blob = content instanceof Blob ? content : new Blob([content], { type });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
