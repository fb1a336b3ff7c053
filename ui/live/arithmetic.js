/**
 * What a model makes of a picture: float64 sums over float32 numbers, the same formula as sae_core's InferenceForm.
 *
 *     first = step · h @ W + b,   z = select(first),   passes − 1 times z = select(z + first − step · (z @ D) @ W)
 *     codes = z,   h_hat = codes @ D + c
 *
 * where h is the picture x itself or a hidden layer of a classifier, which the model's reader makes of x; its painter
 * makes a picture of h or h_hat. The functions are named as the methods of SAE: read, encode, decode, picture.
 */

/**
 * One layer of a network: squash(x @ W + b).
 * @typedef {object} Layer
 * @property {number} n_in
 * @property {number} n_out
 * @property {keyof typeof SQUASH} squash
 * @property {Float32Array} W [n_in × n_out]
 * @property {Float32Array} b [n_out]
 */

/**
 * A model at inference.
 * @typedef {object} Model
 * @property {string} id
 * @property {number} d_in of what it reads
 * @property {number} d_sae its latents
 * @property {keyof typeof SELECT} select which of the latents are kept
 * @property {number} k so many, by "topk"
 * @property {Float32Array | null} thresholds [n] those over theirs, by "threshold"; else null
 * @property {boolean} relu whether negative ones are not kept
 * @property {number} passes how often the encoder looks
 * @property {number} step how much of what it sees it adds to the code
 * @property {boolean} pursuit whether each pass adds what it selects to the code of those before
 * @property {Layer | null} reader makes h of a picture; null: h is the picture
 * @property {Layer | null} painter makes a picture of h
 * @property {Float32Array} W [d_in × n]
 * @property {Float32Array} b [n]
 * @property {Float32Array} D [n × d_in]
 * @property {Float32Array} c [d_in]
 * @property {number} n features that are here: all d_sae, or those of a model in parts
 * @property {Parts | null} parts of a model that is too large to send: W, b and D hold these features
 */

/**
 * The features that are here of a model in parts.
 * @typedef {object} Parts
 * @property {number[]} names in ascending order
 * @property {Map<number, number>} place where the weights of each are
 * @property {Map<number, number>} age the number of the message that brought each last
 */

/** @typedef {{ index: number[], value: number[] }} Code the active features and the activation of each */

/** @param {number} v @param {number} low @param {number} high */
export const clamp = (v, low, high) => (v < low ? low : v > high ? high : v);

/** Where the largest of p is. @param {ArrayLike<number>} p */
export function argmax(p) {
  let best = 0;
  for (let c = 1; c < p.length; c++) if (p[c] > p[best]) best = c;
  return best;
}

/** The largest magnitude of values. @param {ArrayLike<number>} values */
export function magnitude(values) {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]));
  return largest;
}

/** a − b, one by one. @param {ArrayLike<number>} a @param {ArrayLike<number>} b */
export function minus(a, b) {
  const out = new Float64Array(a.length);
  for (let i = 0; i < out.length; i++) out[i] = a[i] - b[i];
  return out;
}

/**
 * out += a · row i of a matrix with as many columns as out is long.
 * @param {Float64Array} out
 * @param {number} a
 * @param {ArrayLike<number>} matrix
 * @param {number} i
 */
export function addRow(out, a, matrix, i) {
  for (let j = 0, at = i * out.length; j < out.length; j++, at++) out[j] += a * matrix[at];
}

/** Where feature f's weights are; undefined when they are not here. @param {Model} model @param {number} f */
export const place = (model, f) => (model.parts ? model.parts.place.get(f) : f);

/** How many pixels the model's pictures have. @param {Model} model */
export const pixels = ({ reader, d_in }) => (reader ? reader.n_in : d_in);

const SQUASH = {
  /** @param {number} v */
  "tanh-relu": (v) => Math.max(0, Math.tanh(v)),
  /** @param {number} v */
  sigmoid: (v) => 1 / (1 + Math.exp(-v)),
};

/** h @ W + b. @param {Float64Array} h @param {Float32Array} W @param {Float32Array} b */
function affine(h, W, b) {
  const out = new Float64Array(b);
  for (let i = 0; i < h.length; i++) if (h[i] !== 0) addRow(out, h[i], W, i); // most of a digit is empty
  return out;
}

/** @param {Layer | null} layer @param {Float64Array} x */
const through = (layer, x) => (layer ? affine(x, layer.W, layer.b).map(SQUASH[layer.squash]) : x);

/** What the model reads, h [d_in], of a picture. @param {Model} model @param {Float64Array} x */
export const read = (model, x) => through(model.reader, x);

/** The picture of h or of its reconstruction [d_in]. @param {Model} model @param {Float64Array} h */
export const picture = (model, h) => through(model.painter, h);

/** Which latents are kept, by their values before the selection: their places in ascending order. */
const SELECT = {
  /** The k largest; of equal ones the first. @param {Float64Array} pre @param {Model} model */
  topk(pre, { k }) {
    const n = pre.length, from = n - Math.min(k, n), sorted = pre.slice().sort(), limit = sorted[from], kept = [];
    let ties = 0; // so many that equal the limit
    for (let i = from; i < n && sorted[i] === limit; i++) ties++;
    for (let f = 0; f < n; f++) if (pre[f] > limit || (pre[f] === limit && ties-- > 0)) kept.push(f);
    return kept;
  },
  /** @param {Float64Array} pre */
  all: (pre) => Array.from(pre, (_, f) => f),
  /** @param {Float64Array} pre @param {Model} model */
  threshold(pre, { thresholds }) {
    const kept = [];
    for (let f = 0; f < pre.length; f++) if (thresholds && pre[f] > thresholds[f]) kept.push(f);
    return kept;
  },
};

/** Places where something is selected of pre, which is not 0. @param {Model} model @param {Float64Array} pre */
const kept = (model, pre) => SELECT[model.select](pre, model).filter((f) => pre[f] > 0 || (pre[f] < 0 && !model.relu));

/** How many latents can be active at once, where that is said; else 0. @param {Model} model */
export const most = ({ select, k, passes, pursuit }) => (select === "topk" ? k * (pursuit ? passes : 1) : 0);

/** What a feature's own activation takes from what all see: rows of D @ W, kept as they are needed. */
/** @type {WeakMap<Model, Map<number, Float64Array>>} */
const seenOf = new WeakMap();
/** @param {Model} model @param {number} at */
function rowSeen(model, at) {
  const rows = seenOf.get(model) ?? new Map(), row = rows.get(at) ?? new Float64Array(model.n);
  seenOf.set(model, rows);
  if (!rows.has(at)) for (let i = 0; i < model.d_in; i++) addRow(row, model.D[at * model.d_in + i], model.W, i);
  rows.set(at, row);
  return row;
}

/**
 * Look again, passes − 1 times, at what the code so far leaves over.
 * @param {Model} model
 * @param {Float64Array} first what the first pass selected from
 * @returns {{ z: Float64Array, index: number[] }} the code, dense, and where it is not 0
 */
function lookAgain(model, first) {
  const { n, d_in, passes, step, pursuit, W, D } = model, z = new Float64Array(n);
  let index = kept(model, first);
  for (const f of index) z[f] = first[f];
  const left = first.slice(); // of a pursuit: less what was added
  let added = index;
  for (let pass = 1; pass < passes; pass++) {
    if (pursuit) {
      const now = added.map((f) => -step * left[f]);
      added.forEach((f, j) => addRow(left, now[j], rowSeen(model, f), 0));
      added = kept(model, left);
      for (const f of added) z[f] += left[f];
      continue;
    }
    const written = new Float64Array(d_in), pre = first.slice();
    for (const f of index) addRow(written, z[f], D, f);
    for (let i = 0; i < d_in; i++) addRow(pre, -step * written[i], W, i);
    for (const f of index) { pre[f] += z[f]; z[f] = 0; }
    index = kept(model, pre);
    for (const f of index) z[f] = pre[f];
  }
  return { z, index: pursuit ? Array.from(z.keys()).filter((f) => z[f] !== 0) : index };
}

/**
 * The code of h [d_in], the largest magnitude first.
 * @param {Model} model
 * @param {Float64Array} h
 * @returns {Code}
 */
export function encode(model, h) {
  const { passes, step, parts } = model, first = affine(step === 1 ? h : h.map((v) => step * v), model.W, model.b);
  const { z, index } = passes > 1 ? lookAgain(model, first) : { z: first, index: kept(model, first) };
  index.sort((p, q) => Math.abs(z[q]) - Math.abs(z[p]) || p - q);
  return { index: parts ? index.map((f) => parts.names[f]) : index, value: index.map((f) => z[f]) };
}

/**
 * The sum of value · D[index], plus c unless `bias` is false: h_hat [d_in].
 * @param {Model} model
 * @param {Code} code
 * @param {boolean} bias
 */
export function decode(model, { index, value }, bias = true) {
  const out = bias ? new Float64Array(model.c) : new Float64Array(model.d_in);
  for (let j = 0; j < index.length; j++) {
    const at = place(model, index[j]);
    if (value[j] !== 0 && at !== undefined) addRow(out, value[j], model.D, at);
  }
  return out;
}

/**
 * A classifier is a model whose latents are its logits: the probability of each class from its hidden layer h, edited
 * or not.
 * @param {Model} net
 * @param {Float64Array} h
 */
export function classifyLayer(net, h) {
  const out = affine(h, net.W, net.b), top = out[argmax(out)];
  let sum = 0;
  for (let c = 0; c < out.length; c++) sum += out[c] = Math.exp(out[c] - top);
  return out.map((v) => v / sum);
}

/** The same from a picture; the classifier sees what is shown. @param {Model} net @param {Float64Array} x */
export const classify = (net, x) => classifyLayer(net, read(net, x.map((v) => clamp(v, 0, 1))));

/**
 * What a classifier says of h, where the SAE reads its own layer (then h may be edited), or else of the picture x.
 * @param {Model} net
 * @param {boolean} sameLayer
 * @param {Float64Array} h
 * @param {Float64Array} x
 */
export const opinion = (net, sameLayer, h, x) => (sameLayer ? classifyLayer(net, h) : classify(net, x));

/** The correlation of two vectors; 0 where one of them does not vary. @param {ArrayLike<number>} a @param {ArrayLike<number>} b */
export function pearson(a, b) {
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
