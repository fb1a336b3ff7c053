/** Everything that follows from a drawing: prepared input, code, reconstruction, its terms, what a classifier says of it. */

import { argmax, decode, encode, minus, opinion, pearson, picture, pixels, read } from "../live/arithmetic.js";
import { classBars } from "../live/bars.js";
import { announce, find, showReads, write } from "../live/dom.js";
import { withModel } from "../live/models.js";
import { paint } from "../live/paint.js";
import { known, knows } from "../live/parts.js";
import { anatomy } from "./anatomy.js";

/** @import { Code, Model } from "../live/arithmetic.js" */
/** @import { Bars, Classifier } from "../live/bars.js" */
/** @import { Notes } from "./anatomy.js" */

/** @typedef {Notes & { model: string, side: number, classifier: Classifier | null }} Data the model's id, the side of the pictures it reads, the classifier */
/** @typedef {{ model: Model, x: Float64Array, code: Code, r: number }} Result r: Pearson */

/**
 * @param {HTMLElement} root the component's element
 * @param {(event?: Event) => void} refresh shows all again in the next frame
 * @param {(feature: number) => void} open goes to the feature's page
 */
export function results(root, refresh, open) {
  const canvas = (/** @type {string} */ name) => find(root, name, HTMLCanvasElement);
  const input = canvas(".input"), kept = canvas(".kept"), output = canvas(".output"), residual = canvas(".residual");
  const map = canvas(".map"), side = find(root, ".side"), l0 = find(root, ".l0"), correlation = find(root, ".pearson");
  const invite = find(root, ".invite"), spoken = find(root, ".result"), classified = find(root, ".classified");
  const terms = anatomy(root, refresh, open);

  /** @type {Data} */
  let data;
  /** @type {Model | null} */
  let model = null;
  /** @type {Model | null} the classifier */
  let net = null;
  let cancel = () => {}, forget = () => {};
  /** @type {{ input: Bars, output: Bars } | null} */
  let bars = null;
  /** @type {Result | null} */
  let result = null;

  /**
   * Show what follows from a picture; null: nothing is drawn. settled: nobody is drawing.
   * @param {Float64Array | null} prepared
   * @param {boolean} settled
   */
  function show(prepared, settled) {
    if (invite.hidden !== (prepared !== null)) invite.hidden = prepared !== null;
    /** @type {Float64Array | null} */
    let x = prepared ?? new Float64Array(data.side ** 2);
    // While another model comes, the picture may be of its size already.
    if (!model || x.length !== pixels(model)) { paint(input, x); return; }
    // Of a model in parts: everything beside the pad is of the picture that Python answered last.
    const ready = !prepared || knows(model, x);
    root.dataset.waits = `${!ready}`;
    if (!ready) x = known(model);
    if (!x) return;
    const h = read(model, x), nothing = new Float64Array(x.length);
    const code = prepared ? encode(model, h) : { index: [], value: [] };
    const h_hat = decode(model, code), r = prepared ? pearson(h, h_hat) : 0, n = code.index.length;
    const shown = prepared ? picture(model, h) : nothing; // of a model that reads pixels: x itself
    const made = prepared ? picture(model, h_hat) : nothing;
    paint(input, x);
    if (model.reader) paint(kept, shown);
    paint(output, made);
    paint(residual, minus(shown, made), 0.5);
    showMap(model, code);
    write(l0, prepared ? `L0 ${n} of ${model.d_sae.toLocaleString("en")} latents` : "");
    write(correlation, prepared ? `Pearson${model.reader ? "(h, ĥ) " : ""} ${r.toFixed(4)}` : "");
    const asks = asking();
    let said = "";
    if (asks) {
      const p = prepared && asks(h, x), q = prepared && asks(h_hat, made);
      bars?.input(p);
      bars?.output(q, p);
      if (p && q) said = ` The classifier says ${best(p)} of the input, ${best(q)} of the reconstruction.`;
    }
    if (settled) {
      announce(spoken, prepared ? `${n} features are active, Pearson ${r.toFixed(3)}.${said}` : "The pad is empty.");
    }
    terms.show(model, { x, h: prepared && h, code, h_hat, kept: shown, settled, asks, names: data.classifier?.names ?? [] });
    root.dataset.pearson = `${r}`;
    root.dataset.l0 = `${n}`;
    if (settled && ready) root.dataset.active = JSON.stringify(code.index);
    result = { model, x, code, r };
  }

  /** What the classifier says of what the SAE reads or of its picture; null while there is no classifier. */
  function asking() {
    const { classifier } = data, asked = net;
    if (!classifier || !asked) return null;
    return (/** @type {Float64Array} */ h, /** @type {Float64Array} */ x) => opinion(asked, classifier.sameLayer, h, x);
  }
  /** @param {Float64Array} p */
  const best = (p) => `${data.classifier?.names[argmax(p)]} with ${(100 * p[argmax(p)]).toFixed(0)} %`;

  /** All latents in index order, line by line. @param {Model} model @param {Code} code */
  function showMap(model, { index, value }) {
    const n = Math.ceil(Math.sqrt(model.d_sae)), all = new Float64Array(n * n);
    index.forEach((f, j) => { all[f] = value[j]; });
    paint(map, all, Math.abs(value[0] ?? 0));
    write(side, `${n}×${n}`);
  }
  map.onpointermove = (event) => {
    const box = map.getBoundingClientRect(), n = map.width;
    const column = Math.floor(((event.clientX - box.left) / box.width) * n);
    terms.point(Math.floor(((event.clientY - box.top) / box.height) * n) * n + column);
  };
  map.onpointerleave = () => terms.point(null);

  /** The page's colours, which change live. */
  function theme() {
    const style = getComputedStyle(root), { color: text, fontFamily: font } = style;
    const border = (/** @type {string} */ name) => getComputedStyle(find(root, name)).borderBottomColor;
    const accent = style.getPropertyValue("--st-primary-color");
    terms.update(data, { text, font, accent, adds: border(".adds"), takes: border(".takes") });
  }

  /** @param {Data} next */
  function update(next) {
    const before = data?.classifier?.id;
    data = next;
    theme();
    cancel();
    if (model?.id !== data.model) model = result = null;
    cancel = withModel(data.model, (found) => { model = found; showReads(root, model); refresh(); });
    const { classifier } = data;
    classified.hidden = !classifier;
    if (before === classifier?.id) return;
    forget();
    net = null;
    if (!classifier) return;
    bars = { input: classBars(find(root, ".says-input"), classifier.names), output: classBars(find(root, ".says-output"), classifier.names) };
    find(root, ".said").textContent = classifier.said;
    forget = withModel(classifier.id, (found) => { net = found; refresh(); });
  }

  return {
    show, theme, update,
    /** What is shown, to be taken home; null before the first. */
    taken: () => result && { ...result, name: data.model, sum: terms.sum(), input, kept, output },
    unmount() {
      cancel();
      forget();
      terms.unmount();
    },
  };
}
