// What needs all points of a frame, or of all frames, is computed by itself only if they are not too many.

import { button, element } from "./elements.js";
import { count } from "./numbers.js";

export const MANY = 64e6; // points; more are read when the user says so

const AWAY = 3; // code of an error of the API

/** Whether an error of the API says nothing of what was asked, so that the same may be asked again. Throws others. */
export function wasAway(error) {
  if (!("status" in error)) throw error;
  return error.code === AWAY;
}

/** A button that says how much will be read. */
export function question(points, onclick) {
  return element("p", { class: "question" }, button(`Compute: reads ${count(points)} points`, onclick));
}
