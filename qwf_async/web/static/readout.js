// The value under the pointer, with its coordinates.

import { number } from "./numbers.js";

// What the data has at a place that `Picture.at` gave, in words, as parts that belong together.
export function readout({ grid, view, data, place }) {
  const where = ["t", "x", "y", "z"]
    .filter((name) => grid.size(name) > 1 || name in place.indices)
    .map((name) => {
      const index = place.indices[name] ?? view[name];
      const at = grid.at(name, index);
      return `${name} ${index}${at && ` (${at})`}`;
    });
  if (data.stored && !data.stored[place.number]) return [...where, "not stored yet"];
  const re = data.values[2 * place.number];
  const im = data.values[2 * place.number + 1];
  const sign = im < 0 || Object.is(im, -0) ? "−" : "+";
  const finite = Number.isFinite(re) && Number.isFinite(im);
  const value = `ψ ${number(re)} ${sign} ${number(Math.abs(im))}i`;
  if (!finite) return [...where, `${value}: not finite as complex64, so it has no colour`];
  const phase = number(Math.atan2(im, re), 4);
  return [...where, value, `|ψ|² ${number(re * re + im * im)}`, `phase ${phase}`];
}
