/** The drawing pad: strokes of a pointer or of the keys, with all that follows from them live, and their way to Python. */

import { clamp } from "../live/arithmetic.js";
import { fromBase64, toBase64 } from "../live/bytes.js";
import { able, find, keepKeys, steady, write } from "../live/dom.js";
import { readPicture } from "../live/files.js";
import { live } from "../live/frames.js";
import { about, linkOf, through } from "../live/link.js";
import { mounting } from "../live/mount.js";
import { shared } from "../live/shared.js";
import { isDot, RASTER, Raster, Strokes } from "./strokes.js";
import { results } from "./results.js";
import { TAKE } from "./take.js";

/** @import { About, Answer } from "../live/link.js" */
/** @import { Send } from "../live/mount.js" */
/** @import { Data as ResultData } from "./results.js" */
/** @import { Point, Stroke } from "./strokes.js" */

/**
 * @typedef {object} Message
 * @property {string} id of the pad
 * @property {{ key: string | null, levels: string, from: number | null, push: number | null }} picture the one that is
 *   chosen: its name, its 8-bit levels, and where it is from (see link.js); key null: none
 * @property {string[]} said what Python found in it, in sentences
 */
const PEN_NEAR_MS = 1500;

/** @typedef {Message & Answer & ResultData} Data */

/**
 * A pad as it outlives its elements: a remount, a page switch or a lost connection takes no stroke away.
 * @typedef {object} Pad
 * @property {Strokes} drawn
 * @property {string | null} [key] the picture that Python has of this pad; undefined: it has not answered yet
 * @property {About} thing
 * @property {boolean} heavy whether a dropped file is in the component's state
 */

/** @type {Map<string, Pad>} by data.id */
const pads = shared("pads", () => new Map());

export default mounting(".draw", (root) => {
  const canvas = find(root, ".pad", HTMLCanvasElement), pen = find(root, ".pen"), cursor = find(root, ".cursor");
  const button = (/** @type {string} */ name) => find(root, name, HTMLButtonElement);
  const undo = button(".undo"), redo = button(".redo"), clear = button(".clear"), eraser = button(".eraser"), onto = button(".onto");
  const brush = find(root, ".brush", HTMLInputElement), refused = find(root, ".refused"), noted = find(root, ".noted");
  const raster = new Raster(canvas);
  /** @type {Data} */
  let data;
  /** @type {Send} */
  let send = () => {};
  /** @type {Pad} */
  let pad;
  /** @type {Strokes} */
  let drawn;

  const frame = live(() => shown.show(raster.input(drawn, data.side), drawn.pointer === null));
  const shown = results(root, frame, (feature) => send("feature", { feature, at: Date.now() }));

  // ---- drawing

  /** @param {MouseEvent} event @returns {Point} */
  const spot = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * RASTER, ((event.clientY - box.top) / box.height) * RASTER];
  };
  /** @param {Point} point @param {Event} event @param {number | "keys"} pointer */
  function begin(point, event, pointer) {
    const anew = drawn.startsAnew;
    drawn.begin(point, pointer);
    tools();
    if (anew) raster.redraw(drawn);
    else raster.segment(drawn.strokes[drawn.strokes.length - 1], 0);
    frame(event);
  }
  /** @param {Point[]} points @param {Event} event */
  function extend(points, event) {
    const stroke = drawn.strokes[drawn.strokes.length - 1];
    for (const point of points) raster.segment(stroke, stroke.points.push(point) - 1);
    frame(event);
  }
  // While a pen is near, touches are the hand that holds it.
  let penSeen = -Infinity;
  /** @type {{ pointer: number, stroke: Stroke, ended: number } | null} what a touch drew last, and when it was lifted */
  let touched = null;
  /** @param {PointerEvent} event */
  const palm = (event) => {
    if (event.pointerType === "pen") penSeen = event.timeStamp;
    return event.pointerType === "touch" && event.timeStamp - penSeen < PEN_NEAR_MS;
  };
  /** Whether the newest stroke is of the hand that holds the pen, which came down first: it rests, or left a dot. @param {number} now */
  function byHand(now) {
    if (!touched || touched.stroke !== drawn.strokes[drawn.strokes.length - 1]) return false;
    if (drawn.pointer === touched.pointer) return true;
    return drawn.pointer === null && now - touched.ended < PEN_NEAR_MS && isDot(touched.stroke);
  }
  canvas.onpointerdown = (event) => {
    if (event.button !== 0 || palm(event)) return;
    lift(event);
    if (event.pointerType === "pen" && byHand(event.timeStamp)) {
      drawn.abandon();
      raster.redraw(drawn);
    }
    if (drawn.pointer !== null) return;
    cursor.hidden = true;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    shown.theme();
    begin(spot(event), event, event.pointerId);
    const stroke = drawn.strokes[drawn.strokes.length - 1];
    touched = event.pointerType === "touch" ? { pointer: event.pointerId, stroke, ended: Infinity } : null;
  };
  /** @param {PointerEvent} event */
  function move(event) {
    if (event.pointerType === "pen") penSeen = event.timeStamp;
    if (drawn?.pointer !== event.pointerId) return;
    if (!event.buttons) { // its release was not seen: outside the window, or in a menu
      up(event);
      return;
    }
    const events = event.getCoalescedEvents?.() ?? [];
    extend((events.length ? events : [event]).map(spot), event);
  }
  /** @param {PointerEvent} event */
  function up(event) {
    if (drawn?.pointer !== event.pointerId) return;
    drawn.pointer = null;
    if (touched?.pointer === event.pointerId) touched.ended = event.timeStamp;
    changed(event);
  }
  window.addEventListener("pointermove", move);
  window.addEventListener("pointerup", up);
  window.addEventListener("pointercancel", up);

  // The pen that the keys move. It is lifted when anything else takes its place.
  function penMoved() {
    const [x, y] = drawn.pen.map((v) => Math.round((100 * v) / RASTER)), down = drawn.pointer === "keys";
    Object.assign(cursor.style, { left: `${x}%`, top: `${y}%` });
    cursor.hidden = false;
    cursor.classList.toggle("down", down);
    pen.textContent = `Pen ${down ? "down" : "up"} at ${x} %, ${y} %.`;
  }
  /** @param {Event} [event] */
  function lift(event) {
    if (drawn?.pointer !== "keys") return;
    drawn.pointer = null;
    if (event) changed(event);
  }
  canvas.onblur = (event) => { lift(event); cursor.hidden = true; pen.textContent = ""; };
  canvas.onkeydown = (event) => {
    const far = event.shiftKey ? 14 : 5;
    const by = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] }[event.key];
    event.stopPropagation(); // or Streamlit takes c and r for its own
    if (by) {
      const [x, y] = drawn.pen;
      drawn.pen = [clamp(x + by[0], 0, RASTER), clamp(y + by[1], 0, RASTER)];
      if (drawn.pointer === "keys") extend([drawn.pen], event);
      penMoved();
    } else if (event.key === " ") {
      if (drawn.pointer === null) begin(drawn.pen, event, "keys");
      else lift(event);
      penMoved();
    } else if ((event.ctrlKey || event.metaKey) && /^[zy]$/i.test(event.key)) {
      step(event.shiftKey || /y/i.test(event.key) ? "redo" : "undo", event);
    } else if (event.key === "Backspace") step("undo", event);
    else if (event.key === "Delete") empty(event);
    else return;
    event.preventDefault();
  };

  /** @param {"undo" | "redo"} way @param {Event} event */
  function step(way, event) {
    lift();
    if (drawn[way]()) redrawn(event);
  }
  /** @param {Event} event */
  function empty(event) {
    lift();
    drawn.replace(null, null);
    drawn.erase = false; // on black an eraser would seem to draw nothing
    redrawn(event);
  }
  /** @param {Event} event */
  function redrawn(event) {
    raster.redraw(drawn);
    tools();
    changed(event);
  }
  undo.onclick = (event) => step("undo", event);
  redo.onclick = (event) => step("redo", event);
  clear.onclick = empty;
  eraser.onclick = () => { drawn.erase = !drawn.erase; tools(); };
  onto.onclick = () => { drawn.onto = !drawn.onto; tools(); };
  brush.oninput = () => { drawn.brush = +brush.value; };
  steady(brush, () => drawn.brush, (before) => { drawn.brush = before; tools(); });
  function tools() {
    eraser.setAttribute("aria-pressed", `${drawn.erase}`);
    onto.setAttribute("aria-pressed", `${drawn.onto}`);
    onto.hidden = drawn.base === null;
    brush.value = `${drawn.brush}`;
    able([[undo, drawn.past.length > 0], [redo, drawn.future.length > 0]]);
  }

  // ---- files: of a picture dropped onto the pad Python makes what it makes of an upload, and gives it back to draw on

  /** @param {string} why */
  const refuse = (why) => {
    refused.textContent = why ? `${why} The picture before it stays.` : "";
    refused.hidden = !why;
  };
  canvas.ondragover = (event) => { event.preventDefault(); canvas.classList.add("dropping"); };
  canvas.ondragleave = () => canvas.classList.remove("dropping");
  canvas.ondrop = async (event) => {
    event.preventDefault();
    canvas.classList.remove("dropping");
    if (drawn.pointer !== null) return;
    try {
      const picture = await readPicture(event.dataTransfer?.files[0]);
      refuse("");
      linkOf(data.id).say(() => {
        pad.heavy = true;
        return ["dropped", { ...picture, frame: data.side }];
      }, pad.thing);
    } catch (error) {
      refuse(error instanceof Error ? error.message : `${error}`);
    }
  };
  for (const control of root.querySelectorAll("[data-take]")) {
    if (!(control instanceof HTMLButtonElement)) continue;
    control.onclick = () => {
      const taken = shown.taken();
      if (taken) TAKE[control.dataset.take ?? ""](taken, raster.image);
    };
  }
  keepKeys(root.querySelectorAll(".tools button, .tools input, summary"));

  // ---- to Python and back

  /** @param {Event} event */
  function changed(event) {
    refuse("");
    frame(event);
    say();
  }
  function say() {
    pad.key = undefined;
    linkOf(data.id).say(() => {
      const prepared = raster.input(drawn, data.side), raw = drawn.strokes.length > 0, { base } = drawn;
      return ["drawing", {
        empty: prepared === null,
        side: raw || !base ? RASTER : Math.sqrt(base.length),
        frame: data.side,
        px: prepared === null ? "" : toBase64(raw || !base ? raster.gray : base),
        ref: raw ? null : drawn.ref, // the picture that this was loaded as
      }];
    }, pad.thing);
  }
  /** A chosen picture into the pad, to be drawn on. Undo brings back what it took away. @param {Data["picture"]} picture */
  function load({ key, levels }) {
    lift();
    if (!drawn.empty) drawn.remember();
    Object.assign(drawn, { base: key === null ? null : fromBase64(levels), ref: key, strokes: [], pointer: null });
    pad.key = key;
    raster.redraw(drawn);
  }

  /** @param {Data} next @param {{ setStateValue: Send }} component */
  function update(next, { setStateValue }) {
    data = next;
    send = setStateValue;
    const { id, picture } = data, link = linkOf(id), { key, from } = picture;
    const here = pads.get(id) ?? { drawn: new Strokes(), thing: about(), heavy: false }, other = pad !== here;
    pads.set(id, here);
    pad = here;
    drawn = pad.drawn;
    if (other) raster.redraw(drawn);
    const news = link.hear(data, through(root, setStateValue), pad.thing, picture), verdict = news?.verdict;
    if (verdict === "take") load(picture);
    else if (verdict === "passed") drawn.past.push({ base: key === null ? null : fromBase64(picture.levels), ref: key, strokes: [] });
    else if (verdict === "tell" && key !== pad.key) say();
    if (from !== null && from === pad.thing.seq) pad.key = key;
    if (news?.answered && pad.heavy) {
      pad.heavy = false;
      link.clear("dropped"); // every message would carry it along
    }
    if (news?.refused) refuse(news.refused);
    else if (other || verdict === "take") refuse("");
    tools();
    write(noted, data.said.join(" "));
    noted.hidden = !data.said.length;
    shown.update(data);
    frame();
  }

  return {
    update,
    unmount() {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", up);
      window.removeEventListener("pointercancel", up);
      shown.unmount();
      linkOf(data.id).leave(through(root, send));
      if (drawn.pointer !== null) { // half a stroke is a change too: the next mount sends it
        drawn.pointer = null;
        say();
      }
    },
  };
});
