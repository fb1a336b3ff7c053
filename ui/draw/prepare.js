// A drawing → the 28×28 picture MNIST would have made of it: sae_core/pictures/prepare.py's prepare(), number for number.
// gray: width × height values, row by row, 0 (background) to 255 (ink). Returns 784 values k/255, or null when
// nothing is drawn. The reasons behind the steps and constants are told in the Python file.
export function prepareDrawing(gray, width, height) {
  const SIDE = 28, LONGEST = 20, CENTRE = 14, EDGE = 0.4, FAINT = 0.1, TIE = 1e-9;

  const rows = { n: height, max: new Float64Array(height), sum: new Float64Array(height) };
  const columns = { n: width, max: new Float64Array(width), sum: new Float64Array(width) };
  let peak = 0;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const v = gray[i];
      if (v === 0) continue;
      rows.sum[y] += v;
      columns.sum[x] += v;
      if (v > rows.max[y]) rows.max[y] = v;
      if (v > columns.max[x]) columns.max[x] = v;
    }
    if (rows.max[y] > peak) peak = rows.max[y];
  }
  if (!(peak >= FAINT * 255)) return null;

  for (const axis of [rows, columns]) {
    let last = axis.n - 1;
    axis.first = 0;
    while (axis.max[axis.first] < EDGE * peak - TIE) axis.first++;
    while (axis.max[last] < EDGE * peak - TIE) last--;
    axis.side = last + 1 - axis.first;
  }
  const longest = Math.max(rows.side, columns.side);
  for (const axis of [rows, columns]) {
    const cells = Math.max(1, Math.floor(axis.side * LONGEST / longest + 0.5));
    const step = axis.side / cells;
    let mass = 0, moment = 0;
    for (let j = 0; j < axis.n; j++) { mass += axis.sum[j]; moment += axis.sum[j] * (j + 0.5); }
    let start = Math.floor(CENTRE + 0.5 - (moment / mass - axis.first) / step + 0.5 + TIE);
    start = Math.min(Math.max(start, 0), SIDE - cells);
    // Where each of the 28 cells begins, in pixels of the drawing, and the pixels it touches.
    axis.step = step;
    axis.edges = Array.from({ length: SIDE + 1 }, (_, i) => axis.first - start * step + step * i);
    axis.from = axis.edges.map((edge) => Math.min(Math.max(Math.floor(edge), 0), axis.n));
    axis.to = axis.edges.map((edge) => Math.min(Math.max(Math.ceil(edge), 0), axis.n));
  }
  const weight = (axis, cell, pixel) =>
    (Math.min(axis.edges[cell + 1], pixel + 1) - Math.max(axis.edges[cell], pixel)) / axis.step;

  const out = new Float64Array(SIDE * SIDE), line = new Float64Array(width);
  const left = columns.from[0], right = columns.to[SIDE];
  for (let r = 0; r < SIDE; r++) {
    line.fill(0);
    for (let y = rows.from[r]; y < rows.to[r + 1]; y++) {
      if (rows.max[y] === 0) continue;
      const w = weight(rows, r, y);
      for (let x = left, i = y * width + left; x < right; x++, i++) line[x] += w * gray[i];
    }
    for (let c = 0; c < SIDE; c++) {
      let grey = 0;
      for (let x = columns.from[c]; x < columns.to[c + 1]; x++) grey += weight(columns, c, x) * line[x];
      out[r * SIDE + c] = Math.floor(grey + 0.5 + TIE) / 255;
    }
  }
  return out;
}
