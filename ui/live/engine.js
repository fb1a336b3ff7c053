// The live engine: one file, linked into every component's script; the first one to load stays in
// the page for all of them. It holds models by id, computes code and reconstruction of a picture, and paints.
// Formula (the same as sae_core.models.forms.InferenceForm):  codes = select(h @ W + b),  h_hat = codes @ D + c,  where h is
// the picture x itself or a hidden layer of a classifier, which the model's reader makes of x; its painter makes a
// picture of h or h_hat. The names are those of sae_core.models.sae.SAE: read, encode, decode, picture.
export const sae = (globalThis.__saeEngine ??= (() => {
  const SIDE = 28, PIXELS = SIDE * SIDE, APART_MS = 25;
  const OLDER_ROWS = 1024; // of a model in parts: kept beside those that came last
  const models = new Map();
  const waiting = new Map(); // model id -> Set of callbacks
  let parts = 0; // that have come: how old a row is

  // ---- models

  const HALF = new Float32Array(65536); // every float16, decoded once
  for (let h = 0; h < 65536; h++) {
    const e = (h >> 10) & 31, m = h & 1023, s = h >> 15 ? -1 : 1;
    HALF[h] = e === 0 ? s * m * 2 ** -24 : e === 31 ? (m ? NaN : s * Infinity) : s * (1 + m / 1024) * 2 ** (e - 15);
  }

  // bytes: uint32 length of a JSON header, the header, then matrices as float16: W, D and, where the model has them,
  // its reader's and its painter's; then as many biases as float32, in the same order: b, c, reader's, painter's.
  // A header with `features` brings only those columns of W and b and rows of D: see "a model in parts".
  function putModel(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const length = view.getUint32(0, true);
    const { features: names = null, answers, ...head } = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
    const here = models.get(head.id);
    if (here && !here.names) return head.id;
    const { d_in } = head, n = names ? names.length : head.d_sae;
    const layers = [head.reader, head.painter].filter(Boolean); // { n_in, n_out, squash }, or null
    let at = 4 + length;
    const halves = (count) => {
      const out = new Float32Array(count);
      for (let i = 0; i < count; i++, at += 2) out[i] = HALF[view.getUint16(at, true)];
      return out;
    };
    const floats = (count) => new Float32Array(bytes.slice(at, (at += 4 * count)).buffer);
    const W = halves(d_in * n), D = halves(n * d_in);
    for (const layer of layers) layer.W = halves(layer.n_in * layer.n_out);
    const b = floats(n), c = floats(d_in);
    for (const layer of layers) layer.b = floats(layer.n_out);
    const found = { ...head, names, W, D, b, c, age: names && new Map(names.map((f) => [f, parts])) };
    parts++;
    const model = names && here ? joined(here, found) : found;
    if (model !== here) Object.assign(model, { n: model.b.length, pre: new Float64Array(model.b.length), sprites: new Map() });
    if (names) model.place = new Map(model.names.map((f, i) => [f, i]));
    models.set(head.id, model);
    if (names) answered(head.id, answers);
    for (const callback of [...(waiting.get(head.id) ?? [])]) callback(model);
    return head.id;
  }

  // Calls back with the model, now or when it arrives, and each time it grows; the result takes the request back.
  function withModel(id, callback) {
    if (!waiting.has(id)) waiting.set(id, new Set());
    waiting.get(id).add(callback);
    if (models.has(id)) callback(models.get(id));
    return () => waiting.get(id)?.delete(callback);
  }

  // ---- a model in parts: too large to send, so that its rows come as pictures need them. Python finds which those are;
  // with all that are active on a picture here, encode gives that picture's code. Such a model has `names`, the features
  // that are here in ascending order, and `place`, where each of them is. One question is under way, the newest is next.

  const links = new Map(); // model id -> { ask, seq, sent, next, x: the picture that was answered last }
  const linkOf = (id) => links.get(id) ?? links.set(id, { ask: null, seq: 0, sent: null, next: null, x: null }).get(id);
  const same = (a, b) => a !== null && b !== null && a.every((v, i) => v === b[i]);
  const place = (model, f) => (model.names ? model.place.get(f) : f);

  // The rows that came last and, beside them, the newest of those that came before.
  function joined(here, more) {
    const { d_in } = here, from = new Map(more.names.map((f, i) => [f, i])), age = (f) => here.age.get(f);
    const others = here.names.filter((f) => !from.has(f)).sort((p, q) => age(q) - age(p)).slice(0, OLDER_ROWS);
    const names = [...more.names, ...others].sort((p, q) => p - q), m = names.length;
    more.age = new Map([...others.map((f) => [f, age(f)]), ...more.age]);
    if (m === here.names.length && names.every((f, i) => f === here.names[i])) return Object.assign(here, { age: more.age });
    const all = { ...here, names, age: more.age, W: new Float32Array(d_in * m), D: new Float32Array(m * d_in), b: new Float32Array(m) };
    names.forEach((f, to) => {
      const part = from.has(f) ? more : here, i = from.get(f) ?? here.place.get(f), n = part.b.length;
      for (let r = 0; r < d_in; r++) all.W[r * m + to] = part.W[r * n + i];
      all.D.set(part.D.subarray(i * d_in, (i + 1) * d_in), to * d_in);
      all.b[to] = part.b[i];
    });
    return all;
  }

  // Whether all is here that picture x and these features need. If not, Python is asked for it.
  function knows(model, x, features = []) {
    if (!model.names) return true;
    const link = linkOf(model.id), missing = features.filter((f) => !model.place.has(f));
    if (same(link.x, x) && !missing.length) return true;
    const asks = (question) => question && same(question.x, x) && missing.every((f) => question.features.includes(f));
    link.next = asks(link.sent) ? null : { x: Float64Array.from(x), features: missing };
    post(link);
    return false;
  }
  // The picture whose code a model in parts can tell now; null before the first.
  const known = (model) => linkOf(model.id).x;

  // Values go to Python apart from each other: of one for the page and one for a fragment that come together, Streamlit
  // runs the fragment and forgets the page. With a `host`, the element that sends: nothing goes once it is gone, and
  // nothing while a link to another page was clicked, as a value of this page would call it back.
  let free = 0, leaving = null; // when the next may go; the page that is being left
  document.addEventListener("click", (event) => {
    const link = event.composedPath().find((e) => e.matches?.("a[data-testid^=stPageLink]"));
    if (link && link.pathname !== location.pathname) leaving = { path: location.pathname, until: performance.now() + 10_000 };
  }, true);
  function toPython(send, host = null) {
    const now = performance.now(), wait = Math.max(0, free - now);
    free = now + wait + APART_MS;
    function go() {
      if (!host) send();
      else if (!host.isConnected) return;
      else if (leaving?.path === location.pathname && performance.now() < leaving.until) setTimeout(go, 100);
      else send();
    }
    if (wait) setTimeout(go, wait); else go();
  }

  function post(link) {
    if (!link.ask || !link.next || (link.sent && performance.now() - link.sent.at < 5000)) return;
    link.sent = { ...link.next, seq: ++link.seq, at: performance.now() };
    link.next = null;
    const { seq, x, features } = link.sent;
    const question = { seq, features, x: toBase64(new Uint8Array(Float32Array.from(x).buffer)) };
    toPython(() => link.ask(question));
  }
  function answered(id, seq) {
    const link = linkOf(id);
    if (link.sent?.seq !== seq) return;
    link.x = link.sent.x;
    link.sent = null;
    post(link);
  }
  // How Python is asked for parts of a model; `anew`: through another element than before, where nothing is under way.
  function serve(id, ask, anew) {
    const link = linkOf(id);
    link.ask = ask;
    if (anew && link.sent) { link.next ??= link.sent; link.sent = null; }
    post(link);
  }

  // ---- arithmetic: float64 sums over float32 numbers

  // out += a · row i of a matrix with as many columns as out is long.
  function addRow(out, a, matrix, i) {
    for (let j = 0, at = i * out.length; j < out.length; j++, at++) out[j] += a * matrix[at];
  }

  const SQUASH = { "tanh-relu": (v) => Math.max(0, Math.tanh(v)), sigmoid: (v) => 1 / (1 + Math.exp(-v)) };

  // squash(x @ W + b), or x itself where there is no such layer.
  function through(layer, x) {
    if (!layer) return x;
    const out = Float64Array.from(layer.b);
    for (let i = 0; i < x.length; i++) if (x[i] !== 0) addRow(out, x[i], layer.W, i);
    return out.map(SQUASH[layer.squash]);
  }
  const read = (model, x) => through(model.reader, x); // picture [784] -> what the model reads, h [d_in]
  const picture = (model, h) => through(model.painter, h); // h or its reconstruction [d_in] -> picture [784]

  // h [d_in] -> { index, value }, by value, the largest magnitude first.
  function encode(model, h) {
    const { W, b, pre, n, relu, names } = model, k = Math.min(model.k, n);
    pre.set(b);
    for (let i = 0; i < h.length; i++) if (h[i] !== 0) addRow(pre, h[i], W, i); // most of a digit is empty
    let limit = 0, ties = 0; // kept: everything over the limit, and so many that equal it
    if (model.select === "topk") {
      const sorted = Float64Array.from(pre).sort();
      limit = sorted[n - k];
      for (let i = n - k; i < n && sorted[i] === limit; i++) ties++;
    } else {
      limit = model.select === "threshold" ? model.threshold : 0;
    }
    const index = [];
    for (let f = 0; f < n; f++) {
      const v = pre[f];
      if (!(v > limit || (v === limit && ties-- > 0)) || v === 0 || (relu && v < 0)) continue;
      index.push(f);
    }
    index.sort((p, q) => Math.abs(pre[q]) - Math.abs(pre[p]) || p - q);
    return { index: names ? index.map((f) => names[f]) : index, value: index.map((f) => pre[f]) };
  }

  // The sum of value · D[index], plus c unless `bias` is false: h_hat, a Float64Array(d_in).
  function decode(model, { index, value }, bias = true) {
    const out = bias ? Float64Array.from(model.c) : new Float64Array(model.d_in);
    for (let j = 0; j < index.length; j++) {
      const at = place(model, index[j]);
      if (value[j] !== 0 && at !== undefined) addRow(out, value[j], model.D, at);
    }
    return out;
  }

  // A classifier is a model whose latents are its logits: the probability of each class from its hidden layer h, edited
  // or not, or from a picture.
  function judgeLayer(net, h) {
    const out = Float64Array.from(net.b);
    for (let i = 0; i < h.length; i++) if (h[i] !== 0) addRow(out, h[i], net.W, i);
    const top = Math.max(...out);
    let sum = 0;
    for (let c = 0; c < out.length; c++) sum += out[c] = Math.exp(out[c] - top);
    return out.map((v) => v / sum);
  }
  const judge = (net, x) => judgeLayer(net, read(net, x.map((v) => clamp(v, 0, 1)))); // it sees what is shown

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

  // The picture of each latent's row of the "encoder" (its column of W) or "decoder", as (latent, pixel) -> value. Of a
  // model that reads a hidden layer: taken back through its reader's weights, or on through its painter's.
  function rowPictures(model, rows) {
    const { W, D, d_in, n, reader, painter } = model, of = (f) => place(model, f);
    const times = (A, B) => { // A [n × d_in] times B [d_in × p]
      const n = A.length / d_in, p = B.length / d_in, out = new Float64Array(n * p);
      for (let r = 0; r < n; r++) {
        for (let i = 0; i < d_in; i++) addRow(out.subarray(r * p, (r + 1) * p), A[r * d_in + i], B, i);
      }
      return out;
    };
    if (rows === "decoder") {
      const P = painter ? times(D, painter.W) : D;
      return model.names ? (f, i) => P[of(f) * PIXELS + i] : (f, i) => P[f * PIXELS + i];
    }
    const P = reader ? times(reader.W, W) : W;
    return model.names ? (f, i) => P[i * n + of(f)] : (f, i) => P[i * n + f];
  }

  // The picture of the bias c, as those of the decoder's rows are.
  const biasPicture = ({ c, painter }) => {
    if (!painter) return c;
    const out = new Float64Array(PIXELS);
    for (let i = 0; i < c.length; i++) addRow(out, c[i], painter.W, i);
    return out;
  };

  // Paint value[j] times the picture of latent index[j] (at: see rowPictures) as tile j of a canvas, so many a line;
  // limit(j) is the number that is full colour in tile j. The canvas only ever grows.
  function paintTerms(canvas, at, { index, value }, limit, columns = 32) {
    const lines = Math.max(1, Math.ceil(index.length / columns)), wide = columns * SIDE;
    if (canvas.width !== wide || canvas.height < lines * SIDE) {
      canvas.width = wide; canvas.height = lines * SIDE;
      canvas.__image = null;
    }
    const context = canvas.getContext("2d");
    const image = (canvas.__image ??= context.createImageData(wide, canvas.height));
    const pixels = new Uint32Array(image.data.buffer);
    for (let j = 0; j < index.length; j++) {
      const unit = (255 * value[j]) / (limit(j) || 1), f = index[j];
      const corner = Math.floor(j / columns) * SIDE * wide + (j % columns) * SIDE;
      for (let y = 0, i = 0; y < SIDE; y++) {
        for (let x = 0, to = corner + y * wide; x < SIDE; x++, i++, to++) {
          pixels[to] = SIGNED[(clamp(at(f, i) * unit, -255, 255) + 255.5) | 0];
        }
      }
    }
    context.putImageData(image, 0, 0, 0, 0, wide, lines * SIDE);
  }

  const features = (model) => model.names ?? Array.from({ length: model.n }, (_, f) => f); // those that are here

  // The largest magnitude of the picture of each feature that is here, by place.
  function peaks(model, at) {
    return Float64Array.from(features(model), (f) => {
      let largest = 0;
      for (let i = 0; i < PIXELS; i++) largest = Math.max(largest, Math.abs(at(f, i)));
      return largest;
    });
  }

  // All rows of "encoder" or "decoder" (see above) as one canvas, 32 (or what is given) tiles of 28 × 28 a line, by place.
  // scale "each": every tile over its own largest magnitude; "common": all over one (the 99.5th percentile of them).
  function sprite(model, rows = "decoder", scale = "each", columns = 32) {
    const key = `${rows} ${scale} ${columns}`;
    if (model.sprites.has(key)) return model.sprites.get(key);
    const at = rowPictures(model, rows), largest = peaks(model, at), index = features(model);
    const common = Float64Array.from(largest).sort()[Math.floor(0.995 * (index.length - 1))];
    const canvas = document.createElement("canvas");
    paintTerms(canvas, at, { index, value: index.map(() => 1) }, (j) => (scale === "each" ? largest[j] : common), columns);
    canvas.__image = null;
    model.sprites.set(key, canvas);
    return canvas;
  }

  // Values [784] as colour over another picture: orange or blue, the stronger the less of the picture is seen.
  function paintOver(canvas, values) {
    if (canvas.width !== SIDE) canvas.width = canvas.height = SIDE;
    const context = canvas.getContext("2d"), image = context.createImageData(SIDE, SIDE);
    const largest = values.reduce((top, v) => Math.max(top, Math.abs(v)), 0) || 1;
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < PIXELS; i++) {
      const opaque = Math.round((215 * Math.abs(values[i])) / largest);
      pixels[i] = ((values[i] > 0 ? rgb(255, 150, 20) : rgb(40, 130, 255)) & 0xffffff) | (opaque << 24);
    }
    context.putImageData(image, 0, 0);
  }

  // Draw feature f's tile of a sprite into a box of another canvas.
  function drawTile(context, canvas, f, x, y, size, columns = 32) {
    context.imageSmoothingEnabled = false;
    const left = (f % columns) * SIDE, top = Math.floor(f / columns) * SIDE;
    context.drawImage(canvas, left, top, SIDE, SIDE, x, y, size, size);
  }

  // Feature f's decoder row as a picture's address; black where it is not here yet. A page of many canvases is slow:
  // each is a layer of its own in every frame.
  const small = document.createElement("canvas");
  function tileAddress(model, f) {
    const at = place(model, f), context = small.getContext("2d");
    small.width = small.height = SIDE; // empties it
    if (at !== undefined) drawTile(context, sprite(model), at, 0, 0, SIDE);
    return small.toDataURL();
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

  // Says in a component what its model reads: CSS shows .of-pixels or .of-layer, and an element with data-layer-title
  // has that title for a hidden layer. What is said of a model in parts stands in .in-parts, with its size in a <b>.
  function tell(root, model) {
    root.dataset.reads = model.reader ? "layer" : "pixels";
    for (const element of root.querySelectorAll(".in-parts")) {
      element.hidden = !model.names;
      write(element.querySelector("b"), model.d_sae.toLocaleString("en"));
    }
    for (const element of root.querySelectorAll("[data-layer-title]")) {
      element.dataset.pixelsTitle ??= element.title;
      element.title = model.reader ? element.dataset.layerTitle : element.dataset.pixelsTitle;
    }
  }

  // Put text into an element that holds nothing else. The text node stays and what has not changed is not touched: to
  // replace it in every frame costs the browser a style, a layout and a paint each.
  function write(element, text) {
    const node = element.firstChild;
    if (!node) element.textContent = text;
    else if (node.data !== text) node.data = text;
  }

  // Say something to those who do not see the page, once nothing newer has come for half a second.
  const speech = new WeakMap();
  function announce(element, text) {
    clearTimeout(speech.get(element));
    speech.set(element, setTimeout(() => write(element, text), 500));
  }

  // Buttons with whether each can be used; one that has the focus and cannot hands it to another that can.
  function able(buttons) {
    const focused = buttons.find(([button]) => button.matches(":focus"));
    for (const [button, can] of buttons) button.disabled = !can;
    if (focused && !focused[1]) buttons.find(([, can]) => can)?.[0].focus({ preventScroll: true });
  }

  // What the keys bring the focus to within `inside` is not left under what sticks above it.
  function uncover(inside, sticky) {
    inside.addEventListener("focusin", ({ target }) => {
      if (!target.matches(":focus-visible")) return;
      const covered = sticky.getBoundingClientRect().bottom + 8 - target.getBoundingClientRect().top;
      if (covered > 0) inside.getRootNode().host?.closest("[data-testid=stMain]")?.scrollBy(0, -covered);
    });
  }

  // A finger that begins to scroll the page on a range has moved it already: what save() kept is then put back.
  function steady(range, save, restore) {
    let before = null;
    range.addEventListener("pointerdown", () => { before = save(); });
    range.addEventListener("pointercancel", (event) => restore(before, event));
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
    SIDE, models, whenGone, putModel, withModel, knows, known, serve, toPython, place, read, encode, decode, picture, judge, judgeLayer, pearson, toBase64,
    fromBase64, fromLevels, paint, paintTerms, paintOver, peaks, rowPictures, biasPicture, sprite, drawTile, tileAddress, fit, tell,
    write, announce, able, uncover, steady, frames, live, clamp,
  };
})());
