// What is shown beside the picture: a volume, numbers over time, marginals, facts. One that is closed reads nothing.

import { symbol } from "./grid.js";
import { count, number } from "./numbers.js";

export class Panels {
  constructor(api, colours, { frameChosen }) {
    this.api = api;
    this.colours = colours;
    this.frameChosen = frameChosen;
    this.views = {};
    this.shown = null;
    for (const name of Object.keys(MAKERS)) {
      document.getElementById(`${name}-panel`).addEventListener("toggle", () => this.#update(name));
    }
  }

  // Show what belongs to {name, generation, t, grid, load, points}.
  show(shown) {
    this.shown = shown;
    for (const name of Object.keys(MAKERS)) this.#update(name);
  }

  // A frame is played: the cursor follows, and what would have to be read waits until the frames stand.
  follow(t) {
    if (this.shown) this.views.observed?.show({ ...this.shown, t });
  }

  clear() {
    this.shown = null;
    for (const [name, view] of Object.entries(this.views)) {
      view?.dispose();
      delete this.views[name];
    }
  }

  async #update(name) {
    const panel = document.getElementById(`${name}-panel`);
    panel.hidden = name === "volume" && this.shown?.grid.spatial.length !== 3;
    if (!panel.open || panel.hidden || !this.shown) {
      this.views[name]?.dispose();
      delete this.views[name];
      return;
    }
    if (!(name in this.views)) {
      this.views[name] = null; // being made
      const view = await MAKERS[name](this, document.getElementById(name));
      if (!panel.open || !this.shown) {
        view.dispose();
        delete this.views[name];
        return;
      }
      this.views[name] = view;
    }
    this.views[name]?.show(this.shown);
  }
}

const MAKERS = {
  volume: async ({ api, colours }, host) => {
    const { VolumeView } = await import("./volume_view.js");
    return new VolumeView(host, api, colours);
  },
  observed: async ({ api, frameChosen }, host) => {
    const { ObservedView } = await import("./observed.js");
    const view = new ObservedView(host, api);
    view.oncursor = frameChosen;
    return view;
  },
  marginals: async ({ api }, host) => {
    const { MarginalsView } = await import("./marginals.js");
    return new MarginalsView(host, api);
  },
};

// Facts as a list of terms.
export function showFacts(host, described) {
  const axes = described.axes.map(({ name, size, origin, step, unit }) => [
    name,
    step === null || size === 1 ? `${size}` : `${size} from ${number(origin)}, step ${number(step)} ${symbol(unit)}`,
  ]);
  const facts = [
    ...axes,
    ["points", count(described.points)],
    ["layout", described.layout],
    ["codec", described.codec],
    ["norm", described.norm === null || described.norm === undefined ? "unknown" : number(described.norm, 9)],
    ["source", described.source],
    ["created", new Date(described.created).toLocaleString()],
    ["generation", described.generation],
  ];
  host.replaceChildren(
    ...facts.flatMap(([term, text]) => {
      const dt = document.createElement("dt");
      const dd = document.createElement("dd");
      dt.textContent = term;
      dd.textContent = text;
      return [dt, dd];
    }),
  );
}
