// Values as colours. The tables come from the server, which draws its own pictures with them.

const GREY = 235; // of points that have no phase to show, or no finite value

export class Palette {
  constructor({ phase, density, signed, min_phase_share }) {
    this.phase = phase;
    this.density = density;
    this.signed = signed;
    this.minPhaseShare = min_phase_share;
  }

  table(show) {
    return { density: this.density, phase: this.phase, real: this.signed, imaginary: this.signed }[show];
  }
}

// The largest finite |ψ|² of interleaved values.
export function peakOf(values) {
  let peak = 0;
  for (let i = 0; i < values.length; i += 2) {
    const density = values[i] * values[i] + values[i + 1] * values[i + 1];
    if (density > peak && density < Infinity) peak = density;
  }
  return peak;
}

// A function of a value's number that gives its colour [r, g, b], for one way to show values of a peak |ψ|².
export function colouring(palette, values, show, peak) {
  const table = palette.table(show);
  const count = table.length;
  const grey = [GREY, GREY, GREY];
  const least = palette.minPhaseShare ** 2 * peak;
  const amplitude = Math.sqrt(peak) || 1;
  return (index) => {
    const re = values[2 * index];
    const im = values[2 * index + 1];
    const density = re * re + im * im;
    if (!Number.isFinite(density)) return grey;
    if (show === "phase") {
      if (!(density > least)) return grey;
      const turns = Math.atan2(im, re) / (2 * Math.PI) + 0.5;
      return table[Math.floor(turns * count) % count];
    }
    if (show === "density") return table[Math.min(Math.floor((peak > 0 ? density / peak : 0) * count), count - 1)];
    const share = ((show === "real" ? re : im) / amplitude + 1) / 2;
    return table[Math.min(Math.max(Math.floor(share * count), 0), count - 1)];
  };
}
