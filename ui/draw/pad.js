// The drawing pad, and everything that follows from the drawing, live: prepared input, code, reconstruction, its terms,
// and what a classifier says of it.
// Python gets the drawing on release; what it answers (data.seq) frees the way for the next one. What it has not
// answered is sent again: after some seconds, and by the next mount of the pad.

import { sae } from "../live/engine.js";
import { classBars } from "../live/bars.js";
import { figureSvg, readPicture, takeHome } from "../live/files.js";
import { anatomy } from "./anatomy.js";
import { prepareDrawing } from "./prepare.js";

const RASTER = 224; // the pad's own pixels: eight for each of MNIST's
const PATIENCE = 5000; // ms to wait for Python's first answer, then twice as long each time

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
  const host = parent.host ?? parent;
  const root = find(".draw"), canvas = find(".pad"), pen = find(".pen"), cursor = find(".cursor");
  canvas.width = canvas.height = RASTER;
  // Read back every frame: kept in main memory.
  const raster = canvas.getContext("2d", { willReadFrequently: true });
  const gray = new Uint8Array(RASTER * RASTER);
  let sent = null, timer = null, patience = PATIENCE; // the drawing that is under way, from this mount
  let data = null, send = null, model = null, cancel = () => {}, pad = null;
  let x = new Float64Array(784), code = { index: [], value: [] };
  let net = null, showInput = null, showOutput = null, forget = () => {}; // the classifier and its bars

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
    const prepared = input(), invite = find(".invite");
    if (invite.hidden !== (prepared !== null)) invite.hidden = prepared !== null;
    x = prepared ?? new Float64Array(784);
    if (!model) { sae.paint(find(".input"), x); return; }
    // Of a model in parts: everything beside the pad is of the picture that Python answered last.
    const ready = !prepared || sae.knows(model, x);
    root.dataset.waits = !ready;
    if (!ready) x = sae.known(model);
    if (!x) return;
    const nothing = new Float64Array(784), h = sae.read(model, x);
    code = prepared ? sae.encode(model, h) : { index: [], value: [] };
    const h_hat = sae.decode(model, code), pearson = prepared ? sae.pearson(h, h_hat) : 0;
    const kept = prepared ? sae.picture(model, h) : nothing; // of a model that reads pixels: x itself
    const output = prepared ? sae.picture(model, h_hat) : nothing;
    sae.paint(find(".input"), x);
    if (model.reader) sae.paint(find(".kept"), kept);
    sae.paint(find(".output"), output);
    sae.paint(find(".residual"), kept.map((v, i) => v - output[i]), 0.5);
    const side = Math.ceil(Math.sqrt(model.d_sae)), map = new Float64Array(side * side);
    code.index.forEach((f, j) => { map[f] = code.value[j]; });
    sae.paint(find(".map"), map, Math.abs(code.value[0] ?? 0), side);
    sae.write(find(".side"), `${side}×${side}`);
    sae.write(find(".l0"), prepared ? `L0 ${code.index.length} of ${model.d_sae.toLocaleString("en")} latents` : "");
    const of = model.reader ? "(h, ĥ) " : "";
    sae.write(find(".pearson"), prepared ? `Pearson${of} ${pearson.toFixed(4)}` : "");
    let said = "";
    // A classifier whose layer the SAE reads is asked of that layer, without a picture between.
    const asks = net && ((layer, pixels) => (data.judge.sameLayer ? sae.judgeLayer(net, layer) : sae.judge(net, pixels)));
    if (asks) {
      const p = prepared && asks(h, x), q = prepared && asks(h_hat, output);
      showInput(p);
      showOutput(q, p);
      if (p) said = ` The classifier says ${best(p)} of the input, ${best(q)} of the reconstruction.`;
    }
    if (pad.pointer === null) {
      sae.announce(find(".result"), prepared ? `${code.index.length} features are active, Pearson ${pearson.toFixed(3)}.${said}` : "The pad is empty.");
    }
    terms.show(model, { x, h: prepared && h, code, h_hat, kept, settled: pad.pointer === null, asks, names: data.judge?.names });
    root.dataset.pearson = pearson;
    root.dataset.l0 = code.index.length;
    if (pad.pointer === null && ready) root.dataset.active = JSON.stringify(code.index);
  }
  const frame = sae.live(compute);
  const best = (p) => {
    const c = p.indexOf(Math.max(...p));
    return `${data.judge.names[c]} with ${(100 * p[c]).toFixed(0)} %`;
  };

  const terms = anatomy(root, frame, (feature) => send("feature", { feature, at: Date.now() }));

  const map = find(".map");
  map.onpointermove = (event) => {
    const box = map.getBoundingClientRect(), side = map.width;
    const [column, row] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((v) => Math.floor(v * side));
    terms.point(row * side + column);
  };
  map.onpointerleave = () => terms.point(null);

  function theme() {
    const style = getComputedStyle(root);
    const accent = style.getPropertyValue("--st-primary-color");
    const [adds, takes] = [".adds", ".takes"].map((name) => getComputedStyle(find(name)).borderBottomColor);
    terms.update(data, { text: style.color, font: style.fontFamily, accent, adds, takes });
  }

  // ---- the pad

  const spot = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * RASTER, ((event.clientY - box.top) / box.height) * RASTER];
  };
  function begin(point, event, pointer) {
    remember();
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
    if (event.button !== 0) return;
    lift(event);
    if (pad.pointer !== null) return;
    cursor.hidden = true;
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

  // The pen that the keys move. It is lifted when anything else takes its place.
  function penMoved() {
    const [x, y] = pad.pen.map((v) => `${Math.round((100 * v) / RASTER)} %`), down = pad.pointer === "keys";
    Object.assign(cursor.style, { left: x.replace(" ", ""), top: y.replace(" ", "") });
    cursor.hidden = false;
    cursor.classList.toggle("down", down);
    pen.textContent = `Pen ${down ? "down" : "up"} at ${x}, ${y}.`;
  }
  function lift(event) {
    if (pad?.pointer !== "keys") return;
    pad.pointer = null;
    if (event) changed(event);
  }
  canvas.onblur = (event) => { lift(event); cursor.hidden = true; pen.textContent = ""; };
  canvas.onkeydown = (event) => {
    const far = event.shiftKey ? 14 : 5;
    const step = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] }[event.key];
    event.stopPropagation(); // or Streamlit takes c and r for its own
    if (step) {
      pad.pen = [0, 1].map((i) => sae.clamp(pad.pen[i] + step[i], 0, RASTER));
      if (pad.pointer === "keys") extend([pad.pen], event);
      penMoved();
    } else if (event.key === " ") {
      if (pad.pointer === null) begin(pad.pen, event, "keys");
      else lift(event);
      penMoved();
    } else if ((event.ctrlKey || event.metaKey) && /^[zy]$/i.test(event.key)) {
      if (event.shiftKey || /y/i.test(event.key)) redo(event);
      else undo(event);
    } else if (event.key === "Backspace") undo(event);
    else if (event.key === "Delete") clear(event);
    else return;
    event.preventDefault();
  };

  // What was drawn before each change, and what was taken back.
  const now = () => ({ base: pad.base, ref: pad.ref, strokes: [...pad.strokes] });
  function remember() {
    pad.past.push(now());
    if (pad.past.length > 200) pad.past.shift();
    pad.future = [];
    tools();
  }
  function put(from, to, event) {
    lift();
    if (!from.length || pad.pointer !== null) return;
    to.push(now());
    Object.assign(pad, from.pop());
    redraw();
    tools();
    changed(event);
  }
  const undo = (event) => put(pad.past, pad.future, event);
  const redo = (event) => put(pad.future, pad.past, event);
  function replace(base, event) {
    lift();
    if (pad.base || pad.strokes.length || base) remember();
    Object.assign(pad, { base, ref: null, strokes: [] });
    redraw();
    changed(event);
  }
  const clear = (event) => replace(null, event);
  find(".undo").onclick = undo;
  find(".redo").onclick = redo;
  find(".clear").onclick = clear;
  find(".eraser").onclick = () => { pad.erase = !pad.erase; tools(); };
  find(".brush").oninput = (event) => { pad.brush = +event.target.value; };
  sae.steady(find(".brush"), () => pad.brush, (before) => { pad.brush = before; tools(); });
  function tools() {
    find(".eraser").setAttribute("aria-pressed", pad.erase);
    find(".brush").value = pad.brush;
    sae.able([[find(".undo"), pad.past.length > 0], [find(".redo"), pad.future.length > 0]]);
  }

  // ---- files: of a picture dropped onto the pad Python makes what it makes of an upload, and gives it back to draw on

  const refuse = (why) => {
    find(".refused").textContent = why ? `${why} The picture before it stays.` : "";
    find(".refused").hidden = !why;
  };
  canvas.ondragover = (event) => { event.preventDefault(); canvas.classList.add("dropping"); };
  canvas.ondragleave = () => canvas.classList.remove("dropping");
  canvas.ondrop = async (event) => {
    event.preventDefault();
    canvas.classList.remove("dropping");
    if (pad.pointer !== null) return;
    try {
      const picture = await readPicture(event.dataTransfer.files[0]);
      pad.dropped = { seq: ++pad.seq, ...picture };
      refuse("");
      release();
    } catch (error) {
      refuse(error.message);
    }
  };
  // input = bias + terms + rest → reconstruction: at most 12 terms.
  function figure() {
    const n = Math.min(12, code.index.length), { scale, shown } = terms.parts(n), layer = Boolean(model.reader);
    const panels = [{ canvas: find(layer ? ".kept" : ".input"), title: layer ? "hidden layer" : "input" },
      ...shown.map((part, i) => ({ ...part, sign: i ? "+" : "≈" })),
      { canvas: find(".output"), title: "reconstruction", sign: "→" }];
    return figureSvg("A digit as a sum of features", panels, [
      `Model ${data.model.split("@")[0]}, L0 ${code.index.length} of ${model.d_sae.toLocaleString("en")} latents, ` +
        `Pearson${layer ? "(h, ĥ)" : "(x, x̂)"} ${(+root.dataset.pearson).toFixed(4)}, ${n} terms shown.`,
      `Each term is the feature's decoder row times its activation a${layer ? ", taken on through the generator's weights: " +
        "these pictures do not add up pixel by pixel" : ""}.`,
    ], scale.toPrecision(2));
  }
  const TAKE = {
    figure: () => code.index.length && takeHome(figure(), "sum.svg", "image/svg+xml"),
    drawing: () => canvas.toBlob((blob) => takeHome(blob, "drawing.png")),
    input: () => find(".input").toBlob((blob) => takeHome(blob, "input-28x28.png")),
    json: () => takeHome(JSON.stringify({
      model: data.model, input: Array.from(x, (v) => Math.round(255 * v)), d_sae: model.d_sae, l0: code.index.length, pearson: +root.dataset.pearson,
      code: code.index.map((feature, j) => ({ feature, activation: code.value[j] })),
    }, null, 1).replace(/\[[\d,\s]+\]/g, (numbers) => numbers.replace(/\s+/g, "")), "code.json", "application/json"),
    csv: () => takeHome(["feature,activation", ...code.index.map((f, j) => `${f},${code.value[j]}`), ""].join("\n"), "code.csv", "text/csv"),
  };
  for (const button of root.querySelectorAll("[data-take]")) button.onclick = () => { if (model) TAKE[button.dataset.take](); };
  for (const control of root.querySelectorAll(".tools button, .tools input, summary")) {
    control.addEventListener("keydown", (event) => event.stopPropagation());
  }

  // ---- to Python and back: one drawing under way, the newest wins

  function changed(event) {
    pad.seq++;
    refuse("");
    frame(event);
    release();
  }
  // Whether there is a drawing that Python has not answered. One that was replaced by another picture is not missed.
  const owed = () => pad.seq > Math.max(data.seq, pad.replaced);
  function release() {
    if (sent !== null || !owed()) return;
    sent = pad.seq;
    timer = setTimeout(() => { sent = null; patience = Math.min(2 * patience, 60_000); release(); }, patience);
    if (pad.dropped?.seq === sent) {
      const { dropped } = pad;
      sae.toPython(() => send("dropped", dropped), host);
      return;
    }
    const prepared = input();
    const raw = pad.strokes.length > 0;
    const drawing = {
      seq: pad.seq,
      empty: prepared === null,
      side: raw ? RASTER : 28,
      px: prepared === null ? "" : sae.toBase64(raw ? gray : pad.base),
      ref: raw ? null : pad.ref, // the picture that this was loaded as
    };
    sae.toPython(() => send("drawing", drawing), host);
  }
  function answered() {
    clearTimeout(timer);
    sent = null;
    patience = PATIENCE;
  }
  // A chosen picture into the pad, to be drawn on. Undo brings back what it took away.
  function load({ key, levels }) {
    lift();
    if (pad.base || pad.strokes.length) remember();
    Object.assign(pad, { base: key === null ? null : sae.fromBase64(levels), ref: key, key, at: pad.seq, strokes: [], pointer: null, replaced: pad.seq });
    redraw();
  }

  function update(next, setStateValue) {
    data = next;
    send = setStateValue;
    if (!pads.has(data.id)) {
      // base: the picture under the strokes, and `ref` its name; key: the picture that Python has of this pad.
      // at: the drawing that was the last one when the pad was that picture. replaced: up to which drawing nothing of it
      // is in the pad any more. heard: the drawing that Python answered last.
      pads.set(data.id, { strokes: [], base: null, ref: null, dropped: null, past: [], future: [], key: null, seq: data.seq, at: data.seq, replaced: data.seq, heard: data.seq,
        // The brush is MNIST's: a digit drawn over 70 % of the pad has strokes of 2.2 pixels when it is prepared, and MNIST's
        // are 2.0 to 2.9 (the middle half), 48 % of their ink full in both.
        pointer: null, pen: [RASTER / 2, RASTER / 2], brush: 19, erase: false });
    }
    const other = pad !== pads.get(data.id);
    pad = pads.get(data.id);
    pad.seq = Math.max(pad.seq, data.seq);
    // `from` is the drawing this picture was made of: our own, or one that has been overtaken, is not loaded again; one
    // that another picture has replaced here is.
    const { key, from } = data.picture, before = pad.key;
    if (data.refused?.seq === pad.seq) pad.at = pad.seq; // it never came into the pad
    // Python has had our last drawing, and has another picture: somebody stepped back.
    const overruled = from === null && data.seq >= pad.seq && pad.seq > pad.at;
    // A server that started anew has the picture of the address, which may be older than what is owed to it.
    if (data.seq < pad.heard && owed()) pad.key = key;
    pad.heard = data.seq;
    if (overruled || (key !== pad.key && (from === null || from <= pad.replaced))) load(data.picture);
    else if (other) redraw();
    if (from !== null && from === pad.seq) Object.assign(pad, { key, at: pad.seq });
    if (sent !== null && data.seq >= sent) answered();
    if (pad.dropped && data.seq >= pad.dropped.seq) {
      pad.dropped = null;
      sae.toPython(() => send("dropped", null), host); // every message would carry it along
    }
    if (data.refused?.seq === pad.seq) refuse(data.refused.why);
    else if (other || data.picture.key !== before) refuse("");
    release();
    theme();
    tools();
    cancel();
    if (model?.id !== data.model) model = null;
    cancel = sae.withModel(data.model, (found) => { model = found; sae.tell(root, model); frame(); });
    judged();
    frame();
  }
  function judged() {
    const { judge } = data;
    find(".judged").hidden = !judge;
    if (net?.id === judge?.id) return;
    forget();
    net = null;
    if (!judge) return;
    showInput = classBars(find(".says-input"), judge.names);
    showOutput = classBars(find(".says-output"), judge.names);
    find(".said").textContent = judge.said;
    forget = sae.withModel(judge.id, (found) => { net = found; frame(); });
  }

  return {
    update,
    unmount() {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", up);
      window.removeEventListener("pointercancel", up);
      cancel();
      forget();
      terms.unmount();
      clearTimeout(timer);
      if (pad && pad.pointer !== null) { // half a stroke is a change too: the next mount sends it
        pad.pointer = null;
        pad.seq++;
      }
    },
  };
}
