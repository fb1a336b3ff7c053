/** Which marks of a drawing are specks beside the digit: sae_core's pictures/marks.py, number for number. */

/** @typedef {{ top: number, left: number, bottom: number, right: number }} Box in pixels; bottom and right are outside */
/** @typedef {Box & { mass: number, peak: number }} Mark what hangs together: its box, its ink and its strongest ink */

const TINY = 1 / 20, SMALL = 1 / 8, APART = 0.05, FAR = 0.2, TIE = 1e-9;

/** @param {Box} a @param {Box} b */
const gap = (a, b) => Math.max(a.top - b.bottom, b.top - a.bottom, a.left - b.right, b.left - a.right);
/** @param {Box} a @param {Box} b */
function widen(a, b) {
  a.top = Math.min(a.top, b.top);
  a.left = Math.min(a.left, b.left);
  a.bottom = Math.max(a.bottom, b.bottom);
  a.right = Math.max(a.right, b.right);
}
/** @param {Box} box */
const longest = ({ top, left, bottom, right }) => Math.max(bottom - top, right - left);

/**
 * What hangs together, also over corners, as runs of ink in rows: run r is [from[r], to[r]) of row[r], of mark[of(r)].
 * @param {ArrayLike<number>} gray
 * @param {number} width
 * @param {number} height
 */
function islands(gray, width, height) {
  const [row, from, to, up] = [0, 1, 2, 3].map(() => /** @type {number[]} */ ([]));
  const of = (/** @type {number} */ r) => { while (up[r] !== r) r = up[r] = up[up[r]]; return r; };
  let before = 0, here = 0; // the runs of the row above, and of this one
  for (let y = 0; y < height; y++) {
    let above = before;
    before = here;
    for (let x = 0, i = y * width; x < width; x++, i++) {
      if (!(gray[i] > 0)) continue;
      const start = x, r = row.length;
      while (x < width && gray[i] > 0) { x++; i++; }
      row.push(y); from.push(start); to.push(x); up.push(r);
      while (above < before && to[above] < start) above++;
      for (let other = above; other < before && from[other] <= x; other++) up[of(other)] = of(r);
    }
    here = row.length;
  }
  /** @type {Map<number, Mark>} */
  const marks = new Map();
  for (let r = 0; r < row.length; r++) {
    const box = { top: row[r], left: from[r], bottom: row[r] + 1, right: to[r] };
    let mark = marks.get(of(r));
    if (mark) widen(mark, box);
    else marks.set(of(r), mark = { ...box, mass: 0, peak: 0 });
    for (let i = row[r] * width + from[r], end = row[r] * width + to[r]; i < end; i++) {
      mark.mass += gray[i];
      if (gray[i] > mark.peak) mark.peak = gray[i];
    }
  }
  return { row, from, to, marks, of };
}

/**
 * The drawing without its specks: the same array where there are none.
 * @param {ArrayLike<number>} gray width × height values, row by row, 0 (background) to 255 (ink)
 * @param {number} width
 * @param {number} height
 * @param {number} enough the ink that bounds a digit
 */
export function withoutSpecks(gray, width, height, enough) {
  const { row, from, to, marks, of } = islands(gray, width, height);
  const bounding = [...marks.values()].filter(({ peak }) => peak >= enough - TIE);
  if (bounding.length < 2) return gray;
  const most = Math.max(...bounding.map(({ mass }) => mass)), box = { ...bounding[0], top: Infinity, left: Infinity, bottom: 0, right: 0 };
  let left = bounding.filter((mark) => {
    const small = mark.mass / most <= SMALL + TIE;
    if (!small) widen(box, mark);
    return small;
  });
  for (let before = -1; before !== left.length;) {
    before = left.length;
    left = left.filter((mark) => {
      const near = gap(mark, box) <= (mark.mass / most <= TINY + TIE ? APART : FAR) * longest(box) + TIE;
      if (near) widen(box, mark);
      return !near;
    });
  }
  if (!left.length) return gray;
  const specks = new Set(left), clean = Float64Array.from(gray);
  for (let r = 0; r < row.length; r++) {
    const mark = marks.get(of(r));
    if (mark && specks.has(mark)) clean.fill(0, row[r] * width + from[r], row[r] * width + to[r]);
  }
  return clean;
}
