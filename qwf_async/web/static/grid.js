// Axes and coordinates of a wavefunction.

import { number } from "./numbers.js";

export const AXES = ["t", "x", "y", "z"];

const ROUNDING = 1e-9; // share of a step that is only rounding
const SYMBOLS = { "hbar/Eh": "ħ/Eh" };

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
    if (step === null) return index;
    const value = origin + index * step;
    return Math.abs(value) <= ROUNDING * step ? 0 : value;
  }

  unit(name) {
    const { step, unit } = this.axis(name);
    return step === null ? "" : symbol(unit);
  }

  // "x (bohr)"
  label(name) {
    const { step, size } = this.axis(name);
    if (step === null && size > 1) return name === "t" ? "t (frame)" : `${name} (grid index)`;
    return this.unit(name) ? `${name} (${this.unit(name)})` : name;
  }

  // "x = −3.5 bohr", or "x index 12" if the spacing is not known.
  place(name, index) {
    if (this.axis(name).step === null) return name === "t" ? `frame ${index}` : `${name} index ${index}`;
    return `${name} = ${this.at(name, index)}`;
  }

  // "−3.5 bohr", or nothing if the spacing is not known.
  at(name, index) {
    return this.axis(name).step === null ? "" : `${number(this.coordinate(name, index))} ${this.unit(name)}`.trim();
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

  // "|ψ|² (bohr⁻²)": one over a length, as often as there are dimensions; the unit is left out if it is not known.
  get densityLabel() {
    const known = this.spatial.every((name) => this.unit(name) === "bohr");
    return known ? `|ψ|² (bohr⁻${"¹²³"[this.spatial.length - 1]})` : "|ψ|²";
  }
}

// The symbol of a unit.
export const symbol = (unit) => SYMBOLS[unit] ?? unit ?? "";
