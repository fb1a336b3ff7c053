// The steering strips: toggles and sliders on the features of a picture; everything follows while they move.
// Python gets the edits on release; what it answers (data.seq) frees the way for the next ones.

import { sae } from "../live/engine.js";
import { classBars } from "../live/bars.js";
import { figureSvg, takeHome } from "../live/files.js";
import { picked } from "../live/picks.js";
import { Edits } from "./edits.js";
import { makeStrip } from "./strip.js";

const SHOWN = 200; // strips; a code with more active features shows its strongest
const FULL = 0.5; // the change that the difference shows in full colour
const KEPT = 50; // pictures whose edits are kept, as many as Python keeps
const PATIENCE_MS = 5000; // after which an answer counts as lost
const PICKED = "picked", EFFECT = "effect"; // groups beside the classes: picked on the wall; the picture's own, by effect

// Edits outlive their elements: a rerun, a remount, a page switch or a lost connection takes none away. By picture and
// model: Edits, with what belongs to their strips: { wide: feature -> how often its slider was doubled; open: strips with
// their more; group: class whose features are listed, PICKED, EFFECT or ""; n: of them; took: the wall's feature that got
// a strip; push: Python's }
const kept = (globalThis.__saeSteered ??= new Map());
// By data.id: what is on its way to Python, { mode, seq, answered, sentAt, waiting: the message that goes next; told: what
// went last; place, model: of the picture shown; offer: the state of the picture before, to be taken along }
const links = (globalThis.__saeSteerLinks ??= new Map());
const mounted = (globalThis.__saeSteer ??= new WeakMap());

export default function (component) {
  const { data, parentElement } = component;
  const root = parentElement.querySelector(".steer");
  let view = mounted.get(parentElement);
  if (view?.root !== root) mounted.set(parentElement, (view = mount(root)));
  view.update(data, component.setStateValue);
  return () => sae.whenGone(parentElement, () => {
    view.unmount();
    if (mounted.get(parentElement) === view) mounted.delete(parentElement);
  });
}

function mount(root) {
  const find = (selector) => root.querySelector(selector);
  const canvas = (name) => find(`[data-testid=${name}]`);
  const list = find(".strips"), top = find(".top"), carry = find(".carry"), number = find(".number"), said = find(".said"), which = find(".which"), most = find(".n");
  let data = null, send = null, model = null, cancel = () => {}, built = null, link = null, mine = null, timer = null;
  let h = null, h_hat = null, code = null, strips = new Map(), pearson = 0;
  let roving = null; // the feature whose strip is in the order of the Tab key
  let original = null, whole = null, reconstruction = null; // pictures of x, of h (the same on pixels) and of h_hat
  let net = null, asked = null, drop = () => {}, bars = {}, opinions = null; // opinions: of the original and of h_hat

  // ---- arithmetic

  function compute() {
    if (!built) return;
    const now = mine.code(code.index);
    const changed = sae.decode(model, now);
    const plain = link.mode === "plain";
    const h_now = plain ? changed : h.map((v, i) => v + (changed[i] - h_hat[i]));
    const steered = sae.picture(model, h_now);
    // A hidden layer keeps less than the original: what the edits changed is told from its own picture.
    const from = model.reader && plain ? reconstruction : whole;
    const difference = steered.map((v, i) => v - from[i]);
    let largest = 0, l0 = 0;
    for (const v of difference) largest = Math.max(largest, Math.abs(v));
    for (const v of now.value) if (v !== 0) l0++;
    const correlation = sae.pearson(original, steered);
    sae.paint(canvas("steered"), steered);
    sae.paint(canvas("difference"), difference, FULL);
    const before = code.index.length;
    sae.write(find(".l0"), l0 === before ? `${l0}` : `${l0} (was ${before})`);
    sae.write(find(".pearson-steered"), correlation.toFixed(4));
    sae.write(find(".change"), largest.toFixed(4));
    Object.assign(root.dataset, { l0, pearson, pearsonSteered: correlation, change: largest, edits: mine.edits.size });
    root.dataset.solo = mine.solo ? mine.solo.size : "";
    if (!opinions) return;
    const p = opinion(h_now, steered);
    bars.steered(p, mine.touched ? opinions[plain ? "reconstruction" : "original"] : null);
    says("steered", p);
    const best = bestOf(p);
    sae.announce(find(".result"), mine.touched ? `The classifier says ${data.judge.names[best]} with ${(100 * p[best]).toFixed(0)} %; largest change ${largest.toFixed(2)}.` : "");
  }

  // What the classifier says of h, or of its picture where it is another that the SAE does not read.
  const opinion = (layer, pixels) => (data.judge.sameLayer ? sae.judgeLayer(net, layer) : sae.judge(net, pixels));
  function says(of, p) {
    const best = bestOf(p);
    sae.write(find(`.says[data-of=${of}]`), `${data.judge.names[best]} · ${(100 * p[best]).toFixed(1)} %`);
  }
  function judged() {
    opinions = null;
    if (!net || !built) return;
    opinions = { original: opinion(h, original), reconstruction: opinion(h_hat, reconstruction) };
    for (const of of ["original", "reconstruction"]) { bars[of](opinions[of]); says(of, opinions[of]); }
    label();
  }
  const frame = sae.live(compute);

  // ---- strips

  // What strip.js needs of this page; some of it changes with the picture.
  const desk = {
    get mine() { return mine; }, get data() { return data; }, get model() { return model; },
    focused: () => focused(), say: (text) => say(text), frame, changed, showAll,
    open: (feature) => send("feature", { feature, at: Date.now() }),
    again: (f, focus) => renew(f, focus),
    tab: (f) => rove(f),
    gone(f) {
      strips.delete(f);
      rove(roving);
      number.focus();
    },
  };
  function strip(f) {
    const made = makeStrip(desk, f);
    strips.set(f, made);
    reach(f);
    return made.item;
  }

  // A strip made anew, with another range; the focus stays.
  function renew(f, focus) {
    const old = strips.get(f).item, item = strip(f);
    old.replaceWith(item);
    strips.get(f).show();
    item.querySelector(focus)?.focus({ preventScroll: true });
  }

  // One strip is in the order of the Tab key, the one that had the focus last; the arrow keys walk from strip to strip.
  function reach(f) {
    for (const e of strips.get(f)?.item.querySelectorAll("input, button") ?? []) e.tabIndex = f === roving ? 0 : -1;
  }
  function rove(f) {
    const old = roving;
    roving = strips.has(f) ? f : (strips.keys().next().value ?? null);
    if (old !== roving) reach(old);
    reach(roving);
  }
  const focused = () => root.getRootNode().activeElement;

  function build(found) {
    model = found;
    sae.tell(root, model);
    if (built) { // the model has grown: rows that were missing are here
      for (const s of strips.values()) s.picture();
      sae.knows(model, original, [...strips.keys(), ...mine.edits.keys()]);
      frame();
      return;
    }
    original = sae.fromLevels(sae.fromBase64(data.picture.levels));
    if (!sae.knows(model, original)) return;
    h = sae.read(model, original);
    code = sae.encode(model, h);
    mine.natural = new Map(code.index.map((f, j) => [f, code.value[j]]));
    h_hat = sae.decode(model, code);
    whole = sae.picture(model, h);
    reconstruction = sae.picture(model, h_hat);
    pearson = sae.pearson(original, reconstruction);
    sae.paint(canvas("original"), original);
    sae.paint(canvas("reconstruction"), reconstruction);
    find(".pearson").textContent = pearson.toFixed(4);
    number.max = model.d_sae - 1;
    number.placeholder = `0–${model.d_sae - 1}`;
    const { feature } = data; // the one that was chosen on the wall gets a strip, once
    if (feature !== null && feature < model.d_sae && mine.took !== feature && !mine.natural.has(feature)) {
      mine.added = [feature, ...mine.added.filter((f) => f !== feature)];
    }
    mine.took = feature;
    built = true;
    judged();
    lay();
    list.scrollTop = 0;
    if (!code.index.length) say("The code of this picture is empty: no feature is active. Add one by its number.");
    frame();
  }

  // Makes the strips: what was added or is edited, and then those of the picture or of a class.
  function lay(settled = true) {
    const at = list.scrollTop, held = focused(), where = held?.closest?.(".strip")?.dataset.feature;
    const listed = own() ? ownFeatures().slice(0, SHOWN) : groupFeatures();
    const known = new Set(listed), also = [...mine.edits.keys()].filter((f) => !known.has(f)), used = mine.natural;
    const others = also.filter((f) => !used.has(f) && !mine.added.includes(f) && f < model.d_sae);
    mine.added = [...others, ...mine.added].filter((f) => !used.has(f) && f < model.d_sae);
    if (settled) mine.now = mine.snap();
    const first = [...mine.added.filter((f) => !known.has(f)), ...also.filter((f) => used.has(f))];
    strips = new Map();
    list.replaceChildren(...[...first, ...listed].map(strip));
    list.scrollTop = at;
    rove(roving);
    if (where) { // the focus was in a strip: it stays in the same one, or in the list
      const again = strips.get(+where)?.item.querySelector(`.${held.className}`) ?? strips.get(roving)?.item.querySelector(".toggle");
      again?.focus({ preventScroll: true });
    }
    const hidden = own() ? code.index.length - listed.length : 0;
    const how = mine.group === "" ? "" : ranked(mine.group);
    find(".note").textContent = [data.note, how, hidden > 0 ? `${hidden} weaker active features have no strip here.` : ""]
      .filter(Boolean).join(" ");
    which.value = mine.group;
    most.value = mine.n;
    label();
    showAll();
    sae.knows(model, original, [...strips.keys()]);
  }
  const show = () => { for (const s of strips.values()) s.show(); };
  function showAll() {
    show();
    const only = find(".solo-note");
    only.hidden = !mine.solo;
    only.firstElementChild.textContent = mine.solo ? `Only ${mine.solo.size} feature${mine.solo.size > 1 ? "s" : ""} on; all others are off.` : "";
    sae.able([[find(".back"), mine.past.length > 0], [find(".again"), mine.future.length > 0]]);
    const n = link.offer ? link.offer.edits.length : 0;
    carry.hidden = !link.offer || mine.touched;
    carry.textContent = n ? `Take along the ${n === 1 ? "edit" : `${n} edits`} of the picture before` : "Take along what was kept alone";
  }
  const say = (text) => { said.textContent = text; };

  // ---- controls

  const every = () => new Set([...code.index, ...mine.added, ...mine.edits.keys()]);
  const press = (selector, work) => {
    find(selector).onclick = (event) => { if (built) { work(); showAll(); changed(event); } };
  };
  press(".off", () => { mine.solo = null; for (const f of every()) mine.off(f); });
  press(".on", () => { mine.solo = null; for (const f of every()) if (mine.own(f) === 0) mine.on(f); });
  press(".reset", () => {
    mine.put({ edits: [], rules: [], added: [], solo: null });
    for (const name of ["last", "wide", "open"]) mine[name].clear();
    lay(false);
  });
  press(".all", () => { mine.solo = null; find(".reset").focus({ preventScroll: true }); });
  press(".only", () => {
    mine.solo = new Set(groupFeatures(groupClass()));
    if (own()) mine.group = `${groupClass()}`;
    lay(false);
  });
  press(".carry", () => {
    mine.adopt(link.offer);
    link.offer = null;
    lay(false);
    find(".reset").focus({ preventScroll: true });
  });

  // The pictures and what was done, for a paper.
  find(".figure").onclick = () => {
    if (!built) return;
    const panels = ["original", "reconstruction", "steered", "difference"].map((name) => ({
      canvas: canvas(name), title: name, below: find(`.says[data-of=${name}]`)?.textContent ?? "what changed, ±0.5",
    }));
    const list = [...mine.edits].map(([f, v]) => `#${f}: ${mine.before(f).toFixed(2)} → ${v.toFixed(2)}`);
    const edits = list.length > 8 ? `${list.slice(0, 8).join(", ")} and ${list.length - 8} more` : list.join(", ") || "none";
    const { l0, pearson, pearsonSteered } = root.dataset;
    takeHome(figureSvg("A picture steered by its features", panels, [
      `Model ${data.model.split("@")[0]}, ${link.mode} mode, L0 ${code.index.length} → ${l0}, Pearson(original, reconstruction) ${(+pearson).toFixed(4)}, ` +
        `(original, steered) ${(+pearsonSteered).toFixed(4)}.`,
      `Edits: ${edits}${mine.solo ? `; only ${mine.solo.size} features on` : ""}.`,
      ...(opinions ? [`Below the pictures: the classifier's class and its probability. ${data.judge.said}`] : []),
    ], FULL), "steered.svg", "image/svg+xml");
  };

  function step(done, event) {
    if (!done) return;
    lay();
    tell(event);
  }
  const undo = (event) => step(built && mine.undo(), event);
  const redo = (event) => step(built && mine.redo(), event);
  find(".back").onclick = undo;
  find(".again").onclick = redo;

  // ---- which strips: those of the picture, by activation or by effect, or the first n of a class

  const own = () => mine.group === "" || mine.group === EFFECT;
  const groupFeatures = (of = mine.group) =>
    (of === PICKED ? picked(data.model).filter((f) => f < model.d_sae) : data.groups.lists[of].slice(0, mine.n));
  const bestOf = (p) => p.indexOf(Math.max(...p));
  // Without a choice it is the class that the classifier sees in the picture.
  const groupClass = () => {
    if (!own()) return mine.group;
    const best = opinions ? bestOf(opinions.original) : 0;
    return !data.groups ? null : best < data.groups.lists.length ? best : 0;
  };
  // By how much the classifier's log-odds for what it says of the picture change when a feature is switched off.
  function ownFeatures() {
    if (mine.group !== EFFECT || !opinions) return code.index;
    const c = bestOf(opinions.original);
    const margin = (p) => Math.log(p[c] + 1e-300) - Math.log(Math.max(...p.map((v, i) => (i === c ? 0 : v))) + 1e-300);
    const all = margin(opinions.original);
    const effect = new Map(code.index.map((f, j) => {
      const off = sae.decode(model, { index: [f], value: [-code.value[j]] }, false), without = h.map((v, i) => v + off[i]);
      return [f, Math.abs(margin(opinion(without, sae.picture(model, without))) - all)];
    }));
    return [...code.index].sort((p, q) => effect.get(q) - effect.get(p));
  }
  function label() {
    if (!mine) return;
    const c = groupClass(), only = find(".only"), chosen = picked(data.model).length;
    find(".group").hidden = !data.groups && !chosen && !data.judge;
    only.hidden = c === null;
    find(".most").hidden = !data.groups || mine.group === PICKED;
    if (c === null) return;
    only.textContent = c === PICKED ? `Only the ${chosen} picked`
      : `Only the top ${Math.min(mine.n, data.groups.lists[c].length)} features of ${data.groups.names[c]}`;
    only.title = `Switch everything else off. ${ranked(c)}`;
  }
  const ranked = (of) =>
    of === PICKED ? "In the order in which they were picked on the wall."
      : of === EFFECT ? "In the order of their effect: by how much switching each off changes the classifier's log-odds of what it says of this picture."
        : `Ranked by ${data.groups.how}.`;
  which.onchange = () => { mine.group = which.value; if (built) { lay(); list.scrollTop = 0; } };
  most.onchange = () => {
    mine.n = sae.clamp(Math.round(+most.value) || 30, 1, 100);
    if (built) lay();
  };

  find(".add").onsubmit = (event) => {
    event.preventDefault();
    if (!built) return;
    const f = number.value === "" ? NaN : +number.value;
    if (!Number.isInteger(f) || f < 0 || f >= model.d_sae) {
      say(`There is no such feature: this model has 0 to ${model.d_sae - 1}.`);
      return;
    }
    if (strips.has(f)) {
      say(`Feature ${f} has a strip already.`);
    } else if (strips.size >= 2 * SHOWN) {
      say("There are enough strips here: remove some, or reset.");
      return;
    } else {
      if (!mine.natural.has(f)) mine.added = [f, ...mine.added.filter((other) => other !== f)];
      list.prepend(strip(f));
      strips.get(f).show();
      sae.knows(model, original, [...strips.keys()]);
      say(mine.natural.has(f) ? "" : `Feature ${f} is added; it is off until you move it.`);
      number.value = "";
      changed(event);
    }
    const { item } = strips.get(f);
    list.scrollTop += item.getBoundingClientRect().top - list.getBoundingClientRect().top - 8;
    item.classList.add("found");
    setTimeout(() => item.classList.remove("found"), 1500);
    item.querySelector(".slider").focus({ preventScroll: true });
  };
  for (const radio of root.querySelectorAll("[name=mode]")) {
    radio.onchange = (event) => { link.mode = radio.value; changed(event); };
  }
  root.onkeydown = (event) => {
    event.stopPropagation(); // or Streamlit takes c and r for its own
    const key = event.key.toLowerCase(), typing = event.target.type === "number";
    if ((event.ctrlKey || event.metaKey) && !typing && (key === "z" || key === "y")) {
      event.preventDefault();
      (key === "y" || event.shiftKey ? redo : undo)(event);
    }
    const item = event.target.closest(".strip");
    if (item && !typing && (event.target.type !== "range" || event.altKey)) walk(event, item);
  };
  // From strip to strip, to the same control of another one.
  function walk(event, item) {
    const items = [...list.children], at = items.indexOf(item), line = getComputedStyle(list).gridTemplateColumns.split(" ").length;
    const to = { ArrowUp: at - line, ArrowDown: at + line, ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: items.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = items[to];
    if (!next) return;
    const same = next.querySelector(`.${event.target.className}`);
    (same && !same.disabled ? same : next.querySelector(".toggle")).focus();
  }
  list.addEventListener("focusin", (event) => { const item = event.target.closest(".strip"); if (item) rove(+item.dataset.feature); });
  sae.uncover(list, top);

  // ---- to Python and back: one update under way, the newest wins

  function changed(event, what = null) {
    if (built) { mine.remember(what); showAll(); }
    tell(event);
  }
  function tell(event) {
    if (event?.type !== "submit") say("");
    frame(event);
    link.waiting = {
      ref: data.picture.ref, model: data.model, mode: link.mode, edits: Object.fromEntries(mine.edits),
      rules: Object.fromEntries(mine.rules), added: mine.added, solo: mine.solo && [...mine.solo],
    };
    release();
  }
  const told = (edits, mode) => `${link.place} ${mode} ${edits}`;
  const underWay = () => link.seq > link.answered;
  function release() {
    if (!link.waiting || (underWay() && performance.now() - link.sentAt < PATIENCE_MS)) return;
    link.sentAt = performance.now();
    const edits = { seq: ++link.seq, ...link.waiting };
    link.told = { seq: link.seq, what: told(Edits.key(mine.snap()), link.mode) };
    sae.toPython(() => send("edits", edits), root.getRootNode().host ?? root);
    link.waiting = null;
    clearTimeout(timer);
    timer = setTimeout(() => { if (root.isConnected && underWay()) tell(); }, PATIENCE_MS + 100);
  }

  function update(next, setStateValue) {
    data = next;
    send = setStateValue;
    if (!links.has(data.id)) {
      links.set(data.id, { mode: data.mode, seq: data.seq, answered: data.seq, sentAt: 0, waiting: null, told: null, offer: null });
    }
    // What was under way may be lost: when this element is new, or another server answers, which knows nothing of it.
    const lost = link === null || data.seq < link.answered;
    link = links.get(data.id);
    link.seq = Math.max(link.seq, data.seq);
    link.answered = lost ? link.seq : data.seq;
    root.dataset.answered = data.seq;

    const place = `${data.id} ${data.model} ${data.picture.ref}`;
    const listed = (byFeature) => Object.entries(byFeature).map(([f, v]) => [+f, v]);
    const given = { edits: listed(data.edits), rules: listed(data.rules), added: data.added, solo: data.solo };
    const left = link.place !== place && kept.get(link.place); // the picture before this one
    if (link.model !== data.model) link.offer = null;
    else if (left?.touched) link.offer = left.snap();
    Object.assign(link, { place, model: data.model });
    if (!kept.has(place)) {
      const strips = { wide: new Map(), open: new Set(), group: "", n: 30, took: undefined, push: null };
      kept.set(place, Object.assign(new Edits(given), strips));
      if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    }
    mine = kept.get(place);
    if (mine.group === PICKED ? !picked(data.model).length : !own() && !data.groups?.lists[mine.group]) mine.group = "";
    const pushed = data.push && data.push !== mine.push; // Python made these edits: they replace what was here
    if (pushed) {
      mine.push = data.push;
      link.mode = data.mode;
      link.waiting = null;
      mine.put(given);
      mine.remember();
    }
    for (const radio of root.querySelectorAll("[name=mode]")) radio.checked = radio.value === link.mode;
    ask();
    const key = `${place} ${data.source}`;
    if (root.dataset.key !== key) {
      root.dataset.key = key;
      built = null;
      strips.clear(); // those of the picture before must not edit this one
      list.replaceChildren();
      cancel();
      cancel = sae.withModel(data.model, build);
    } else if (pushed && built) {
      lay();
      frame();
      if (root.getBoundingClientRect().top < 0) root.scrollIntoView({ block: "start" }); // what has moved is seen
    }
    // Python is told again what it does not know: a message was lost with its server, or with an element that is gone.
    // Not what it has been told and did not take: it has said why.
    const mineNow = told(Edits.key(mine.snap()), link.mode), unknown = told(Edits.key(given), data.mode) !== mineNow;
    const refused = link.told?.what === mineNow && data.seq === link.told.seq;
    if (pushed ? underWay() : unknown && !refused && !underWay() && !link.waiting) tell();
    else release();
  }

  // The classifier and the classes' lists, which change with the model.
  function ask() {
    const names = data.groups?.names ?? [], chosen = picked(data.model).length, listed = `${names.join("\n")} ${chosen}`;
    if (which.dataset.listed !== listed) {
      which.dataset.listed = listed;
      which.replaceChildren(new Option("everything this picture uses", ""), ...(data.judge ? [new Option("the same, by effect on the classifier", EFFECT)] : []),
        ...names.map((name, c) => new Option(`top features of ${name}`, c)),
        ...(chosen ? [new Option(`picked on the wall (${chosen})`, PICKED)] : []));
      which.value = mine.group;
    }
    const id = data.judge ? `${data.judge.id} ${data.judge.sameLayer}` : null;
    if (id === asked) return;
    asked = id;
    drop();
    net = opinions = null;
    find(".opinion").hidden = find(".others").hidden = !id;
    for (const element of root.querySelectorAll(".says")) element.textContent = "";
    if (!id) return;
    find(".judge").textContent = data.judge.said;
    find(".opinion").title = data.judge.said;
    for (const of of ["original", "reconstruction", "steered"]) {
      const place = find(`[data-testid=opinion-${of}]`);
      bars[of] = classBars(place, data.judge.names);
      place.setAttribute("aria-label", `Classes of the ${of === "steered" ? "steered picture" : of}`);
      for (const name of place.querySelectorAll(".name")) {
        if (name.textContent.length > 2) { name.title = name.textContent; name.textContent = "–"; }
      }
    }
    drop = sae.withModel(data.judge.id, (found) => {
      net = found;
      judged();
      if (built && mine.group === EFFECT) lay();
      frame();
    });
  }

  return { root, update, unmount() { cancel(); drop(); clearTimeout(timer); } };
}
