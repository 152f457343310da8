// A part of a picture: a rectangle drawn on it, or + and − around the place of the pointer.

const LEAST_PX = 6; // a shorter drag is a click
const LEAST_POINTS = 4;

export class Zooming {
  // `act.shown()` is {view, data, grid} or null, `act.at(x, y)` as Picture.at, `act.zoom(zoom)` shows {axis: [start, stop]}.
  constructor(canvas, selection, act) {
    this.canvas = canvas;
    this.selection = selection;
    this.act = act;
    this.from = null;
    this.pointer = null;
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#end(event));
    canvas.addEventListener("pointercancel", () => this.#forget());
    canvas.addEventListener("pointerleave", () => (this.pointer = null));
    canvas.addEventListener("dblclick", () => this.act.zoom({}));
    document.getElementById("zoom-out").addEventListener("click", () => this.act.zoom({}));
  }

  // Nearer by a factor, or farther; 0 shows all.
  by(factor) {
    const shown = this.act.shown();
    if (!shown) return;
    const { view, grid } = shown;
    const place = this.pointer && this.act.at(...this.pointer);
    const zoom = {};
    for (const axis of factor ? view.plane : "") {
      const size = grid.size(axis);
      const [start, stop] = view.zoom[axis] ?? [0, size];
      const long = Math.max(Math.min(LEAST_POINTS, size), Math.round((stop - start) / factor));
      if (long >= size) continue;
      const middle = place ? place.indices[axis] : (start + stop) / 2;
      const kept = place ? (middle - start) / (stop - start) : 0.5; // the point under the pointer stays there
      const first = Math.min(size - long, Math.max(0, Math.round(middle - kept * long)));
      zoom[axis] = [first, first + long];
    }
    this.act.zoom(zoom);
  }

  #begin(event) {
    if (event.button !== 0 || event.pointerType === "touch" || !this.act.shown()) return;
    this.from = [event.clientX, event.clientY];
    this.canvas.setPointerCapture(event.pointerId);
  }

  #move(event) {
    this.pointer = [event.clientX, event.clientY];
    if (!this.from) return;
    const [a, b] = this.#corners(event);
    const host = this.selection.offsetParent?.getBoundingClientRect() ?? this.canvas.parentElement.getBoundingClientRect();
    Object.assign(this.selection.style, {
      left: `${a[0] - host.left}px`,
      top: `${a[1] - host.top}px`,
      width: `${b[0] - a[0]}px`,
      height: `${b[1] - a[1]}px`,
    });
    this.selection.hidden = !this.#large(a, b);
  }

  #end(event) {
    if (!this.from) return;
    const [a, b] = this.#corners(event);
    this.#forget();
    const shown = this.act.shown();
    if (!shown || !this.#large(a, b)) return;
    const { view, data } = shown;
    const [first, last] = [this.act.at(a[0], b[1]), this.act.at(b[0], a[1])]; // down left, up right
    if (!first || !last) return;
    const zoom = {};
    [...view.plane].forEach((axis, number) => {
      const stop = Math.min(shown.grid.size(axis), last.indices[axis] + data.step[number]);
      if (stop - first.indices[axis] < shown.grid.size(axis)) zoom[axis] = [first.indices[axis], stop];
    });
    this.act.zoom(zoom);
  }

  #forget() {
    this.from = null;
    this.selection.hidden = true;
  }

  // The corners of the rectangle, left top and right bottom, within the picture.
  #corners({ clientX, clientY }) {
    const place = this.canvas.getBoundingClientRect();
    const x = [this.from[0], Math.min(place.right - 0.5, Math.max(place.left, clientX))];
    let y = [this.from[1], Math.min(place.bottom - 0.5, Math.max(place.top, clientY))];
    if (this.act.shown()?.view.plane.length === 1) y = [place.top, place.bottom - 0.5]; // of a line, all of it
    return [[Math.min(...x), Math.min(...y)], [Math.max(...x), Math.max(...y)]];
  }

  #large(a, b) {
    return b[0] - a[0] >= LEAST_PX && b[1] - a[1] >= LEAST_PX;
  }
}
