// What the graphics card gets of a volume: shares of the largest value, and where there is anything to see.
// Pure functions of numbers.

const BLOCK = 8; // points along each side of the blocks whose largest |ψ|² is known

/**
 * The largest |ψ|² of the values that are finite numbers and stored; 0 if there are none.
 * `values` are Re and Im in turn, C order; `stored` has a byte for each point, or is null.
 */
export function peakOf(values, stored) {
  let peak = 0;
  for (let point = 0, at = 0; at < values.length; point++, at += 2) {
    const density = values[at] * values[at] + values[at + 1] * values[at + 1];
    if (density > peak && density < Infinity && (stored === null || stored[point])) peak = density;
  }
  return peak;
}

/**
 * Re, Im and |ψ|² of the points of some planes x, as shares of the largest, in `texels`. What is not stored or not
 * finite is 0. Each block that is met has its largest |ψ|² in `blocks`.
 */
export function fillPlanes(texels, blocks, { values, shape, stored, peak }, first, last) {
  const [, ny, nz] = shape;
  const scale = peak > 0 ? 1 / Math.sqrt(peak) : 0;
  const [by, bz] = [Math.ceil(ny / BLOCK), Math.ceil(nz / BLOCK)];
  let [point, out] = [first * ny * nz, 0];
  for (let x = first; x < last; x++) {
    for (let y = 0; y < ny; y++) {
      const row = (((x / BLOCK) | 0) * by + ((y / BLOCK) | 0)) * bz;
      for (let z = 0; z < nz; z++, point++, out += 3) {
        let [re, im] = [values[2 * point] * scale, values[2 * point + 1] * scale];
        let density = re * re + im * im;
        if (!(density <= 1.0001) || (stored !== null && !stored[point])) re = im = density = 0;
        texels[out] = re;
        texels[out + 1] = im;
        texels[out + 2] = density;
        const block = row + ((z / BLOCK) | 0);
        if (density > blocks[block]) blocks[block] = density;
      }
    }
  }
}

/** As many zeros as there are blocks in a volume. */
export function noBlocks(shape) {
  return new Float32Array(shape.reduce((count, size) => count * Math.ceil(size / BLOCK), 1));
}

/**
 * The box around all blocks with |ψ|² above a threshold, as shares of the whole: {low, high}, three numbers each; null
 * if there is none. A point more on each side has the values between points.
 */
export function seenBox(blocks, shape, threshold) {
  const counts = shape.map((size) => Math.ceil(size / BLOCK));
  const [low, high] = [[...counts], [-1, -1, -1]];
  for (let x = 0, at = 0; x < counts[0]; x++) {
    for (let y = 0; y < counts[1]; y++) {
      for (let z = 0; z < counts[2]; z++, at++) {
        if (blocks[at] <= threshold) continue;
        for (const [axis, index] of [x, y, z].entries()) {
          low[axis] = Math.min(low[axis], index);
          high[axis] = Math.max(high[axis], index);
        }
      }
    }
  }
  if (high[0] < 0) return null;
  return {
    low: low.map((index, axis) => Math.max(0, (index * BLOCK - 1) / shape[axis])),
    high: high.map((index, axis) => Math.min(1, ((index + 1) * BLOCK + 1) / shape[axis])),
  };
}
