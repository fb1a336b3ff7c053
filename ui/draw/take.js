/** What a person takes home from Draw: the drawing, its input and code, and the sum as a figure. */

import { figureSvg, takeHome } from "../live/files.js";
import { paint, painted } from "../live/paint.js";
import { png } from "../live/png.js";

/** @import { results } from "./results.js" */
/** @typedef {NonNullable<ReturnType<ReturnType<typeof results>["taken"]>>} Taken */

const TERMS = 12; // of a figure

/** Bias and the first terms as pictures in one signed scale, and what the others add. @param {NonNullable<Taken["sum"]>} sum */
function panelsOf({ at, code: { index, value }, bias, lead }) {
  const row = (/** @type {number} */ j) => bias.map((_, i) => value[j] * at.decoder(index[j], i));
  const n = Math.min(TERMS, index.length);
  /** @type {{ title: string, below: string, values: Float64Array }[]} */
  const parts = index.slice(0, n).map((f, j) => ({ title: `#${f}`, below: `a = ${value[j].toFixed(3)}`, values: row(j) }));
  if (lead) parts.unshift({ title: "bias", below: "", values: bias });
  if (index.length > n) {
    const rest = new Float64Array(bias.length);
    for (let j = n; j < index.length; j++) row(j).forEach((v, i) => { rest[i] += v; });
    parts.push({ title: "rest", below: `${index.length - n} terms`, values: rest });
  }
  const scale = Math.max(0, ...parts.flatMap(({ values }) => Array.from(values, Math.abs)));
  const panels = parts.map(({ title, below, values }, i) => {
    const canvas = document.createElement("canvas");
    paint(canvas, values, scale);
    return { canvas, title, below, sign: i ? "+" : "≈" };
  });
  return { scale, panels };
}

/** input = bias + terms + rest → reconstruction. @param {Taken} taken */
function figure({ model, name, sum, code, r, input, kept, output }) {
  if (!sum || !code.index.length) return null;
  const { scale, panels } = panelsOf(sum), layer = Boolean(model.reader), n = Math.min(TERMS, code.index.length);
  const first = { canvas: layer ? kept : input, title: layer ? "hidden layer" : "input" };
  return figureSvg("A digit as a sum of features", [first, ...panels, { canvas: output, title: "reconstruction", sign: "→" }], [
    `Model ${name.split("@")[0]}, L0 ${code.index.length} of ${model.d_sae.toLocaleString("en")} latents, ` +
      `Pearson${layer ? "(h, ĥ)" : "(x, x̂)"} ${r.toFixed(4)}, ${n} terms shown.`,
    `Each term is the feature's decoder row times its activation a${layer ? ", taken on through the generator's weights: " +
      "these pictures do not add up pixel by pixel" : ""}.`,
  ], scale.toPrecision(2));
}

/** @param {Taken} taken */
function json({ name, x, model, code, r }) {
  const active = code.index.map((feature, j) => ({ feature, activation: code.value[j] }));
  const all = { model: name, input: Array.from(x, (v) => Math.round(255 * v)), d_sae: model.d_sae, l0: active.length, pearson: r, code: active };
  return JSON.stringify(all, null, 1).replace(/\[[\d,\s]+\]/g, (numbers) => numbers.replace(/\s+/g, ""));
}

/** @param {Taken} taken */
const csv = ({ code }) => ["feature,activation", ...code.index.map((f, j) => `${f},${code.value[j]}`), ""].join("\n");

/** @type {Record<string, (taken: Taken, pad: ImageData) => void>} by the button's data-take */
export const TAKE = {
  figure(taken) {
    const svg = figure(taken);
    if (svg) takeHome(svg, "sum.svg", "image/svg+xml");
  },
  drawing(_, pad) { takeHome(png(pad), "drawing.png", "image/png"); },
  input({ input }) { takeHome(png(painted(input)), "input-28x28.png", "image/png"); },
  json(taken) { takeHome(json(taken), "code.json", "application/json"); },
  csv(taken) { takeHome(csv(taken), "code.csv", "text/csv"); },
};
