// |ψ|² in three dimensions, coloured by the phase, which can be turned and looked into.
//
//   const volume = new Volume(host, colours);      // colours: as /api/colours gives them
//   volume.show({values, shape, lengths, names, stored});
//   volume.threshold = 0.02;                       // share of the largest |ψ|² below which nothing is seen
//   volume.opacity = 0.5;                          // 0 to 1
//   volume.ondraw = () => …;                       // called after each picture
//
// The visible canvas is a plain one, into which come the back edges of the box, the volume, the front edges and the
// letters; so a PNG of it has all of them. A picture is drawn only when something has changed, and nothing
// moves by itself, so there is no motion to be reduced.

import { Camera, boxEdges, projected } from "./camera.js";
import { drawLetters, drawPhaseWheel } from "./phase_wheel.js";
import { VolumeGL, hasWebGL2 } from "./volume_gl.js";

const KEYS = {
  ArrowLeft: [-6, 0], ArrowRight: [6, 0], ArrowUp: [0, 6], ArrowDown: [0, -6],
}; // degrees of azimuth and elevation
const LARGER = 1.15; // by a key, or a notch of the wheel
const QUIET = 160; // milliseconds without a change after which the picture becomes fine
const SMOOTH = 30; // milliseconds that a picture may take while it is turned: as many pixels are drawn
const COARSEST = 0.25; // pixels of the volume for each of the canvas, along a side, while it is turned
const NARROW = 480; // pixels of the page; below, axes have their first word only
const DENSEST = 64; // extinction at the peak for each radius of what is seen, at opacity 1

export class Volume {
  ondraw = () => {};
  #canvas = document.createElement("canvas");
  #gl;
  #colours;
  #camera = new Camera();
  #pointers = new Map();
  #listening = new AbortController();
  #observer = new ResizeObserver(() => this.#changed());
  #threshold = 0.02;
  #opacity = 0.6;
  #lengths = [1, 1, 1];
  #names = ["x", "y", "z"];
  #scale = 1; // pixels of the volume for each of the canvas while it is turned
  #moving = false;
  #asked = 0;
  #quiet = 0;

  /** Whether this browser can show one. */
  static isSupported() {
    return hasWebGL2();
  }

  /** Throws if WebGL2 is not there. */
  constructor(host, colours) {
    this.#gl = new VolumeGL(colours.phase, () => this.#changed());
    this.#colours = colours;
    const canvas = this.#canvas;
    canvas.className = "volume-canvas";
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    host.append(canvas);
    this.#observer.observe(canvas);
    const { signal } = this.#listening;
    const on = (kind, listener) => canvas.addEventListener(kind, listener, { signal, passive: false });
    on("pointerdown", (event) => this.#press(event));
    on("pointermove", (event) => this.#drag(event));
    for (const kind of ["pointerup", "pointercancel"]) on(kind, (event) => this.#pointers.delete(event.pointerId));
    on("wheel", (event) => this.#wheel(event));
    on("dblclick", () => this.reset());
    on("keydown", (event) => this.#key(event));
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => this.#changed(), { signal });
    }
  }

  /** What is seen, with edges, letters and ground: for a PNG. */
  get canvas() {
    return this.#canvas;
  }

  set threshold(share) {
    this.#threshold = Math.max(0, Math.min(0.999, share));
    this.#moved();
  }

  set opacity(value) {
    this.#opacity = Math.max(0, Math.min(1, value));
    this.#moved();
  }

  /** Look at it as in the beginning. */
  reset() {
    this.#camera.reset();
    this.#changed();
  }

  /**
   * Show values: Re and Im in turn in a Float32Array, C order of `shape` [nx, ny, nz]. `lengths` of the box are in one
   * unit, `names` stand at its edges. `stored` has a byte for each point, or is null: what is 0 there is not
   * seen, nor is what is no finite number.
   */
  show({ values, shape, lengths, names, stored }) {
    this.#gl.load({ values, shape, stored });
    this.#lengths = lengths;
    this.#names = names;
    this.#canvas.setAttribute("aria-label", `Volume of |ψ|², coloured by phase, along ${names.join(", ")}. Arrow keys turn it, + and − zoom, 0 resets.`);
    this.#changed();
  }

  /** Take it from the page, and give back what it holds. */
  dispose() {
    cancelAnimationFrame(this.#asked);
    clearTimeout(this.#quiet);
    this.#listening.abort();
    this.#observer.disconnect();
    this.#gl.dispose();
    this.#canvas.remove();
  }

  /** A picture is asked for; a fine one. */
  #changed() {
    this.#asked ||= requestAnimationFrame(() => this.#draw());
  }

  /** A picture is asked for; a quick one, and a fine one once nothing changes. */
  #moved() {
    this.#moving = true;
    clearTimeout(this.#quiet);
    this.#changed();
  }

  #draw() {
    this.#asked = 0;
    const canvas = this.#canvas;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((size) => Math.round(size * ratio));
    if (width === 0 || height === 0) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const frame = this.#camera.frame(width, height);
    const half = halfLengths(this.#lengths);
    this.#drawVolume(frame, half, this.#moving ? this.#scale / ratio : Math.min(1, (4 * this.#scale) / ratio));
    this.#compose(frame, half, ratio);
    if (this.#moving) {
      this.#quiet = setTimeout(() => {
        this.#moving = false;
        this.#changed();
      }, QUIET);
    }
    this.ondraw();
  }

  #drawVolume(frame, half, scale) {
    const { canvas } = this.#gl;
    const [width, height] = [this.#canvas.width, this.#canvas.height].map((size) => Math.max(1, Math.round(size * scale)));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const began = performance.now();
    this.#gl.draw({
      frame,
      half,
      threshold: this.#threshold,
      extinction: DENSEST * this.#opacity ** 1.5,
      fineness: this.#moving ? 1 : 2,
    });
    if (!this.#moving) return;
    this.#gl.finish();
    const wanted = this.#scale * Math.sqrt(SMOOTH / Math.max(1, performance.now() - began));
    this.#scale = Math.max(COARSEST, Math.min(1, wanted, 1.2 * this.#scale));
  }

  #compose(frame, half, ratio) {
    const context = this.#canvas.getContext("2d");
    const { width, height } = this.#canvas;
    const page = getComputedStyle(this.#canvas);
    const colour = (name, otherwise) => page.getPropertyValue(name).trim() || otherwise;
    context.globalAlpha = 1;
    const [ground, ink] = [colour("--panel", "#ffffff"), colour("--ink", "#000000")];
    const style = { ink, ground, ratio };
    context.fillStyle = ground;
    context.fillRect(0, 0, width, height);
    const edges = boxEdges(half, frame.eye);
    const place = (point) => projected(frame, point, width, height);
    const line = ({ ends }) => {
      context.beginPath();
      for (const end of ends) context.lineTo(...place(end));
      context.stroke();
    };
    context.strokeStyle = colour("--ink-soft", "#666666");
    context.lineWidth = ratio;
    context.globalAlpha = 0.45;
    edges.behind.forEach(line);
    context.globalAlpha = 1;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#gl.canvas, 0, 0, width, height);
    context.globalAlpha = 0.8;
    edges.before.forEach(line);
    context.globalAlpha = 1;
    context.font = `${13 * ratio}px ${page.fontFamily || "sans-serif"}`;
    for (let axis = 0; axis < 3; axis++) this.#letter(context, axis, edges.outline, place, style);
    drawPhaseWheel(context, this.#colours.phase, style);
  }

  /** The name of an axis, outside of that edge of the outline which lies lowest, or for z leftmost. */
  #letter(context, axis, outline, place, style) {
    const edges = outline.filter((edge) => edge.axis === axis).map(({ ends }) => ends.map(place));
    if (edges.length === 0) return;
    const last = ([[ax, ay], [bx, by]]) => (axis === 2 ? -(ax + bx) : ay + by);
    const [[ax, ay], [bx, by]] = edges.reduce((best, edge) => (last(edge) > last(best) ? edge : best));
    const [cx, cy] = place([0, 0, 0]);
    const [x, y] = [(ax + bx) / 2, (ay + by) / 2];
    const long = Math.hypot(bx - ax, by - ay) || 1;
    let across = [(by - ay) / long, (ax - bx) / long];
    if (across[0] * (x - cx) + across[1] * (y - cy) < 0) across = across.map((value) => -value);
    const { width, height } = context.canvas;
    const { ratio } = style;
    const text = width < NARROW * ratio ? this.#names[axis].split(" ")[0] : this.#names[axis];
    const [wide, high] = [context.measureText(text).width / 2, 8 * ratio];
    const away = 6 * ratio + wide * Math.abs(across[0]) + high * Math.abs(across[1]);
    context.textAlign = "center";
    context.textBaseline = "middle";
    const within = (value, margin, size) => Math.max(margin, Math.min(size - margin, value));
    drawLetters(context, text, within(x + across[0] * away, wide + 4, width), within(y + across[1] * away, high, height), style);
  }

  #press(event) {
    if (event.button !== 0) return;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  #drag(event) {
    const before = this.#pointers.get(event.pointerId);
    if (before === undefined) return;
    const now = [event.clientX, event.clientY];
    const others = [...this.#pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    if (others.length > 0) {
      const distance = (at) => Math.hypot(at[0] - others[0][0], at[1] - others[0][1]);
      this.#camera.magnify(distance(now) / Math.max(1, distance(before)));
    } else {
      const degrees = 200 / Math.min(this.#canvas.clientWidth, this.#canvas.clientHeight);
      this.#camera.turn((before[0] - now[0]) * degrees, (now[1] - before[1]) * degrees);
    }
    this.#pointers.set(event.pointerId, now);
    this.#moved();
  }

  #wheel(event) {
    event.preventDefault(); // the page stays where it is
    const notch = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 100 : 3;
    this.#camera.magnify(LARGER ** (-event.deltaY / notch));
    this.#moved();
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in KEYS) this.#camera.turn(...KEYS[event.key]);
    else if (event.key === "+" || event.key === "=") this.#camera.magnify(LARGER);
    else if (event.key === "-") this.#camera.magnify(1 / LARGER);
    else if (event.key === "0") this.#camera.reset();
    else return;
    event.preventDefault();
    event.stopPropagation(); // the page has meanings of its own for these keys
    this.#moved();
  }
}

/** Half the lengths of a box in the scene, where the sphere around it has the radius 1. */
function halfLengths(lengths) {
  const diagonal = Math.hypot(...lengths);
  return lengths.map((length) => length / diagonal);
}
