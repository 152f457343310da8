// Axes and coordinates of a wavefunction, and numbers for people.

export const AXES = ["t", "x", "y", "z"];

export class Grid {
  constructor(described) {
    this.axes = described.axes;
    this.points = described.points;
    this.norm = described.norm;
  }

  axis(name) {
    return this.axes[AXES.indexOf(name)];
  }

  size(name) {
    return this.axis(name).size;
  }

  // The coordinate of an index, in the axis' unit; the index itself if the spacing is not known.
  coordinate(name, index) {
    const { origin, step } = this.axis(name);
    return step === null ? index : origin + index * step;
  }

  unit(name) {
    const { step, unit } = this.axis(name);
    return step === null ? "" : unit ?? "";
  }

  label(name) {
    const { step } = this.axis(name);
    if (step === null) return `${name} (index)`;
    return this.unit(name) ? `${name} (${this.unit(name)})` : name;
  }

  // "12   x = −3.5 bohr"
  place(name, index) {
    const { step } = this.axis(name);
    if (step === null) return `${index}`;
    return `${number(this.coordinate(name, index))} ${this.unit(name)}`.trim();
  }

  // Where the cells of the points start … stop−1 begin and end.
  edges(name, start, step, count) {
    const half = 0.5;
    return [this.coordinate(name, start - half), this.coordinate(name, start - half + step * count)];
  }

  // The axes of space that have more than one point.
  get spatial() {
    const free = ["x", "y", "z"].filter((name) => this.size(name) > 1);
    return free.length ? free : ["x"];
  }

  // What can be drawn: planes of space, lines, and lines over time; "xy" is x across and y up.
  get planes() {
    const free = this.spatial;
    const planes = free.flatMap((a, i) => free.slice(i + 1).map((b) => a + b));
    const maps = this.size("t") > 1 ? free.map((a) => `t${a}`) : [];
    return [...planes, ...free, ...maps];
  }

  // The unit of |ψ|²: one over a length, as often as there are dimensions.
  get densityUnit() {
    const units = this.spatial.map((name) => this.unit(name));
    if (!units[0] || units.some((unit) => unit !== units[0])) return "";
    return units.length === 1 ? `1/${units[0]}` : `1/${units[0]}${"⁰¹²³"[units.length]}`;
  }
}

// A number in at most `digits` digits, with a true minus sign.
export function number(value, digits = 5) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  let text = size !== 0 && (size < 1e-4 || size >= 1e7) ? value.toExponential(digits - 1) : value.toPrecision(digits);
  text = text.replace(/(\.\d*?)0+(e|$)/, "$1$2").replace(/\.(e|$)/, "$1");
  return text.replaceAll("-", "−");
}

// Ticks at round numbers between two ends.
export function ticks(low, high, wanted) {
  const span = Math.abs(high - low);
  if (!(span > 0) || !Number.isFinite(span)) return [];
  const rough = span / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const first = Math.ceil(Math.min(low, high) / step - 1e-9);
  const last = Math.floor(Math.max(low, high) / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let rank = 0;
  while (bytes >= 999.5 && rank < units.length - 1) [bytes, rank] = [bytes / 1000, rank + 1];
  return `${rank && bytes < 99.5 ? bytes.toPrecision(2) : Math.round(bytes)} ${units[rank]}`;
}

export function age(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const [unit, each] = units.find(([, each]) => seconds >= each) ?? units[3];
  return `${Math.max(0, Math.floor(seconds / each))} ${unit}`;
}

export function count(points) {
  if (points < 1e6) return points.toLocaleString("en");
  return points < 1e9 ? `${(points / 1e6).toPrecision(3)} million` : `${(points / 1e9).toPrecision(3)} billion`;
}
