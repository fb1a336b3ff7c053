// The drawing pad, and everything that follows from the drawing, live: prepared input, code, reconstruction.
// Python gets the drawing on release; what it answers (data.seq) frees the way for the next one.

const RASTER = 224; // the pad's own pixels: eight for each of MNIST's
const MAP = 32;
const TILE = { width: 46, bar: 44, picture: 36, label: 15, gap: 8 };

// Pads outlive their elements: a remount, a page switch or a lost connection takes no stroke away.
const pads = (globalThis.__saePads ??= new Map());
const mounted = (globalThis.__saeDraw ??= new WeakMap());

export default function (component) {
  const { data, parentElement } = component;
  if (!mounted.has(parentElement)) mounted.set(parentElement, mount(parentElement));
  const view = mounted.get(parentElement);
  view.update(data, component.setStateValue);
  return () => sae.whenGone(parentElement, () => {
    view.unmount();
    mounted.delete(parentElement);
  });
}

function mount(parent) {
  const find = (selector) => parent.querySelector(selector);
  const root = find(".draw"), canvas = find(".pad"), tiles = find(".tiles"), hint = find(".hint");
  canvas.width = canvas.height = RASTER;
  // Read back every frame: kept in main memory.
  const raster = canvas.getContext("2d", { willReadFrequently: true });
  const gray = new Uint8Array(RASTER * RASTER);
  let data = null, send = null, model = null, cancel = () => {}, pad = null;
  let x = new Float64Array(784), code = { index: [], value: [] }, focused = -1, colours = null, columns = 1;

  // ---- from strokes to pixels

  function segment(stroke, i) {
    const [ax, ay] = stroke.points[Math.max(0, i - 1)], [bx, by] = stroke.points[i];
    raster.strokeStyle = raster.fillStyle = stroke.erase ? "#000" : "#fff";
    raster.lineWidth = stroke.size + (stroke.erase ? 4 : 0); // takes the soft rim of a line of its size along
    raster.lineCap = "round";
    raster.beginPath();
    if (i === 0) { // a tap is a dot: a line of no length would draw nothing
      raster.arc(bx, by, raster.lineWidth / 2, 0, 2 * Math.PI);
      raster.fill();
      return;
    }
    raster.moveTo(ax, ay);
    raster.lineTo(bx, by);
    raster.stroke();
  }

  function redraw() {
    raster.fillStyle = "#000";
    raster.fillRect(0, 0, RASTER, RASTER);
    if (pad.base) {
      const small = document.createElement("canvas");
      sae.paint(small, sae.fromLevels(pad.base));
      raster.imageSmoothingEnabled = true;
      raster.drawImage(small, 0, 0, RASTER, RASTER);
    }
    for (const stroke of pad.strokes) stroke.points.forEach((_, i) => segment(stroke, i));
  }

  // The 28×28 input: an untouched picture as it is, anything drawn as MNIST would have prepared it.
  function input() {
    if (!pad.strokes.length) return pad.base ? sae.fromLevels(pad.base) : null;
    const pixels = raster.getImageData(0, 0, RASTER, RASTER).data;
    for (let i = 0; i < gray.length; i++) gray[i] = pixels[4 * i];
    return prepareDrawing(gray, RASTER, RASTER);
  }

  // ---- from pixels to everything else

  function compute() {
    const prepared = input();
    x = prepared ?? new Float64Array(784);
    if (!model) { sae.paint(find(".input"), x); return; }
    code = prepared ? sae.encode(model, x) : { index: [], value: [] };
    const x_hat = prepared ? sae.decode(model, code) : new Float64Array(784);
    const pearson = prepared ? sae.pearson(x, x_hat) : 0;
    sae.paint(find(".input"), x);
    sae.paint(find(".output"), x_hat);
    sae.paint(find(".residual"), x.map((v, i) => v - x_hat[i]), 0.5);
    const map = new Float64Array(MAP * Math.ceil(model.d_sae / MAP));
    code.index.forEach((f, j) => { map[f] = code.value[j]; });
    const side = Math.max(MAP, Math.ceil(model.d_sae / MAP));
    sae.paint(find(".map"), side === MAP ? map : Float64Array.from({ ...map, length: side * side }),
      Math.abs(code.value[0] ?? 0), side);
    find(".l0").textContent = prepared ? `L0 ${code.index.length} of ${model.d_sae.toLocaleString("en")} latents` : "";
    find(".pearson").textContent = prepared ? `Pearson ${pearson.toFixed(4)}` : "";
    find(".note").textContent = prepared ? "" : "The pad is empty: draw a digit.";
    paintTiles();
    root.dataset.pearson = pearson;
    root.dataset.l0 = code.index.length;
    if (pad.pointer === null) root.dataset.active = JSON.stringify(code.index);
  }
  const frame = sae.live(compute);

  function theme() {
    const style = getComputedStyle(root);
    colours = { text: style.color, font: style.fontFamily, accent: style.getPropertyValue("--st-primary-color") };
  }

  function paintTiles() {
    const width = root.clientWidth || 800;
    columns = Math.max(1, Math.floor(width / TILE.width));
    const cell = TILE.bar + TILE.picture + TILE.label + TILE.gap;
    // Room for all that can be active, so that the page below does not jump while somebody draws.
    const room = Math.max(code.index.length, model.select === "topk" ? model.k : 0);
    const context = sae.fit(tiles, columns * TILE.width, Math.ceil(room / columns) * cell || cell);
    const sprite = sae.sprite(model);
    const largest = Math.abs(code.value[0] ?? 0) || 1;
    context.clearRect(0, 0, columns * TILE.width, tiles.clientHeight + cell);
    context.font = `11px ${colours.font}`;
    context.textAlign = "center";
    const labels = [];
    for (let j = 0; j < code.index.length; j++) {
      const left = (j % columns) * TILE.width, top = Math.floor(j / columns) * cell;
      const height = (Math.abs(code.value[j]) / largest) * (TILE.bar - 4);
      context.fillStyle = code.value[j] < 0 ? "#3c96ff" : "#e69a00";
      context.fillRect(left + 5, top + TILE.bar - height, TILE.picture, height);
      sae.drawTile(context, sprite, code.index[j], left + 5, top + TILE.bar + 1, TILE.picture);
      labels.push([code.index[j], left + TILE.width / 2, top + TILE.bar + TILE.picture + 13]);
      if (j === focused) {
        context.strokeStyle = colours.accent;
        context.lineWidth = 3;
        context.strokeRect(left + 3, top + TILE.bar - 1, TILE.picture + 4, TILE.picture + 4);
      }
    }
    context.fillStyle = colours.text;
    for (const [f, at, y] of labels) context.fillText(f, at, y);
  }

  // ---- tiles: hover, click, keyboard

  function say(j) {
    focused = j;
    const f = code.index[j];
    const often = data.frequency ? `, active on ${(100 * data.frequency[f]).toFixed(1)} % of ${data.where}` : "";
    hint.textContent = f === undefined ? HINT : `Feature ${f}: activation ${code.value[j].toFixed(3)}${often}. Click opens it.`;
    if (model) paintTiles();
  }
  const HINT = "Bars: activation of each active feature, the strongest first; below each, what it adds (its decoder row).";

  function tileAt(event) {
    const cell = TILE.bar + TILE.picture + TILE.label + TILE.gap;
    const j = Math.floor(event.offsetY / cell) * columns + Math.floor(event.offsetX / TILE.width);
    return j < code.index.length ? j : -1;
  }
  const open = (j) => { if (code.index[j] !== undefined) send("feature", { feature: code.index[j], at: Date.now() }); };
  tiles.onpointermove = (event) => { const j = tileAt(event); if (j !== focused) say(j); };
  tiles.onpointerleave = () => say(-1);
  tiles.onclick = (event) => open(tileAt(event));
  tiles.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    event.stopPropagation();
    if (step) { event.preventDefault(); say(sae.clamp(focused + step, 0, code.index.length - 1)); }
    else if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(focused); }
  };

  // ---- the pad

  const spot = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * RASTER, ((event.clientY - box.top) / box.height) * RASTER];
  };
  function begin(point, event, pointer) {
    pad.strokes.push({ points: [point], size: pad.brush, erase: pad.erase });
    pad.pointer = pointer;
    segment(pad.strokes.at(-1), 0);
    frame(event);
  }
  function extend(points, event) {
    const stroke = pad.strokes.at(-1);
    for (const point of points) segment(stroke, stroke.points.push(point) - 1);
    frame(event);
  }
  canvas.onpointerdown = (event) => {
    if (event.button !== 0 || pad.pointer !== null) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    theme();
    begin(spot(event), event, event.pointerId);
  };
  function move(event) {
    if (!pad || pad.pointer !== event.pointerId) return;
    const events = event.getCoalescedEvents?.() ?? [];
    extend((events.length ? events : [event]).map(spot), event);
  }
  function up(event) {
    if (!pad || pad.pointer !== event.pointerId) return;
    pad.pointer = null;
    changed(event);
  }
  window.addEventListener("pointermove", move);
  window.addEventListener("pointerup", up);
  window.addEventListener("pointercancel", up);

  canvas.onkeydown = (event) => {
    const far = event.shiftKey ? 14 : 5;
    const step = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] }[event.key];
    event.stopPropagation(); // or Streamlit takes c and r for its own
    if (step) {
      pad.pen = [0, 1].map((i) => sae.clamp(pad.pen[i] + step[i], 0, RASTER));
      if (pad.pointer === "keys") extend([pad.pen], event);
      hint.textContent = `Pen ${pad.pointer === "keys" ? "down" : "up"} at ${Math.round(pad.pen[0] / 2.24)} %, ${Math.round(pad.pen[1] / 2.24)} %.`;
    } else if (event.key === " ") {
      if (pad.pointer === null) begin(pad.pen, event, "keys");
      else if (pad.pointer === "keys") { pad.pointer = null; changed(event); }
    } else if (event.key === "Backspace" || (event.key === "z" && (event.ctrlKey || event.metaKey))) undo(event);
    else if (event.key === "Delete") clear(event);
    else return;
    event.preventDefault();
  };

  function undo(event) {
    if (!pad.strokes.length && pad.cleared) [pad.base, pad.strokes] = pad.cleared;
    else pad.strokes.pop();
    pad.cleared = null;
    redraw();
    changed(event);
  }
  function clear(event) {
    pad.cleared = [pad.base, pad.strokes];
    pad.base = null;
    pad.strokes = [];
    redraw();
    changed(event);
  }
  find(".undo").onclick = undo;
  find(".clear").onclick = clear;
  find(".eraser").onclick = () => { pad.erase = !pad.erase; tools(); };
  find(".brush").oninput = (event) => { pad.brush = +event.target.value; };
  function tools() {
    find(".eraser").setAttribute("aria-pressed", pad.erase);
    find(".brush").value = pad.brush;
  }

  // ---- to Python and back: one drawing under way, the newest wins

  function changed(event) {
    pad.seq++;
    frame(event);
    release();
  }
  function release() {
    if (pad.sent !== null && performance.now() - pad.sentAt < 5000) return;
    pad.sent = pad.seq;
    pad.sentAt = performance.now();
    const prepared = input();
    const raw = pad.strokes.length > 0;
    send("drawing", {
      seq: pad.seq,
      empty: prepared === null,
      side: raw ? RASTER : 28,
      px: prepared === null ? "" : sae.toBase64(raw ? gray : pad.base),
    });
  }

  function update(next, setStateValue) {
    data = next;
    send = setStateValue;
    if (!pads.has(data.id)) {
      pads.set(data.id, { strokes: [], base: null, cleared: null, key: null, seq: data.seq, sent: null, sentAt: 0,
        pointer: null, pen: [RASTER / 2, RASTER / 2], brush: 19, erase: false });
    }
    const other = pad !== pads.get(data.id);
    pad = pads.get(data.id);
    pad.seq = Math.max(pad.seq, data.seq);
    // `from` is the drawing this picture was made of: our own, or one that has been overtaken, is not loaded again.
    const { key, levels, from } = data.picture;
    if (key !== pad.key && (from === null || (pad.key === null && from === pad.seq && !pad.strokes.length))) {
      pad.base = sae.fromBase64(levels);
      pad.strokes = [];
      pad.cleared = null;
      pad.pointer = null;
      pad.key = key;
      redraw();
    } else if (other) {
      redraw();
    }
    if (from !== null && from === pad.seq) pad.key = key;
    if (pad.sent !== null && data.seq >= pad.sent) {
      pad.sent = null;
      if (pad.seq > data.seq) release();
    }
    theme();
    tools();
    if (focused < 0) hint.textContent = HINT;
    cancel();
    if (model?.id !== data.model) model = null;
    cancel = sae.withModel(data.model, (found) => { model = found; frame(); });
    frame();
  }

  const resized = new ResizeObserver(() => { if (model && colours) frame(); });
  resized.observe(root);

  return {
    update,
    unmount() {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", up);
      window.removeEventListener("pointercancel", up);
      resized.disconnect();
      cancel();
      if (pad?.pointer !== null && pad?.pointer !== undefined) pad.pointer = null;
    },
  };
}
