// Lines over a common axis, with a cursor that pointer and keys move.
//
//   const chart = new LineChart(host, {label: "norm"});
//   chart.show({x, lines: [{name, y}], xLabel, yLabel});   // numbers; null where there is none
//   chart.cursor = 3;                                      // the index of a point, or null
//   chart.oncursor = (index) => …;                         // the user has chosen a point
//
// For those who do not see it, it is a slider over its points, which says the numbers at each.
// Colours: --chart-1 … --chart-4 of charts.css, in turn.

import { element, svg } from "./elements.js";
import { number, ticks } from "./numbers.js";
import { tickTexts } from "./tick_texts.js";

const HEIGHT = 180;
const TICK_EVERY = 50; // pixels between ticks, at least
const MARGIN = { top: 10, right: 14, bottom: 36 };
const COLOURS = 4;
const NEAR_FLAT = 1e-8; // a range below this share of its numbers is rounding, and is shown as flat

export class LineChart {
  oncursor = () => {};
  #figure = element("figure", { class: "chart" });
  #caption = element("figcaption");
  #svg = svg("svg", { tabindex: 0, role: "slider", "aria-valuemin": 0 });
  #readout = element("output", { class: "chart-readout" });
  #label;
  #data = { x: [], lines: [], xLabel: "", yLabel: "" };
  #scales = null;
  #cursor = null;
  #width = 0;
  #asked = 0;
  #observer = new ResizeObserver(([entry]) => this.#resized(entry.contentRect.width));

  constructor(host, { label }) {
    this.#label = label;
    this.#figure.append(this.#caption, this.#svg, this.#readout);
    this.#readout.setAttribute("aria-hidden", "true"); // the slider says the same
    host.append(this.#figure);
    this.#observer.observe(this.#figure);
    this.#svg.addEventListener("pointerdown", (event) => this.#point(event));
    this.#svg.addEventListener("pointermove", (event) => event.buttons & 1 && this.#point(event));
    this.#svg.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Draw lines at x, which ascends; each `y` has a number or null for each x. */
  show({ x, lines, xLabel, yLabel }) {
    this.#data = { x, lines, xLabel, yLabel };
    this.#changed();
  }

  set cursor(index) {
    this.#cursor = index;
    this.#changed();
  }

  /** Take it from the page. */
  dispose() {
    cancelAnimationFrame(this.#asked);
    this.#observer.disconnect();
    this.#figure.remove();
  }

  #resized(width) {
    if (width === this.#width) return;
    this.#width = width;
    this.#changed();
  }

  #changed() {
    this.#asked ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#asked = 0;
    const { x, lines, xLabel, yLabel } = this.#data;
    this.#drawLegend(lines, yLabel);
    this.#say();
    const [across, up] = [rangeOf([x]), rangeOf(lines.map(({ y }) => y))];
    this.#svg.replaceChildren();
    this.#svg.setAttribute("viewBox", `0 0 ${this.#width} ${HEIGHT}`);
    this.#svg.setAttribute("height", HEIGHT);
    this.#scales = null;
    if (across === null || this.#width === 0) return;
    const room = padded(up ?? [0, 1]);
    const upTicks = ticks(...room, 4);
    const texts = tickTexts(upTicks);
    const left = 12 + 7 * Math.max(1, ...texts.map((text) => text.length));
    const right = Math.max(left + 1, this.#width - MARGIN.right);
    const bottom = HEIGHT - MARGIN.bottom;
    const scale = (low, high, from, to) => (value) => from + ((value - low) / (high - low || 1)) * (to - from);
    const px = across[0] === across[1] ? () => (left + right) / 2 : scale(...across, left, right);
    const py = scale(...room, bottom, MARGIN.top);
    this.#scales = { px, left, right, bottom };

    for (const [index, value] of upTicks.entries()) {
      const y = py(value);
      this.#svg.append(
        svg("line", { class: "chart-grid", x1: left, x2: right, y1: y, y2: y }),
        svg("text", { class: "chart-tick", x: left - 6, y: y + 4, "text-anchor": "end" }, texts[index]),
      );
    }
    const acrossTicks = ticks(...across, Math.max(2, (right - left) / TICK_EVERY));
    tickTexts(acrossTicks).forEach((text, index) => {
      const at = px(acrossTicks[index]);
      this.#svg.append(
        svg("line", { class: "chart-axis", x1: at, x2: at, y1: bottom, y2: bottom + 4 }),
        svg("text", { class: "chart-tick", x: at, y: bottom + 16, "text-anchor": "middle" }, text),
      );
    });
    this.#svg.append(
      svg("line", { class: "chart-axis", x1: left, x2: right, y1: bottom, y2: bottom }),
      svg("text", { class: "chart-label", x: (left + right) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, xLabel),
    );
    for (const [index, { y }] of lines.entries()) {
      const points = thinned(x, y, px, py);
      this.#svg.append(svg("path", { class: `chart-line chart-colour-${1 + (index % COLOURS)}`, d: points.path }));
      for (const [cx, cy] of points.alone) {
        this.#svg.append(svg("circle", { class: `chart-dot chart-colour-${1 + (index % COLOURS)}`, cx, cy, r: 2.5 }));
      }
    }
    this.#drawCursor(py);
  }

  #drawLegend(lines, yLabel) {
    this.#caption.replaceChildren(element("span", { class: "chart-name" }, yLabel || this.#label));
    if (lines.length < 2) return;
    for (const [index, { name }] of lines.entries()) {
      const key = element("span", { class: `chart-key chart-colour-${1 + (index % COLOURS)}` }, name);
      this.#caption.append(key);
    }
  }

  #drawCursor(py) {
    const index = this.#cursor;
    if (index === null || index >= this.#data.x.length) return;
    const { px, bottom } = this.#scales;
    const at = px(this.#data.x[index]);
    this.#svg.append(svg("line", { class: "chart-cursor", x1: at, x2: at, y1: MARGIN.top, y2: bottom }));
    for (const [number, { y }] of this.#data.lines.entries()) {
      if (y[index] === null || !Number.isFinite(y[index])) continue;
      this.#svg.append(
        svg("circle", { class: `chart-dot chart-colour-${1 + (number % COLOURS)}`, cx: at, cy: py(y[index]), r: 4 }),
      );
    }
  }

  /** The numbers at the cursor, in the line below and for those who do not see. */
  #say() {
    const { x, lines, xLabel, yLabel } = this.#data;
    const index = this.#cursor;
    const known = index !== null && index < x.length;
    const told = lines.map(({ name, y }) => `${name} = ${shown(y[index])}`);
    const parts = known ? [`${spoken(xLabel, number(x[index]))}:`, ...told] : [];
    const whole = parts.map((part) => part.replaceAll(" ", "\u00a0")); // a line breaks only between them
    this.#readout.textContent = whole.join("   ") || "\u00a0";
    const ranges = lines.map(({ name, y }) => {
      const range = rangeOf([y]);
      return range ? `${name} from ${number(range[0])} to ${number(range[1])}` : `${name} without numbers`;
    });
    const name = `${yLabel || this.#label} over ${xLabel}, ${x.length} points: ${ranges.join("; ")}`;
    this.#svg.setAttribute("aria-label", name);
    this.#svg.setAttribute("aria-valuemax", Math.max(0, x.length - 1));
    this.#svg.setAttribute("aria-valuenow", known ? index : 0);
    this.#svg.setAttribute("aria-valuetext", parts.join("   ") || "no point chosen");
  }

  #point(event) {
    if (this.#scales === null || event.button > 0) return;
    const { x } = this.#data;
    const at = event.clientX - this.#svg.getBoundingClientRect().left;
    this.#svg.setPointerCapture(event.pointerId);
    this.#choose(nearest(x.length, (index) => this.#scales.px(x[index]), at));
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const last = this.#data.x.length - 1;
    const now = this.#cursor ?? 0;
    const page = Math.max(1, Math.round(last / 10));
    const places = {
      ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1,
      PageDown: now - page, PageUp: now + page, Home: 0, End: last,
    };
    if (!(event.key in places) || last < 0) return;
    event.preventDefault();
    event.stopPropagation(); // the page has meanings of its own for these keys
    this.#choose(Math.max(0, Math.min(last, places[event.key])));
  }

  #choose(index) {
    if (index === this.#cursor) return;
    this.cursor = index;
    this.oncursor(index);
  }
}

/** A range with some room around it; flat lines get as much as their size. */
function padded([low, high]) {
  const size = Math.max(Math.abs(low), Math.abs(high));
  if (high - low > NEAR_FLAT * size) return [low - 0.05 * (high - low), high + 0.05 * (high - low)];
  const room = size > 0 ? 0.1 * size : 1;
  return [low - room, high + room];
}

/**
 * The path of a line, and the points that stand alone between gaps. Of many points in one column of pixels it has the
 * first, the least, the largest and the last, which look the same.
 */
function thinned(x, y, px, py) {
  const parts = [];
  const alone = [];
  let run = [];
  const end = () => {
    if (run.length === 1) alone.push(run[0]);
    if (run.length > 1) parts.push(run.map(([a, b], at) => `${at ? "L" : "M"}${a.toFixed(1)} ${b.toFixed(1)}`).join(""));
    run = [];
  };
  for (let index = 0; index < x.length; ) {
    if (y[index] === null || y[index] === undefined || !Number.isFinite(y[index])) {
      end();
      index += 1;
      continue;
    }
    const column = Math.round(px(x[index]));
    let [least, largest, next] = [index, index, index];
    while (next < x.length && Math.round(px(x[next])) === column && y[next] !== null && Number.isFinite(y[next])) {
      if (y[next] < y[least]) least = next;
      if (y[next] > y[largest]) largest = next;
      next += 1;
    }
    const kept = [...new Set([index, least, largest, next - 1])].sort((a, b) => a - b);
    run.push(...kept.map((at) => [px(x[at]), py(y[at])]));
    index = next;
  }
  end();
  return { path: parts.join(""), alone };
}

/** The index whose place is nearest to one, by halving; the places ascend. */
function nearest(count, placeOf, at) {
  let [low, high] = [0, count - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (placeOf(middle) < at) low = middle + 1;
    else high = middle;
  }
  return low > 0 && at - placeOf(low - 1) < placeOf(low) - at ? low - 1 : low;
}

const shown = (value) => (Number.isFinite(value) ? number(value) : "–");

/** The least and the largest of the numbers that are finite, over several lists; null if there are none. */
function rangeOf(lists) {
  let [low, high] = [Infinity, -Infinity];
  for (const list of lists) {
    for (const value of list) {
      if (value === null || !Number.isFinite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : null;
}

/** "t (fs)" and "3" as "t = 3 fs". */
function spoken(label, value) {
  const [, name, unit] = /^(.*?)(?: \((.*)\))?$/.exec(label);
  return `${name} = ${value}${unit ? ` ${unit}` : ""}`;
}
