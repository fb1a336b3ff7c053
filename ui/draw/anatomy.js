// The reconstruction as a sum: the bias and one term a_f · d_f for each active feature, as tiles that can be taken out.
// root: the component's element. refresh(event): show again in the next frame; open(f): the feature's page.
import { sae } from "../live/engine.js";

export function anatomy(root, refresh, open) {
  const TILE = { width: 54, picture: 48, bar: 4, high: 77 }, BIAS = -1; // BIAS: in place of a feature
  const STEP_MS = matchMedia("(prefers-reduced-motion: reduce)").matches ? 600 : 110;
  const find = (selector) => root.querySelector(selector);
  const canvas = find(".sheet"), cells = find(".cells"), slider = find(".terms"), hint = find(".hint"), play = find(".play");
  const sheet = document.createElement("canvas"), corner = document.createElement("canvas"), more = find(".open");
  let model = null, at = null, code = { index: [], value: [] }, total = null; // of the features that are active now
  let bias = null, peak = 0, lead = 0; // the bias' picture, its largest magnitude, and how many tiles it has before those of the features: one, or none if it is 0
  let norms = null, largest = null; // of each decoder row that is here: squared length, largest magnitude of its picture
  let terms = null, flipped = new Set(); // so many of the first terms are in (null: all); these the other way round
  let order = "energy", shared = true, columns = 1, room = 0, colours = null, notes = {}, timer = null;
  let hovered = -1, focused = -1, looked = null, last = null; // the first two are places of tiles
  let seen = new Float64Array(784); // the picture over which the encoder's rows are shown
  let opinion = null, all = null; // what the classifier says of a reconstruction, and the whole one

  // Measured when it changes: to ask within a frame would lay out the page in it.
  let width = find(".tiles").clientWidth || 800;
  const resized = new ResizeObserver(([entry]) => {
    width = entry.contentRect.width || width;
    if (model) refresh();
  });
  resized.observe(find(".tiles"));

  const count = () => Math.min(terms ?? Infinity, code.index.length);
  const isIn = (j) => (j < count()) !== flipped.has(code.index[j]);
  const tiles = () => lead + code.index.length;
  const featureAt = (p) => (p >= 0 && p < lead ? BIAS : code.index[p - lead]);
  const tileIn = (p) => (p < lead ? !flipped.has(BIAS) : isIn(p - lead));
  const of = (list, j) => list[sae.place(model, code.index[j])];
  const energy = (j) => code.value[j] ** 2 * of(norms, j);

  function take(next) {
    const another = model?.id !== next.id; // else it has grown
    model = next;
    at = { encoder: sae.rowPictures(model, "encoder"), decoder: sae.rowPictures(model, "decoder") };
    largest = sae.peaks(model, at.decoder);
    norms = new Float64Array(model.n);
    for (let f = 0, i = 0; f < model.n; f++) for (let j = 0; j < model.d_in; j++, i++) norms[f] += model.D[i] ** 2;
    bias = sae.biasPicture(model);
    peak = bias.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    lead = model.c.some((v) => v !== 0) ? 1 : 0;
    looked = null;
    if (!another) return;
    flipped.clear();
    room = 0;
  }

  function sort({ index, value }) {
    const by = { energy: (j) => -(value[j] ** 2) * norms[sae.place(model, index[j])], activation: (j) => -Math.abs(value[j]), index: (j) => index[j] };
    const key = index.map((_, j) => by[order](j));
    const to = index.map((_, j) => j).sort((p, q) => key[p] - key[q] || index[p] - index[q]);
    return { index: to.map((j) => index[j]), value: to.map((j) => value[j]) };
  }

  // x: the picture; h: what is reconstructed, or null; found: its code; h_hat: what decode made of it; kept: the picture of h;
  // asks: (what the model reads, its picture) -> the classifier's probabilities, or null; names: of its classes.
  function show(next, { x, h, code: found, h_hat, kept, settled, asks, names }) {
    if (next !== model) take(next);
    seen = x;
    code = sort(found);
    const n = code.index.length, inside = code.index.map((_, j) => j).filter(isIn);
    const based = !flipped.has(BIAS);
    const sum = sae.decode(model, { index: inside.map((j) => code.index[j]), value: inside.map((j) => code.value[j]) }, based);
    const painted = h ? sae.picture(model, sum) : new Float64Array(784);
    sae.paint(find(".sum"), painted);
    sae.paint(find(".left"), kept.map((v, i) => v - painted[i]), 0.5);
    let error = 0;
    if (h) for (let i = 0; i < sum.length; i++) error += (sum[i] - h[i]) ** 2 / sum.length;
    const r = h ? sae.pearson(h, sum) : 0;
    if (+slider.max !== n) slider.max = n;
    slider.value = count();
    slider.disabled = n === 0;
    sae.write(find(".many"), `${inside.length} of ${n}${based ? "" : ", no bias"}`);
    const [target, unit] = model.reader ? ["h", "unit"] : ["x", "pixel"];
    sae.write(find(".so-far"), h ? `Pearson(${target}, sum) ${r.toFixed(4)} · MSE per ${unit} ${error.toFixed(5)}` : "");
    opinion = h && asks ? (edited) => asks(edited, sae.picture(model, edited)) : null;
    all = h && { h_hat, names };
    const p = opinion && asks(sum, painted), c = p ? p.indexOf(Math.max(...p)) : -1;
    sae.write(find(".sum-says"), p ? `The classifier says ${names[c]} of this sum (${(100 * p[c]).toFixed(1)} %).` : "");
    Object.assign(root.dataset, { terms: inside.length, total: n, sumPearson: r, sumError: error, sumSays: p ? names[c] : "" });
    if (settled) {
      const exact = h ? inexact(h_hat) : 0;
      root.dataset.exact = exact;
      sae.write(find(".exact"), h ? `All ${n} terms${lead ? " and the bias" : " (this model has no bias)"}, added one by one in float32 in this order, ` +
        `differ from ${model.reader ? "ĥ" : "x̂"} by at most ${exact.toExponential(1)}.` : "");
    }
    let top = lead ? peak : 0;
    for (let j = 0; j < n; j++) top = Math.max(top, Math.abs(code.value[j]) * of(largest, j));
    if (lead) sae.paint(corner, bias, shared ? top : peak);
    sae.paintTerms(sheet, at.decoder, code, (j) => (shared ? top : Math.abs(code.value[j]) * of(largest, j)));
    sae.write(find(".full"), !n ? "" : shared ? `±${top.toPrecision(2)}` : "its own largest");
    total = 0;
    for (let j = 0; j < n; j++) total += energy(j);
    paintTiles();
    if (settled) { label(); say(); }
    if (featureAt(current()) !== undefined || looked !== null) look();
  }

  // How far the terms, added one by one in float32, are from what was decoded: the largest absolute difference.
  function inexact(h_hat) {
    const sum = Float32Array.from(model.c), { d_in } = model;
    code.index.forEach((f, j) => {
      const a = Math.fround(code.value[j]), row = sae.place(model, f) * d_in;
      for (let i = 0; i < d_in; i++) sum[i] += Math.fround(a * model.D[row + i]);
    });
    return h_hat.reduce((most, v, i) => Math.max(most, Math.abs(v - sum[i])), 0);
  }

  function paintTiles() {
    if (!model || !colours) return;
    const n = tiles(), { picture } = TILE;
    const fits = Math.max(1, Math.floor(width / TILE.width));
    if (fits !== columns) { columns = fits; cells.style.gridTemplateColumns = `repeat(${columns}, ${TILE.width}px)`; }
    // Room for all that can be active, or were, so that the page below does not jump while somebody draws.
    room = Math.max(room, n, lead + (model.select === "topk" ? model.k : 0));
    const high = Math.max(1, Math.ceil(room / columns)) * TILE.high;
    const context = sae.fit(canvas, columns * TILE.width, high);
    let strongest = 0;
    for (const v of code.value) strongest = Math.max(strongest, Math.abs(v));
    context.clearRect(0, 0, columns * TILE.width, high);
    context.font = `11px ${colours.font}`;
    context.textAlign = "center";
    for (let p = 0; p < n; p++) {
      const j = p - lead, left = (p % columns) * TILE.width + 3, top = Math.floor(p / columns) * TILE.high + 2;
      const inside = tileIn(p);
      context.globalAlpha = inside ? 1 : 0.35;
      sae.drawTile(context, j < 0 ? corner : sheet, Math.max(0, j), left, top, picture);
      if (j >= 0) { // a bar: its activation
        context.fillStyle = code.value[j] < 0 ? colours.takes : colours.adds;
        context.fillRect(left, top + picture + 2, Math.max(1, (Math.abs(code.value[j]) / strongest) * picture), TILE.bar);
      }
      context.globalAlpha = inside ? 1 : 0.75;
      context.fillStyle = colours.text;
      context.fillText(j < 0 ? "bias" : code.index[j], left + picture / 2, top + picture + TILE.bar + 14);
      context.globalAlpha = 1;
      if (!inside) { // struck out
        context.strokeStyle = "#bbb";
        context.lineWidth = 1;
        context.beginPath();
        context.moveTo(left, top);
        context.lineTo(left + picture, top + picture);
        context.stroke();
      }
      if (p === current()) {
        context.strokeStyle = colours.accent;
        context.lineWidth = 3;
        context.strokeRect(left - 1, top - 1, picture + 2, picture + 2);
      }
    }
    if (cells.childElementCount < n) cells.append(...Array.from({ length: n - cells.childElementCount }, cell));
    if (+cells.dataset.shown !== n) {
      [...cells.children].forEach((e, p) => { e.hidden = p >= n; });
      cells.dataset.shown = n;
    }
  }

  function cell() {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "cell";
    button.dataset.testid = "tile";
    button.tabIndex = -1;
    return button;
  }

  // Words for those who do not see the tiles: not in every frame of a stroke.
  function label() {
    for (let p = 0; p < tiles(); p++) {
      const e = cells.children[p], f = featureAt(p), inside = tileIn(p);
      const text = f === BIAS ? "Bias, which every picture has" : `Feature ${f}, activation ${code.value[p - lead].toFixed(3)}`;
      if (e.dataset.words === `${text} ${inside}`) continue;
      e.dataset.words = `${text} ${inside}`;
      e.dataset.testid = f === BIAS ? "bias" : "tile";
      e.dataset.feature = f === BIAS ? "" : f;
      e.setAttribute("aria-label", text);
      e.setAttribute("aria-pressed", inside);
    }
    const from = focused >= 0 && focused < tiles() ? focused : 0;
    for (const [p, e] of [...cells.children].entries()) if ((e.tabIndex === 0) !== (p === from)) e.tabIndex = p === from ? 0 : -1;
  }

  // ---- one tile: what it is, and where it looks

  const current = () => (hovered >= 0 ? hovered : focused);
  function say() {
    const p = current(), f = featureAt(p), j = p - lead;
    if (f === BIAS) {
      hint.textContent = `Bias: what every reconstruction starts from, ${tileIn(p) ? "in" : "not in"} the sum.`;
    } else if (f !== undefined) {
      const without = opinion ? ` ${effect(f, code.value[j])}` : "";
      const often = notes.frequency ? ` Active on ${(100 * notes.frequency[f]).toFixed(1)} % of ${notes.where}.` : "";
      hint.textContent = `Feature ${f}: activation ${code.value[j].toFixed(3)}, ${(100 * energy(j) / (total || 1)).toFixed(1)} % of the energy, ` +
        `${isIn(j) ? "in" : "out"}.${without}${often}`;
      last = f;
      more.textContent = `Open feature ${f}`;
    } else {
      hint.textContent = "Click: take a term out or put it in. Double click: open its feature. Keys: arrows, space, Enter.";
    }
    more.hidden = last === null;
  }
  // What the classifier says of the whole reconstruction with and without one term.
  function effect(f, a) {
    const { h_hat, names } = all, at = sae.place(model, f) * model.d_in;
    const [p, q] = [opinion(h_hat), opinion(h_hat.map((v, i) => v - a * model.D[at + i]))];
    const c = p.indexOf(Math.max(...p)), percent = (v) => (100 * v).toFixed(1);
    return `Without it: ${names[c]} with ${percent(q[c])} %, not ${percent(p[c])} %.`;
  }
  function look() {
    const f = featureAt(current()) ?? null, looks = f !== null && f !== BIAS; // the bias looks nowhere
    sae.paint(find(".here"), looks ? seen : new Float64Array(784));
    if (f === looked) return;
    looked = f;
    find(".which").textContent = looks ? `#${f}` : "";
    for (const rows of ["encoder", "decoder"]) {
      const hidden = f === null || (!looks && rows === "encoder");
      const row = hidden || !looks ? bias : Float64Array.from({ length: 784 }, (_, i) => at[rows](f, i));
      for (const over of root.querySelectorAll(`.over.${rows}`)) {
        over.hidden = hidden;
        over.dataset.feature = f ?? "";
        if (!hidden) sae.paintOver(over, row);
      }
    }
  }
  function turned() { say(); look(); paintTiles(); }

  const placeOf = (event) => [...cells.children].indexOf(event.target.closest(".cell"));
  const opens = (p) => { const f = featureAt(p); if (f !== undefined && f !== BIAS) open(f); };
  cells.onpointerover = (event) => { if (event.pointerType !== "touch") { hovered = placeOf(event); turned(); } };
  cells.onpointerleave = () => { hovered = -1; turned(); };
  cells.addEventListener("focusin", (event) => { focused = placeOf(event); label(); turned(); });
  cells.addEventListener("focusout", () => { focused = -1; turned(); });
  sae.uncover(cells, find(".foot"));
  cells.onclick = (event) => {
    const f = featureAt(placeOf(event));
    if (f === undefined) return;
    if (!flipped.delete(f)) flipped.add(f);
    label();
    say();
    refresh(event);
  };
  cells.ondblclick = (event) => opens(placeOf(event));
  cells.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -Infinity, End: Infinity }[event.key];
    event.stopPropagation(); // or Streamlit takes c and r for its own
    if (step) {
      event.preventDefault();
      hovered = -1;
      cells.children[sae.clamp(focused + step, 0, tiles() - 1)]?.focus();
    } else if (event.key === "Enter") {
      event.preventDefault();
      opens(focused);
    }
  };
  more.onclick = () => { if (last !== null) open(last); };

  // ---- controls

  function stop() {
    clearTimeout(timer);
    timer = null;
    play.textContent = "Play";
  }
  function upTo(n, event) {
    terms = n >= code.index.length ? null : n;
    flipped = new Set();
    refresh(event);
  }
  function tick() {
    upTo(count() + 1);
    if (terms === null) stop();
    else timer = setTimeout(tick, STEP_MS);
  }
  slider.oninput = (event) => { stop(); upTo(+slider.value, event); };
  sae.steady(slider, () => [terms, flipped], (before, event) => {
    [terms, flipped] = before;
    refresh(event);
  });
  find(".all").onclick = (event) => { stop(); upTo(Infinity, event); };
  play.onclick = (event) => {
    if (timer !== null) { stop(); return; }
    if (terms === null) upTo(0, event);
    play.textContent = "Pause";
    timer = setTimeout(tick, STEP_MS);
  };
  find(".order").onchange = (event) => { order = event.target.value; refresh(event); };
  find(".shared").onchange = (event) => { shared = event.target.checked; refresh(event); };
  for (const e of [slider, play, more, ...root.querySelectorAll(".all, .order, .shared")]) {
    e.addEventListener("keydown", (event) => event.stopPropagation());
  }

  return {
    show,
    // What is said of features, and the page's colours.
    update(said, style) {
      notes = said;
      colours = style;
      if (current() < 0) say();
    },
    // Bias and the first n terms as canvases in one signed scale, and the picture of what the others add.
    parts(n) {
      const some = code.index.slice(0, n), row = (f) => Float64Array.from({ length: 784 }, (_, i) => at.decoder(f, i));
      const terms = some.map((f, j) => ({ words: `#${f}`, below: `a = ${code.value[j].toFixed(3)}`, values: row(f).map((v) => v * code.value[j]) }));
      const all = lead ? [{ words: "bias", below: "", values: Float64Array.from(bias) }, ...terms] : terms;
      if (code.index.length > n) {
        const rest = new Float64Array(784);
        code.index.slice(n).forEach((f, j) => { for (let i = 0; i < 784; i++) rest[i] += code.value[n + j] * at.decoder(f, i); });
        all.push({ words: "rest", below: `${code.index.length - n} terms`, values: rest });
      }
      let scale = 0;
      for (const { values } of all) for (const v of values) scale = Math.max(scale, Math.abs(v));
      return { scale, shown: all.map((part) => {
        const canvas = document.createElement("canvas");
        sae.paint(canvas, part.values, scale);
        return { canvas, title: part.words, below: part.below };
      }) };
    },
    // As if the pointer were on that feature's tile; on none where it is not active.
    point(feature) {
      const j = code.index.indexOf(feature), p = j < 0 ? -1 : j + lead;
      if (p === hovered) return;
      hovered = p;
      turned();
    },
    unmount() { stop(); resized.disconnect(); },
  };
}
