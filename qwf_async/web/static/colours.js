// Values as colours. The tables come from the server, which draws its own pictures with them.

const GREY = 235; // of points that have no phase to show, or no finite value
const LITTLE = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

// A colour as the 32 bits of a pixel of a canvas, opaque.
const packed = ([red, green, blue]) =>
  (LITTLE ? (255 << 24) | (blue << 16) | (green << 8) | red : (red << 24) | (green << 16) | (blue << 8) | 255) >>> 0;

export class Palette {
  constructor({ phase, density, signed, min_phase_share }) {
    this.phase = phase;
    this.density = density;
    this.signed = signed;
    this.minPhaseShare = min_phase_share;
    this.pixels = Object.fromEntries(SHOWS.map((show) => [show, Uint32Array.from(this.table(show), packed)]));
  }

  table(show) {
    return { density: this.density, phase: this.phase, real: this.signed, imaginary: this.signed }[show];
  }
}

const SHOWS = ["density", "phase", "real", "imaginary"];

// The largest finite |ψ|² of interleaved values.
export function peakOf(values) {
  let peak = 0;
  for (let i = 0; i < values.length; i += 2) {
    const density = values[i] * values[i] + values[i + 1] * values[i + 1];
    if (density > peak && density < Infinity) peak = density;
  }
  return peak;
}

// A function of a value's number that gives the pixel of its colour, for one way to show values of a peak |ψ|².
export function colouring(palette, values, show, peak) {
  const pixels = palette.pixels[show];
  const count = pixels.length;
  const grey = packed([GREY, GREY, GREY]);
  const least = palette.minPhaseShare ** 2 * peak;
  const amplitude = Math.sqrt(peak) || 1;
  const part = show === "imaginary" ? 1 : 0;
  const finite = (density) => density < Infinity; // and no NaN
  const densityOf = (index) => values[2 * index] * values[2 * index] + values[2 * index + 1] * values[2 * index + 1];
  if (show === "phase") {
    return (index) => {
      const density = densityOf(index);
      if (!(density > least && finite(density))) return grey;
      const turns = Math.atan2(values[2 * index + 1], values[2 * index]) / (2 * Math.PI) + 0.5;
      return pixels[Math.floor(turns * count) % count];
    };
  }
  if (show === "density") {
    return (index) => {
      const density = densityOf(index);
      if (!finite(density)) return grey;
      return pixels[peak > 0 ? Math.min(Math.floor((density / peak) * count), count - 1) : 0];
    };
  }
  return (index) => {
    if (!finite(densityOf(index))) return grey;
    const share = (values[2 * index + part] / amplitude + 1) / 2;
    return pixels[Math.min(Math.max(Math.floor(share * count), 0), count - 1)];
  };
}

// The pixel of grey points, and a pixel as a colour of CSS.
export const isGrey = (pixel) => pixel === packed([GREY, GREY, GREY]);

export function css(pixel) {
  const [red, green, blue] = new Uint8Array(new Uint32Array([pixel]).buffer);
  return `rgb(${red} ${green} ${blue})`;
}
