// The live engine: one file, put by Python in front of every component's script; the first one to load stays in
// the page for all of them. It holds models by id, computes code and reconstruction of a picture, and paints.
// Formula (the same as sae_core.sae.InferenceForm):  codes = select(x @ W + b),  x_hat = codes @ D + c.
const sae = (globalThis.__saeEngine ??= (() => {
  const SIDE = 28;
  const models = new Map();
  const waiting = new Map(); // model id -> Set of callbacks

  // ---- models

  const HALF = new Float32Array(65536); // every float16, decoded once
  for (let h = 0; h < 65536; h++) {
    const e = (h >> 10) & 31, m = h & 1023, s = h >> 15 ? -1 : 1;
    HALF[h] = e === 0 ? s * m * 2 ** -24 : e === 31 ? (m ? NaN : s * Infinity) : s * (1 + m / 1024) * 2 ** (e - 15);
  }

  function halves(bytes, at, n) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, n * 2);
    const out = new Float32Array(n);
    for (let i = 0; i < n; i++) out[i] = HALF[view.getUint16(2 * i, true)];
    return out;
  }

  // bytes: uint32 length of a JSON header, the header, then W and D as float16, b and c as float32.
  function putModel(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const length = view.getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
    if (models.has(head.id)) return head.id;
    const { d_in, d_sae } = head;
    let at = 4 + length;
    const W = halves(bytes, at, d_in * d_sae);
    const D = halves(bytes, (at += 2 * d_in * d_sae), d_sae * d_in);
    const floats = (n) => {
      const out = new Float32Array(bytes.slice(at, at + 4 * n).buffer);
      at += 4 * n;
      return out;
    };
    at += 2 * d_in * d_sae;
    const b = floats(d_sae), c = floats(d_in);
    models.set(head.id, { ...head, W, D, b, c, pre: new Float64Array(d_sae), sprites: new Map() });
    for (const callback of waiting.get(head.id) ?? []) callback(models.get(head.id));
    waiting.delete(head.id);
    return head.id;
  }

  // Calls back with the model, now or when it arrives; the result takes the request back.
  function withModel(id, callback) {
    if (models.has(id)) { callback(models.get(id)); return () => {}; }
    if (!waiting.has(id)) waiting.set(id, new Set());
    waiting.get(id).add(callback);
    return () => waiting.get(id)?.delete(callback);
  }

  // ---- arithmetic: float64 sums over float32 numbers

  // x [d_in] -> { index, value }, by value, the largest magnitude first.
  function encode(model, x) {
    const { W, b, pre, d_sae, k, relu } = model;
    pre.set(b);
    for (let i = 0; i < x.length; i++) {
      const v = x[i];
      if (v === 0) continue; // most of a digit is empty
      for (let f = 0, at = i * d_sae; f < d_sae; f++, at++) pre[f] += v * W[at];
    }
    let limit = 0, ties = 0; // kept: everything over the limit, and so many that equal it
    if (model.select === "topk") {
      const sorted = Float64Array.from(pre).sort();
      limit = sorted[d_sae - k];
      for (let i = d_sae - k; i < d_sae && sorted[i] === limit; i++) ties++;
    } else {
      limit = model.select === "threshold" ? model.threshold : 0;
    }
    const index = [];
    for (let f = 0; f < d_sae; f++) {
      const v = pre[f];
      if (!(v > limit || (v === limit && ties-- > 0)) || v === 0 || (relu && v < 0)) continue;
      index.push(f);
    }
    index.sort((p, q) => Math.abs(pre[q]) - Math.abs(pre[p]) || p - q);
    return { index, value: index.map((f) => pre[f]) };
  }

  // The sum of value · D[index], plus c unless `bias` is false, into a Float64Array(d_in).
  function decode(model, { index, value }, bias = true) {
    const { D, c, d_in } = model;
    const out = bias ? Float64Array.from(c) : new Float64Array(d_in);
    for (let j = 0; j < index.length; j++) {
      const a = value[j];
      if (a === 0) continue;
      for (let i = 0, at = index[j] * d_in; i < d_in; i++, at++) out[i] += a * D[at];
    }
    return out;
  }

  function pearson(a, b) {
    const n = a.length;
    let ma = 0, mb = 0;
    for (let i = 0; i < n; i++) { ma += a[i] / n; mb += b[i] / n; }
    let ab = 0, aa = 0, bb = 0;
    for (let i = 0; i < n; i++) {
      const p = a[i] - ma, q = b[i] - mb;
      ab += p * q; aa += p * p; bb += q * q;
    }
    return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : 0;
  }

  // ---- bytes

  const toBase64 = (bytes) => {
    let text = "";
    for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    return btoa(text);
  };
  const fromBase64 = (text) => Uint8Array.from(atob(text), (ch) => ch.charCodeAt(0));
  const fromLevels = (bytes) => Float64Array.from(bytes, (v) => v / 255);

  // ---- colours: ink is white on black as in MNIST; signed is blue – black – orange, for every kind of eye

  const INK = new Uint32Array(256), SIGNED = new Uint32Array(511);
  const rgb = (r, g, b) => (255 << 24) | (b << 16) | (g << 8) | r;
  for (let i = 0; i < 256; i++) {
    const t = i / 255;
    INK[i] = rgb(i, i, i);
    SIGNED[255 + i] = rgb(255 * t ** 0.8, 176 * t, 30 * t ** 2);
    SIGNED[255 - i] = rgb(60 * t ** 1.5, 150 * t, 255 * t ** 0.8);
  }
  const clamp = (v, low, high) => (v < low ? low : v > high ? high : v);

  // Paint values [side × side] into a canvas of that many pixels; CSS enlarges it. `scale`: the value that is full
  // orange (−scale is full blue); without it values are ink in [0, 1]. Clipped here only, on the screen.
  function paint(canvas, values, scale = null, side = SIDE) {
    if (canvas.width !== side) { canvas.width = side; canvas.height = side; }
    const context = canvas.getContext("2d");
    const image = (canvas.__image ??= context.createImageData(side, side));
    const pixels = new Uint32Array(image.data.buffer);
    if (scale === null) {
      for (let i = 0; i < pixels.length; i++) pixels[i] = INK[(clamp(values[i], 0, 1) * 255 + 0.5) | 0];
    } else {
      const unit = scale > 0 ? 255 / scale : 0;
      for (let i = 0; i < pixels.length; i++) {
        pixels[i] = SIGNED[(clamp(values[i] * unit, -255, 255) + 255.5) | 0];
      }
    }
    context.putImageData(image, 0, 0);
  }

  // All rows of "encoder" (columns of W) or "decoder" as one canvas, 32 (or what is given) tiles of 28 × 28 a line.
  // scale "each": every tile over its own largest magnitude; "common": all over one (the 99.5th percentile of them).
  function sprite(model, rows = "decoder", scale = "each", columns = 32) {
    const key = `${rows} ${scale} ${columns}`;
    if (model.sprites.has(key)) return model.sprites.get(key);
    const { W, D, d_in, d_sae } = model;
    const at = rows === "decoder" ? (f, i) => D[f * d_in + i] : (f, i) => W[i * d_sae + f];
    const largest = new Float64Array(d_sae);
    for (let f = 0; f < d_sae; f++) {
      for (let i = 0; i < d_in; i++) largest[f] = Math.max(largest[f], Math.abs(at(f, i)));
    }
    const common = Float64Array.from(largest).sort()[Math.floor(0.995 * (d_sae - 1))];
    const canvas = document.createElement("canvas");
    canvas.width = columns * SIDE;
    canvas.height = Math.ceil(d_sae / columns) * SIDE;
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let f = 0; f < d_sae; f++) {
      const unit = 255 / ((scale === "each" ? largest[f] : common) || 1);
      const corner = Math.floor(f / columns) * SIDE * canvas.width + (f % columns) * SIDE;
      for (let i = 0; i < d_in; i++) {
        const level = (clamp(at(f, i) * unit, -255, 255) + 255.5) | 0;
        pixels[corner + Math.floor(i / SIDE) * canvas.width + (i % SIDE)] = SIGNED[level];
      }
    }
    context.putImageData(image, 0, 0);
    model.sprites.set(key, canvas);
    return canvas;
  }

  // Draw feature f's tile of a sprite into a box of another canvas.
  function drawTile(context, canvas, f, x, y, size, columns = 32) {
    context.imageSmoothingEnabled = false;
    const left = (f % columns) * SIDE, top = Math.floor(f / columns) * SIDE;
    context.drawImage(canvas, left, top, SIDE, SIDE, x, y, size, size);
  }

  // A canvas whose pixels are the screen's: sets its size in CSS pixels, returns a context scaled to them.
  function fit(canvas, width, height) {
    const ratio = globalThis.devicePixelRatio || 1;
    const w = Math.round(width * ratio), h = Math.round(height * ratio);
    if (canvas.width !== w || canvas.height !== h) {
      canvas.width = w; canvas.height = h;
      canvas.style.width = `${width}px`; canvas.style.height = `${height}px`;
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return context;
  }

  // ---- frames: at most one computation a frame, however many events come, and a record of how long it took

  const frames = []; // { event, start, end, painted }: ms on the page's clock, the last 2,000
  const channel = new MessageChannel();
  const unpainted = [];
  channel.port1.onmessage = () => {
    const now = performance.now();
    for (const frame of unpainted.splice(0)) frame.painted = now;
  };

  // work() runs in the next frame after request(event), once.
  function live(work) {
    let pending = null;
    return (event) => {
      if (pending !== null) return;
      pending = event?.timeStamp ?? performance.now();
      requestAnimationFrame(() => {
        const frame = { event: pending, start: performance.now(), end: 0, painted: 0 };
        pending = null;
        work();
        frame.end = performance.now();
        frames.push(frame);
        if (frames.length > 2000) frames.shift();
        unpainted.push(frame);
        channel.port2.postMessage(0);
      });
    };
  }

  // Streamlit also takes back an update that a newer one overtook, while the element stays: clean up only after the
  // element itself is gone.
  function whenGone(parentElement, cleanUp) {
    setTimeout(() => { if (!(parentElement.host ?? parentElement).isConnected) cleanUp(); });
  }

  return {
    SIDE, models, whenGone, putModel, withModel, encode, decode, pearson, toBase64, fromBase64, fromLevels,
    paint, sprite, drawTile, fit, frames, live, clamp,
  };
})());
