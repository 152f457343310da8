// What is shown, as the fragment of the address has it: a link restores the view.

export const SHOWN = ["density", "phase", "real", "imaginary"];
const INDICES = ["t", "x", "y", "z"];

// The view that a fragment describes; what it leaves out or says wrongly is null.
export function readFragment(fragment) {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const view = { name: given.get("name"), plane: given.get("plane"), show: given.get("show") };
  for (const axis of INDICES) {
    const text = given.get(axis);
    view[axis] = text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
  }
  if (!SHOWN.includes(view.show)) view.show = null;
  view.load = given.get("load") === "true";
  return view;
}

// The fragment of a view: only indices of axes that are not drawn are in it.
export function fragmentOf(view) {
  const parts = new URLSearchParams({ name: view.name, plane: view.plane, show: view.show });
  for (const axis of INDICES) if (view[axis] !== null && !view.plane.includes(axis)) parts.set(axis, view[axis]);
  if (view.load) parts.set("load", "true");
  return `#${parts}`;
}
