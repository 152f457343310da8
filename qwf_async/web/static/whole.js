// What needs all points of a frame, or of all frames, is computed by itself only if they are not too many.

import { button, element } from "./elements.js";
import { count } from "./numbers.js";

export const MANY = 64e6; // points; more are read when the user says so

/** Whether an error says nothing of what was asked: the server was away, and the same may be asked again. */
export const wasAway = (error) => !("code" in error) || error.code === 3;

/** A button that says how much will be read. */
export function question(points, onclick) {
  return element("p", { class: "question" }, button(`Compute: reads ${count(points)} points`, onclick));
}
