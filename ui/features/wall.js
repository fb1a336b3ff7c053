// The wall of features. Two kinds of mounts share this script: the wall itself, whose data hardly ever change, and
// a mark ({ wall, feature }) that says which feature is open and stands in the column of its detail.
// On the page itself, since every mount may have its own copy of this script.
import { sae } from "../live/engine.js";
import { MOST_PICKS, picked, setPicked } from "../live/picks.js";

const walls = (globalThis.__saeWalls ??= new Map()); // data.id -> what a person set: a page switch keeps it
const wallOf = (globalThis.__saeWallOf ??= new WeakMap());

const TILE = 28, STEP = 29, ZOOM = 168; // CSS pixels: a tile, a tile and its gap, the enlarged picture
const LOWEST = 240; // CSS pixels: the wall's height, at which an enlarged tile fits in beside its place
const LARGEST = 16000; // pixels of a canvas's side that every browser allows

function settings(id) {
  if (!walls.has(id)) {
    walls.set(id, { rows: "encoder", scale: "each", order: "index", picking: false, open: null, top: 0, told: undefined, show: null });
  }
  return walls.get(id);
}

export default function ({ data, parentElement, setTriggerValue }) {
  if (data.wall !== undefined) return mark(data, parentElement.host ?? parentElement);
  let me = wallOf.get(parentElement);
  if (!me) {
    me = build(parentElement, settings(data.id));
    wallOf.set(parentElement, me);
  }
  me.send = (feature) => setTriggerValue("opened", feature);
  me.update(data);
  return () => {
    me.leave();
    wallOf.delete(parentElement);
  };
}

// The open feature changed, here or elsewhere: ring it. When its detail begins outside the window, go there.
function mark({ wall, feature }, host) {
  const set = settings(wall), before = set.told;
  set.open = set.told = feature;
  set.show?.(before !== feature);
  if (feature === null || before === undefined || before === feature) return;
  const column = host.closest('[data-testid="stColumn"]') ?? host;
  requestAnimationFrame(() => {
    const { top } = column.getBoundingClientRect();
    if (top > -60 && top < innerHeight * 0.6) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    column.style.scrollMarginTop = "4rem"; // Streamlit's own header lies over the top
    column.scrollIntoView({ block: "start", behavior: still ? "instant" : "smooth" });
  });
}

function build(parent, set) {
  const root = document.createElement("div");
  root.className = "wall";
  root.innerHTML = `
    <div class="controls">
      <div class="choice" role="radiogroup" aria-label="Which weights" data-name="rows">
        <button type="button" role="radio" data-value="encoder" title="What a feature looks for: its column of W"
          data-layer-title="What a feature looks for: its column of W, taken back to the pixels through the classifier's weights">Encoder</button>
        <button type="button" role="radio" data-value="decoder" title="What a feature adds to the picture: its row of D"
          data-layer-title="What a feature adds to the picture: its row of D, taken on to the pixels through the generator's weights">Decoder</button>
      </div>
      <div class="choice" role="radiogroup" aria-label="Scale of the colours" data-name="scale">
        <button type="button" role="radio" data-value="each" title="Each picture over its own largest weight">Own scale</button>
        <button type="button" role="radio" data-value="common" title="All pictures over one scale: faint ones have small weights">One scale</button>
      </div>
      <label class="order">Order <select data-testid="wall-order"></select></label>
      <span class="picks"><button class="pick" type="button" aria-pressed="false" data-testid="wall-pick"
        title="While this is on, a click picks a tile instead of opening it. Also: Ctrl and a click, or the key P.">Pick</button><button
        class="unpick" type="button" data-testid="wall-unpick" title="Let go of all picked features" aria-label="Let go of all picked features" hidden>×</button></span>
      <span class="legend" title="Blue is negative, black is zero, orange is positive"><i>−</i><b></b><i>+</i></span>
    </div>
    <p class="hint" hidden>Click tiles to pick them. On Steer they are a group of strips, “picked on the wall”. <span></span></p>
    <div class="scroll"><div class="grid">
      <canvas data-testid="wall" tabindex="0" role="application" aria-roledescription="wall of features"
        aria-describedby="wall-keys"></canvas>
      <div class="ring" hidden></div><div class="cursor" hidden></div>
    </div></div>
    <div class="zoom" data-testid="wall-zoom" hidden><canvas></canvas><span></span></div>
    <div class="unseen" id="wall-keys">Arrow keys, Home, End, Page Up and Page Down move; Enter opens a feature, P picks it for Steer.</div>
    <div class="unseen" aria-live="polite" data-testid="wall-live"></div>`;
  parent.append(root);
  const find = (selector) => root.querySelector(selector);
  const scroll = find(".scroll"), grid = find(".grid"), hint = find(".hint"), said = find(".hint span"), canvas = find(".grid canvas"), ring = find(".ring"), cursor = find(".cursor");
  const zoom = find(".zoom"), pick = find(".pick"), unpick = find(".unpick"), live = find("[aria-live]"), select = find("select");

  let data = null, known = "", model = null, order = null, place = null, dead = new Set();
  let columns = 0, at = null, keyed = false, painted = "", stop = () => {};
  const me = { send: () => {} };

  // ---- what is shown

  me.update = (next) => {
    const text = next === data ? known : JSON.stringify(next);
    if (text === known) return;
    const changed = data?.model !== next.model;
    data = next;
    known = text;
    dead = new Set(data.dead);
    painted = "";
    select.replaceChildren(new Option("by number", "index"));
    if (data.orders.frequency) select.append(new Option("how often active", "frequency"));
    data.classes.forEach((name, c) => select.append(new Option(`most for ${name}s`, c)));
    if (set.order !== "index" && !data.orders[set.order]) set.order = "index";
    if (changed) { model = null; at = null; stop(); stop = sae.withModel(data.model, (m) => { model = m; sae.tell(root, m); show(true); }); }
    show();
  };

  // What needs painting again is painted; the ring and the controls always follow. `goThere`: to the open feature.
  function show(goThere = false) {
    for (const group of root.querySelectorAll(".choice")) {
      for (const button of group.children) {
        const on = set[group.dataset.name] === button.dataset.value;
        button.setAttribute("aria-checked", on);
        button.tabIndex = on ? 0 : -1;
      }
    }
    select.value = set.order;
    pick.setAttribute("aria-pressed", set.picking);
    hint.hidden = !set.picking;
    if (!model || !scroll.clientWidth) return;
    columns = Math.max(1, Math.floor((scroll.clientWidth + 1) / STEP));
    const look = `${set.rows} ${set.scale} ${set.order} ${columns} ${globalThis.devicePixelRatio}`;
    if (look !== painted) { painted = look; paintWall(); }
    marks();
    box(ring, set.open !== null && set.open < model.d_sae ? place[set.open] : null);
    if (goThere && !ring.hidden) reveal(place[set.open]);
    box(cursor, root.getRootNode().activeElement === canvas && at !== null ? at : null);
  }

  function paintWall() {
    const n = model.d_sae, lines = Math.ceil(n / columns);
    order = set.order === "index" ? Array.from({ length: n }, (_, f) => f) : data.orders[set.order];
    place = new Array(n);
    order.forEach((f, p) => { place[f] = p; });
    const width = columns * STEP - 1, height = lines * STEP - 1;
    const ratio = Math.min(globalThis.devicePixelRatio || 1, LARGEST / height);
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    canvas.parentElement.style.width = `${width}px`;
    scroll.style.maxHeight = `${Math.max(height, LOWEST)}px`; // a small wall ends with its last line
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const sprite = sae.sprite(model, set.rows, set.scale);
    order.forEach((f, p) => {
      const x = (p % columns) * STEP, y = Math.floor(p / columns) * STEP;
      if (dead.has(f)) {
        context.fillStyle = "#808080";
        context.fillRect(x, y, TILE, TILE);
        context.globalAlpha = 0.35;
      }
      sae.drawTile(context, sprite, f, x, y, TILE);
      context.globalAlpha = 1;
    });
    canvas.setAttribute("aria-label", `${n} features of the ${set.rows}, order: ${select.selectedOptions[0].text}`);
    // For tests and measurements: what the canvas now shows.
    Object.assign(canvas.dataset, { columns, rows: set.rows, scale: set.scale, order: set.order, features: n });
  }

  function box(element, p) {
    element.hidden = p === null || p === undefined;
    if (element.hidden) return;
    element.style.transform = `translate(${(p % columns) * STEP}px, ${Math.floor(p / columns) * STEP}px)`;
    element.dataset.feature = order[p];
  }

  // ---- picked features: a group of strips on Steer

  function marks() {
    const chosen = picked(data.model);
    grid.querySelectorAll(".mark").forEach((mark) => mark.remove());
    for (const f of chosen) {
      const mark = document.createElement("div");
      mark.className = "mark";
      box(mark, place[f]);
      if (!mark.hidden) grid.append(mark);
    }
    pick.textContent = chosen.length ? `Pick (${chosen.length})` : "Pick";
    unpick.hidden = !chosen.length;
  }
  function toggle(p) {
    const f = order[p], before = picked(data.model), out = before.includes(f);
    at = p;
    if (!out && before.length >= MOST_PICKS) { live.textContent = said.textContent = `${MOST_PICKS} features are picked: more are too many strips.`; return; }
    setPicked(data.model, out ? before.filter((other) => other !== f) : [...before, f]);
    said.textContent = "";
    show();
    live.textContent = `Feature ${f} ${out ? "let go" : "picked"}, ${picked(data.model).length} in all`;
  }
  pick.addEventListener("click", () => {
    set.picking = !set.picking;
    show();
  });
  unpick.addEventListener("click", () => {
    setPicked(data.model, []);
    said.textContent = "";
    show();
    pick.focus();
  });

  const words = (f) => `#${f}${data.notes[f] ? ` · ${data.notes[f]}` : ""}`;

  // The enlarged tile, beside the place it comes from and always within the wall.
  function enlarge(p) {
    zoom.hidden = p === null;
    if (p === null) return;
    const f = order[p];
    const picture = zoom.firstElementChild;
    sae.drawTile(sae.fit(picture, ZOOM, ZOOM), sae.sprite(model, set.rows, set.scale), f, 0, 0, ZOOM);
    zoom.lastElementChild.textContent = words(f);
    zoom.dataset.feature = f;
    const x = (p % columns) * STEP, y = Math.floor(p / columns) * STEP - scroll.scrollTop + scroll.offsetTop;
    const { offsetWidth: w, offsetHeight: h } = zoom;
    const right = x + STEP + 8;
    const left = right + w <= root.clientWidth ? right : Math.max(0, x - w - 8);
    const top = sae.clamp(y + TILE / 2 - h / 2, scroll.offsetTop, scroll.offsetTop + scroll.clientHeight - h);
    zoom.style.transform = `translate(${left}px, ${Math.max(0, top)}px)`;
  }

  function reveal(p) {
    const top = Math.floor(p / columns) * STEP;
    if (top < scroll.scrollTop) scroll.scrollTop = top - 4;
    else if (top + STEP > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = top + STEP + 4 - scroll.clientHeight;
  }

  function open(p) {
    const f = order[p];
    set.open = f;
    at = p;
    show();
    me.send(f);
  }

  // ---- mouse and touch

  function under(event) {
    if (!model || !order) return null;
    const { left, top } = canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - left) / STEP), line = Math.floor((event.clientY - top) / STEP);
    const p = line * columns + column;
    return column >= 0 && column < columns && line >= 0 && p < order.length ? p : null;
  }
  canvas.addEventListener("pointermove", (event) => {
    keyed = false;
    if (event.pointerType !== "touch") enlarge(under(event));
  });
  canvas.addEventListener("pointerleave", () => { if (!keyed) enlarge(null); });
  scroll.addEventListener("scroll", () => {
    set.top = scroll.scrollTop;
    enlarge(keyed ? at : null); // where the mouse now is, is known when it moves
  }, { passive: true });
  canvas.addEventListener("click", (event) => {
    const p = under(event);
    if (p !== null) (set.picking || event.ctrlKey || event.metaKey || event.shiftKey ? toggle : open)(p);
  });

  // ---- keyboard

  const page = () => Math.max(1, Math.floor(scroll.clientHeight / STEP) - 1) * columns;
  const moves = {
    ArrowLeft: () => at - 1, ArrowRight: () => at + 1, ArrowUp: () => at - columns, ArrowDown: () => at + columns,
    PageUp: () => at - page(), PageDown: () => at + page(), Home: () => 0, End: () => order.length - 1,
  };
  canvas.addEventListener("keydown", (event) => {
    if (!order || event.ctrlKey || event.metaKey || event.altKey) return;
    const opens = event.key === "Enter" || event.key === " ", picks = event.key.toLowerCase() === "p";
    if (!opens && !picks && !moves[event.key] && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    keyed = event.key !== "Escape";
    if (!keyed) { enlarge(null); return; }
    if (picks) { toggle(at); return; }
    if (opens) { open(at); return; }
    const to = moves[event.key]();
    if (to >= 0 && to < order.length) at = to;
    reveal(at);
    show();
    enlarge(at);
    live.textContent = words(order[at]);
  });
  canvas.addEventListener("focus", () => {
    if (!order) return;
    at ??= set.open !== null && set.open < order.length ? place[set.open] : 0;
    show();
    if (canvas.matches(":focus-visible")) { keyed = true; reveal(at); enlarge(at); live.textContent = words(order[at]); }
  });
  canvas.addEventListener("blur", () => { keyed = false; enlarge(null); show(); });

  // ---- controls

  function set_(name, value) {
    const feature = at === null ? null : order[at];
    set[name] = value;
    zoom.hidden = true;
    show();
    if (name === "order") {
      if (feature !== null) at = place[feature];
      scroll.scrollTop = 0;
      show();
    }
  }
  for (const group of root.querySelectorAll(".choice")) {
    group.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) set_(group.dataset.name, button.dataset.value);
    });
    group.addEventListener("keydown", (event) => {
      if (!["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].includes(event.key)) return;
      event.preventDefault();
      event.stopPropagation();
      const other = [...group.children].find((button) => button.getAttribute("aria-checked") !== "true");
      set_(group.dataset.name, other.dataset.value);
      other.focus();
    });
  }
  select.addEventListener("change", () => set_("order", select.value));
  select.addEventListener("keydown", (event) => event.stopPropagation());

  // ---- the life of a mount

  set.show = show;
  let restored = false;
  const watch = new ResizeObserver(() => {
    show();
    if (restored || !order) return;
    restored = true;
    if (set.top) scroll.scrollTop = set.top;
    if (set.open !== null && set.open < model.d_sae) reveal(place[set.open]);
  });
  watch.observe(scroll);
  watch.observe(canvas);
  me.leave = () => {
    stop();
    root.remove();
    watch.disconnect();
    if (set.show === show) set.show = null;
  };
  return me;
}
