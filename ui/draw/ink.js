/**
 * Ink in grey levels, by our own arithmetic: a browser may alter what it gives back of a canvas, so that a site cannot know
 * it by its drawing, and browsers draw the rim of a line differently. Only + − × ÷ and square roots are used, which every
 * browser rounds alike: the same strokes are the same pixels everywhere.
 */

/** @typedef {[x: number, y: number]} Point */
/** @typedef {{ x: number, y: number, width: number, height: number }} Box the pixels that may have changed */

/**
 * Draw a line with round ends; a dot where both ends are the same. A pixel has ink as far as the line covers it: of the
 * ink there was, an eraser leaves what is not covered.
 * @param {Uint8Array} gray side × side levels, row by row
 * @param {number} side
 * @param {Point} from in pixels
 * @param {Point} to
 * @param {number} width
 * @param {boolean} erase
 * @returns {Box}
 */
export function line(gray, side, [ax, ay], [bx, by], width, erase) {
  const outer = width / 2 + 0.5, inner = Math.max(0, width / 2 - 0.5), dx = bx - ax, dy = by - ay, length = dx * dx + dy * dy;
  const within = (/** @type {number} */ v) => Math.min(Math.max(v, 0), side);
  const left = within(Math.floor(Math.min(ax, bx) - outer)), right = within(Math.ceil(Math.max(ax, bx) + outer));
  const top = within(Math.floor(Math.min(ay, by) - outer)), bottom = within(Math.ceil(Math.max(ay, by) + outer));
  const full = erase ? 0 : 255;
  for (let y = top; y < bottom; y++) {
    const py = y + 0.5 - ay;
    for (let x = left, i = y * side + left; x < right; x++, i++) {
      if (gray[i] === full) continue;
      const px = x + 0.5 - ax, along = length > 0 ? Math.min(Math.max((px * dx + py * dy) / length, 0), 1) : 0;
      const qx = px - along * dx, qy = py - along * dy, far = qx * qx + qy * qy;
      if (far >= outer * outer) continue;
      const covered = far <= inner * inner ? 1 : Math.min(outer - Math.sqrt(far), 1);
      gray[i] = Math.floor(gray[i] + (full - gray[i]) * covered + 0.5);
    }
  }
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/**
 * A small square picture made as large as the pad, linearly between the middles of its pixels.
 * @param {Uint8Array} gray side × side levels that are written
 * @param {number} side
 * @param {Uint8Array} levels of the picture
 */
export function enlarge(gray, side, levels) {
  const n = Math.sqrt(levels.length), at = Array.from({ length: side }, (_, i) => {
    const place = Math.min(Math.max(((i + 0.5) * n) / side - 0.5, 0), n - 1), first = Math.min(Math.floor(place), Math.max(n - 2, 0));
    return { first, next: Math.min(first + 1, n - 1), share: place - first };
  });
  for (let y = 0, i = 0; y < side; y++) {
    const { first, next, share } = at[y];
    for (let x = 0; x < side; x++, i++) {
      const column = at[x], p = first * n, q = next * n;
      const above = levels[p + column.first] + (levels[p + column.next] - levels[p + column.first]) * column.share;
      const below = levels[q + column.first] + (levels[q + column.next] - levels[q + column.first]) * column.share;
      gray[i] = Math.floor(above + (below - above) * share + 0.5);
    }
  }
}
