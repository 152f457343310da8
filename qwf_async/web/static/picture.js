// The picture of a slice: a pixel for a value, or a curve for a line, within axes and beside its colours.

import { colouring } from "./colours.js";
import { curveEdges, drawCurve } from "./curve.js";
import { boxIn, drawFrame, drawHatch, heightFor, themeOf } from "./frame.js";

const PHASE_MARKS = [[-Math.PI, "−π"], [-Math.PI / 2, "−π/2"], [0, "0"], [Math.PI / 2, "π/2"], [Math.PI, "π"]];
const PNG_SCALE = 2;
const NARROW = matchMedia("(max-width: 1000px)"); // as in style.css: the stage is then as high as its picture
const LEAST_HEIGHT = 190;

export class Picture {
  constructor(stage, axes, canvas, palette) {
    this.stage = stage;
    this.axes = axes;
    this.canvas = canvas;
    this.palette = palette;
    this.shown = null;
    new ResizeObserver(() => this.#layOut()).observe(stage);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#layOut());
  }

  // Show values: {grid, plane, show, data, peak, alt}; `data` is as Api.values gives it.
  show(shown) {
    this.shown = shown;
    this.canvas.setAttribute("aria-label", shown.alt);
    if (shown.plane.length === 2) this.#paint();
    this.#layOut();
  }

  clear() {
    this.shown = this.around = null;
    this.canvas.width = this.canvas.height = 1;
    this.axes.getContext("2d").clearRect(0, 0, this.axes.width, this.axes.height);
  }

  // The value under a place on the screen: its number in the data, and the index along each axis drawn; or null.
  at(clientX, clientY) {
    if (!this.shown) return null;
    const { data, plane } = this.shown;
    const place = this.canvas.getBoundingClientRect();
    const across = (clientX - place.left) / place.width;
    const up = 1 - (clientY - place.top) / place.height;
    if (!(across >= 0 && across < 1 && up >= 0 && up < 1)) return null;
    const i = Math.floor(across * data.shape[0]);
    const j = plane.length === 2 ? Math.floor(up * data.shape[1]) : 0;
    const indices = { [plane[0]]: data.start[0] + i * data.step[0] };
    if (plane.length === 2) indices[plane[1]] = data.start[1] + j * data.step[1];
    return { number: plane.length === 2 ? i * data.shape[1] + j : i, indices };
  }

  // A canvas with the whole picture and a title, for a file.
  toCanvas(title) {
    const { clientWidth: width, clientHeight: height } = this.stage;
    const head = 30;
    const file = document.createElement("canvas");
    file.width = width * PNG_SCALE;
    file.height = (height + head) * PNG_SCALE;
    const context = file.getContext("2d");
    const theme = themeOf(this.stage);
    context.scale(PNG_SCALE, PNG_SCALE);
    context.fillStyle = theme.panel;
    context.fillRect(0, 0, width, height + head);
    context.fillStyle = theme.ink;
    context.font = "600 14px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.fillText(title, 14, head / 2 + 3, width - 28);
    context.translate(0, head);
    const box = this.#box(width, height);
    if (this.shown.data.stored) drawHatch(context, theme, box);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.canvas, box.left, box.top, box.width, box.height);
    drawFrame(context, theme, box, this.#frame());
    return file;
  }

  // One pixel for each value: the first axis across, the second up.
  #paint() {
    const { data, show, peak } = this.shown;
    const [across, up] = data.shape;
    if (this.canvas.width !== across || this.canvas.height !== up || this.image?.width !== across || this.image.height !== up) {
      this.canvas.width = across;
      this.canvas.height = up;
      this.image = new ImageData(across, up);
    }
    const pixels = new Uint32Array(this.image.data.buffer);
    const colourOf = colouring(this.palette, data.values, show, peak);
    for (let j = 0; j < up; j++) {
      const row = (up - 1 - j) * across;
      for (let i = 0; i < across; i++) pixels[row + i] = colourOf(i * up + j);
    }
    if (data.stored) {
      // Transparent: the hatching behind it is seen.
      for (let j = 0; j < up; j++) for (let i = 0; i < across; i++) if (!data.stored[i * up + j]) pixels[(up - 1 - j) * across + i] = 0;
    }
    this.canvas.getContext("2d").putImageData(this.image, 0, 0);
  }

  #layOut() {
    if (!this.shown) return;
    this.#setHeight();
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width || !height) return;
    const scale = Math.min(3, devicePixelRatio || 1);
    const box = this.#box(width, height);
    for (const [name, value] of Object.entries(box)) this.canvas.style[name] = `${value}px`;
    const theme = themeOf(this.stage);
    if (this.shown.plane.length === 1) {
      const { data, show, peak } = this.shown;
      this.canvas.width = Math.round(box.width * scale);
      this.canvas.height = Math.round(box.height * scale);
      drawCurve(this.canvas.getContext("2d"), data, this.palette, theme, { show, peak, scale });
    }
    const frame = this.#frame();
    const { table, ...bar } = frame.bar ?? {};
    const around = JSON.stringify([width, height, scale, box, theme, { ...frame, bar }, this.shown.show]);
    if (around === this.around) return; // as it is for most frames that are played
    this.around = around;
    this.axes.width = Math.round(width * scale);
    this.axes.height = Math.round(height * scale);
    const context = this.axes.getContext("2d");
    context.scale(scale, scale);
    drawFrame(context, theme, box, frame);
  }

  #setHeight() {
    const height = heightFor(this.stage.clientWidth, this.#ratio() ?? 0.7);
    const most = 0.62 * innerHeight;
    this.stage.style.height = NARROW.matches ? `${Math.round(Math.max(LEAST_HEIGHT, Math.min(most, height)))}px` : "";
  }

  #box(width, height) {
    return boxIn(width, height, this.#ratio());
  }

  #edges(number) {
    const { grid, plane, data } = this.shown;
    return grid.edges(plane[number], data.start[number], data.step[number], data.shape[number]);
  }

  // Height over width: true to scale if both axes have the same unit and neither would be a thin stripe; or null.
  #ratio() {
    const { grid, plane } = this.shown;
    if (plane.length === 1 || plane[0] === "t") return null;
    const [a, b] = [...plane].map((name) => grid.axis(name));
    if ((a.step === null) !== (b.step === null) || (a.unit ?? "") !== (b.unit ?? "")) return null;
    const [width, height] = [0, 1].map((number) => Math.abs(this.#edges(number)[1] - this.#edges(number)[0]));
    const ratio = height / width;
    return ratio >= 0.25 && ratio <= 4 ? ratio : null;
  }

  #frame() {
    const { grid, plane, show, peak } = this.shown;
    const [across, upwards] = [...plane].map((name, number) => ({
      label: grid.label(name),
      edges: this.#edges(number),
      whole: grid.axis(name).step === null,
    }));
    const names = { density: grid.densityLabel, phase: this.#phaseLabel, real: "Re ψ", imaginary: "Im ψ" };
    const label = names[show];
    const marks = show === "phase" ? PHASE_MARKS : null;
    if (plane.length === 1) {
      const bar = { table: this.palette.phase, edges: [-Math.PI, Math.PI], label: "phase", marks: PHASE_MARKS };
      const up = { label: show === "phase" ? "phase" : label, edges: curveEdges(show, peak), marks };
      return { heading: show === "phase" ? label : "", across, up, bar: show === "density" ? bar : null };
    }
    const amplitude = Math.sqrt(peak) || 1;
    const edges = { density: [0, peak || 1], phase: [-Math.PI, Math.PI] }[show] ?? [-amplitude, amplitude];
    return {
      heading: label,
      across,
      up: upwards,
      bar: { table: this.palette.table(show), edges, marks },
    };
  }

  get #phaseLabel() {
    return `phase, where |ψ| > ${100 * this.palette.minPhaseShare} % of its maximum`;
  }
}
