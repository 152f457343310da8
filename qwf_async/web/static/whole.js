// What needs all points of a frame, or of all frames, is computed by itself only if they are not too many.

import { button, element } from "./elements.js";

export const MANY = 64e6; // points; more are read when the user says so

/** A button that says how much will be read. */
export function question(points, onclick) {
  const millions = Math.round(points / 1e6).toLocaleString("en");
  return element("p", { class: "question" }, button(`Compute: reads ${millions} million points`, onclick));
}
