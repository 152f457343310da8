// What is shown, as the fragment of the address has it: a link restores the view.

import { AXES } from "./grid.js";

export const SHOWN = ["density", "phase", "real", "imaginary"];

// The view that a fragment describes; what it leaves out or says wrongly is null.
export function readFragment(fragment) {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const view = { name: given.get("name"), plane: given.get("plane"), show: given.get("show") };
  for (const axis of AXES) {
    const text = given.get(axis) ?? "";
    view[axis] = /^\d{1,15}$/.test(text) ? Number(text) : null;
  }
  if (!SHOWN.includes(view.show)) view.show = null;
  view.load = given.get("load") === "true";
  view.follow = given.has("follow") ? given.get("follow") === "true" : null;
  const scale = Number(given.get("scale"));
  view.scale = given.get("scale") === "own" ? "own" : scale > 0 && scale < Infinity ? scale : null;
  view.zoom = readZoom(given.get("zoom"));
  return view;
}

// The fragment of a view: only indices of axes that are not drawn are in it.
export function fragmentOf(view) {
  const parts = new URLSearchParams({ name: view.name, plane: view.plane, show: view.show });
  for (const axis of AXES) if (view[axis] !== null && !view.plane.includes(axis)) parts.set(axis, view[axis]);
  if (view.load) parts.set("load", "true");
  if (view.load && view.follow) parts.set("follow", "true");
  if (view.scale) parts.set("scale", view.scale);
  const zoom = Object.entries(view.zoom).map(([axis, [start, stop]]) => `${axis}${start}-${stop}`);
  if (zoom.length) parts.set("zoom", zoom.join("."));
  return `#${parts}`;
}

// What is wanted, with all that it leaves out, for this grid.
export function completed(wanted, grid, load) {
  const view = { name: wanted.name, load, show: wanted.show ?? "density", scale: wanted.scale ?? null, zoom: {} };
  view.plane = grid.planes.includes(wanted.plane) ? wanted.plane : grid.planes[0];
  for (const axis of AXES) {
    const middle = axis === "t" ? 0 : Math.floor(grid.size(axis) / 2);
    view[axis] = Math.min(wanted[axis] ?? middle, grid.size(axis) - 1);
    const [start, stop] = wanted.zoom?.[axis] ?? [0, 0];
    if (view.plane.includes(axis) && start < stop && stop <= grid.size(axis)) view.zoom[axis] = [start, stop];
  }
  view.follow = load && (wanted.follow ?? (wanted.t === null || wanted.t === undefined));
  return view;
}

function readZoom(text) {
  const found = [...(text ?? "").matchAll(/([txyz])(\d{1,15})-(\d{1,15})/g)];
  return Object.fromEntries(found.map(([, axis, start, stop]) => [axis, [Number(start), Number(stop)]]));
}
