// The probability density along each axis at the frame that is shown, integrated over the other axes.
//
//   const view = new MarginalsView(host, api);
//   view.show({name, generation, t, grid, load});  // load: of a load under way
//   view.dispose();
//
// Above 64 million points they are computed when the user presses a button. host.dataset.drawn is "name/t" of what is
// shown, host.dataset.state "asks", "computing", "done" or "failed".

import { LineChart } from "./charts.js";
import { element } from "./elements.js";
import { MANY, question, wasAway } from "./whole.js";

const SETTLED = 120; // milliseconds for which a frame is shown before all of it is read

export class MarginalsView {
  #host;
  #api;
  #status = element("p", { class: "note", role: "status" });
  #body = element("div", { class: "charts" });
  #shown = null;
  #key = "";
  #charts = new Map();
  #asking = null;
  #waiting = 0;

  constructor(host, api) {
    this.#host = host;
    this.#api = api;
    host.append(this.#body, this.#status);
  }

  show(shown) {
    const key = JSON.stringify([shown.name, shown.generation, shown.t, shown.load]);
    if (key === this.#key) return;
    if (shown.name !== this.#shown?.name || shown.generation !== this.#shown.generation) this.#clear();
    this.#key = key;
    this.#shown = shown;
    this.#asking?.abort();
    clearTimeout(this.#waiting);
    const points = shown.grid.points / shown.grid.size("t");
    if (shown.load) {
      this.#clear();
      this.#say("asks", "Marginals are computed once it is published.");
    } else if (points > MANY) {
      this.#clear();
      this.#say("asks", "");
      this.#body.replaceChildren(question(points, () => this.#compute()));
    } else {
      this.#waiting = setTimeout(() => this.#compute(), SETTLED);
    }
  }

  dispose() {
    this.#asking?.abort();
    clearTimeout(this.#waiting);
    this.#clear();
    this.#host.replaceChildren();
    delete this.#host.dataset.state;
  }

  async #compute() {
    const { signal } = (this.#asking = new AbortController());
    const { name, generation, t } = this.#shown;
    this.#say("computing", "computing …");
    try {
      const { curves } = await this.#api.marginals(name, t, { signal, generation });
      if (signal.aborted) return;
      this.#draw(curves);
      this.#host.dataset.drawn = `${name}/${t}`;
      this.#say("done", "");
    } catch (error) {
      if (signal.aborted) return;
      if (wasAway(error)) this.#key = ""; // asked again when it is shown again
      this.#say("failed", error.message);
    }
  }

  #draw(curves) {
    this.#body.querySelector(".question")?.remove();
    for (const { axis, x_label: xLabel, y_label: yLabel, x, y } of curves) {
      if (!this.#charts.has(axis)) this.#charts.set(axis, new LineChart(this.#body, { label: `ρ(${axis})` }));
      this.#charts.get(axis).show({ x, lines: [{ name: `ρ(${axis})`, y }], xLabel, yLabel });
    }
  }

  #clear() {
    for (const chart of this.#charts.values()) chart.dispose();
    this.#charts.clear();
    this.#body.replaceChildren();
    delete this.#host.dataset.drawn;
  }

  #say(state, text) {
    this.#host.dataset.state = state;
    this.#status.textContent = text;
  }
}
