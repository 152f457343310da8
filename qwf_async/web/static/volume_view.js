// The volume of one frame with what sets it: threshold, opacity, and how many points are read.
//
//   const view = new VolumeView(host, api, colours);
//   view.show({name, generation, t, grid, load, done});  // load: of a load under way, of which `done` is stored
//   view.dispose();
//
// Showing the same again does nothing. A coarse volume comes first, and then a fine one; what is overtaken is aborted.
// host.dataset.drawn is "name/t/points a side" of what is drawn at this moment. Where there is no WebGL2, a line says so.

import { button, download, element, labelled } from "./elements.js";
import { number } from "./numbers.js";
import { Volume } from "./volume.js";

const COARSE = 32; // points a side
const QUALITIES = [32, 64, 96, 128];
const USUAL = 96;
const FAINTEST = -4; // the least threshold is 10^FAINTEST
const FIRST = { threshold: 58, opacity: 60 }; // of sliders that run from 0 to 100

export class VolumeView {
  #host;
  #api;
  #volume = null;
  #status = element("p", { class: "note", role: "status" });
  #quality;
  #shown = null;
  #key = "";
  #what = "";
  #asking = null;

  constructor(host, api, colours) {
    this.#host = host;
    this.#api = api;
    const stage = element("div", { class: "volume-stage" });
    try {
      if (!Volume.isSupported()) throw new Error("This browser has no WebGL2, which a volume needs: slices show the same.");
      this.#volume = new Volume(stage, colours);
    } catch (error) {
      this.#status.textContent = error.message;
      host.append(this.#status);
      return;
    }
    this.#quality = element("select", {}, ...QUALITIES.map((size) => element("option", { value: size }, `${size}³`)));
    this.#quality.value = USUAL;
    this.#quality.addEventListener("change", () => this.#read());
    const controls = element(
      "div",
      { class: "controls" },
      this.#slider("threshold", "share of the largest |ψ|², below which nothing is seen", (value) => {
        this.#volume.threshold = shareOf(value);
        return percent(shareOf(value));
      }),
      this.#slider("opacity", "how little is seen through what is there", (value) => {
        this.#volume.opacity = value / 100;
        return `${value} %`;
      }),
      labelled("Points", this.#quality),
      button("Reset", () => this.#volume.reset()),
      button("Save PNG", () => this.#save()),
      ...(document.fullscreenEnabled ? [button("Full screen", () => stage.requestFullscreen())] : []),
    );
    const hint = element("p", { class: "note" }, "Drag or arrow keys turn it; wheel, pinch, + and − zoom; a double click or 0 resets.");
    host.append(stage, controls, this.#status, hint);
    this.#volume.ondraw = () => {
      if (this.#what) host.dataset.drawn = this.#what;
    };
    for (const input of controls.querySelectorAll("input")) input.dispatchEvent(new Event("input"));
  }

  show(shown) {
    this.#shown = shown;
    this.#read();
  }

  dispose() {
    this.#asking?.abort();
    this.#volume?.dispose();
    this.#host.replaceChildren();
    delete this.#host.dataset.drawn;
  }

  async #read() {
    if (this.#volume === null || this.#shown === null) return;
    const { name, generation, t, grid, load, done } = this.#shown;
    const most = Number(this.#quality.value);
    const key = JSON.stringify([name, generation, t, load, done, most]);
    if (key === this.#key) return;
    this.#key = key;
    this.#asking?.abort();
    const { signal } = (this.#asking = new AbortController());
    const sizes = ["x", "y", "z"].map((axis) => grid.size(axis));
    const largest = Math.max(...sizes);
    try {
      for (const max of largest > COARSE && most > COARSE ? [COARSE, most] : [most]) {
        const found = await this.#api.values(name, { t }, { signal, load, generation, max });
        if (signal.aborted) return;
        this.#what = `${name}/${t}/${max}`;
        this.#volume.show({ ...boxOf(grid, found), values: found.values, shape: found.shape, stored: found.stored });
        this.#status.textContent = `${found.shape.join(" × ")} of ${sizes.join(" × ")} points`;
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#key = ""; // asked again when it is shown again
      this.#status.textContent = error.message;
      if (!("status" in error)) throw error; // not of the API
    }
  }

  #save() {
    const { name, t } = this.#shown;
    this.#volume.canvas.toBlob((blob) => download(blob, `${name}-volume-t${t}.png`), "image/png");
  }

  /** A label with a slider, whose text `apply` returns. */
  #slider(name, title, apply) {
    const input = element("input", { type: "range", min: 0, max: 100, value: FIRST[name], id: `volume-${name}`, title });
    const output = element("output");
    input.addEventListener("input", () => {
      output.textContent = apply(Number(input.value));
      input.setAttribute("aria-valuetext", output.textContent);
    });
    return labelled(name[0].toUpperCase() + name.slice(1), input, output);
  }
}

/** From 10^FAINTEST to 0.9 of the peak, in even ratios. */
function shareOf(value) {
  return 10 ** (FAINTEST + (value / 100) * (Math.log10(0.9) - FAINTEST));
}

function percent(share) {
  return `${Number((100 * share).toPrecision(2))} %`;
}

/** The lengths of the box that the points fill, and its axes with them; in points where a spacing is not known. */
function boxOf(grid, { shape, step }) {
  const axes = grid.axes.slice(1);
  const known = axes.every((axis) => axis.step !== null) && new Set(axes.map((axis) => axis.unit)).size === 1;
  const lengths = axes.map((axis, at) => shape[at] * step[at] * (known ? Math.abs(axis.step) : 1));
  const names = axes.map((axis) => {
    const long = number(known ? axis.size * Math.abs(axis.step) : axis.size, 4);
    return `${axis.name} (${`${long} ${known ? grid.unit(axis.name) : "points"}`.trim()})`;
  });
  return { lengths, names };
}
