// ⟨x⟩, σ, norm and energies over time, which come in as they are computed, with a cursor at the frame that is shown.
//
//   const view = new ObservedView(host, api);
//   view.show({name, generation, t, points, load});  // points: of the whole wavefunction; load: of a load under way
//   view.oncursor = (frame) => …;                    // the user has chosen a frame
//   view.dispose();
//
// Showing the same wavefunction again only moves the cursor. Above 64 million points it is computed when the user
// presses a button. host.dataset.state is "asks", "computing", "done" or "failed", host.dataset.rows their number.

import { LineChart } from "./charts.js";
import { element, labelled } from "./elements.js";
import { number } from "./numbers.js";
import { MANY, question, wasAway } from "./whole.js";

const CHARTS = [
  ["position", ["x", "y", "z"]],
  ["standard deviation", ["sigma_x", "sigma_y", "sigma_z"]],
  ["norm", ["norm"]],
  ["energy", ["kinetic", "potential", "interaction", "energy"]],
];

const ROUNDING = 1e-6;

export class ObservedView {
  oncursor = () => {};
  #host;
  #api;
  #status = element("p", { class: "note", role: "status" });
  #body = element("div", { class: "charts" });
  #potential = element("input", { type: "text", spellcheck: "false", size: 24, placeholder: "harmonic:omega=1", title: "a built-in potential, for ⟨V⟩ and ⟨H⟩" });
  #field;
  #shown = null;
  #key = "";
  #columns = {};
  #g = null;
  #rows = 0;
  #times = [];
  #charts = [];
  #asking = null;

  constructor(host, api) {
    this.#host = host;
    this.#api = api;
    this.#potential.addEventListener("change", () => this.#compute());
    this.#potential.addEventListener("keydown", (event) => event.stopPropagation()); // digits are keys of the page
    this.#field = labelled("Potential", this.#potential);
    host.append(this.#body, this.#field, this.#status);
  }

  show(shown) {
    this.#shown = shown;
    const key = JSON.stringify([shown.name, shown.generation, shown.load]);
    if (key !== this.#key) {
      this.#key = key;
      this.#begin();
    }
    for (const { chart } of this.#charts) chart.cursor = shown.t;
  }

  dispose() {
    this.#clear();
    this.#host.replaceChildren();
    delete this.#host.dataset.state;
    delete this.#host.dataset.rows;
  }

  /** Another wavefunction is shown. */
  async #begin() {
    const signal = this.#clear();
    const { name, generation, points, load } = this.#shown;
    if (load) {
      this.#say("asks", "Observables are computed once it is published.");
      return;
    }
    try {
      const { columns, potential, g } = await this.#api.columns(name, { signal, generation });
      if (signal.aborted) return;
      this.#columns = columns;
      this.#g = g;
      this.#potential.value = potential ?? "";
    } catch (error) {
      this.#failed(error, signal);
      return;
    }
    if (points > MANY) {
      this.#say("asks", "");
      this.#body.replaceChildren(question(points, () => this.#compute()));
    } else {
      this.#compute();
    }
  }

  async #compute() {
    const signal = this.#clear();
    const { name, generation } = this.#shown;
    const potential = this.#potential.value.trim();
    const given = potential ? { potential, ...(this.#g === null ? {} : { g: this.#g }) } : {};
    this.#say("computing", "computing …");
    try {
      for await (const row of this.#api.observed(name, { signal, generation, ...given })) {
        if (signal.aborted) return;
        this.#add(quiet(row));
      }
      if (signal.aborted) return;
      this.#say("done", "");
    } catch (error) {
      this.#failed(error, signal);
    }
  }

  #failed(error, signal) {
    if (signal.aborted) return;
    if (wasAway(error)) this.#key = ""; // begun anew when it is shown again
    this.#say("failed", error.message);
  }

  #add(row) {
    if (this.#rows === 0) this.#prepare(row);
    this.#rows += 1;
    this.#host.dataset.rows = this.#rows;
    this.#times.push(row.time === null ? row.frame : row.time / this.#columns.time.size);
    for (const { chart, shown } of this.#charts) {
      for (const { key, y } of shown.lines) y.push(row[key] === null ? null : row[key] / this.#columns[key].size);
      chart.show(shown);
    }
    if (this.#rows === 1) this.#list(row);
    else this.#body.querySelector("dl")?.remove();
    this.#body.classList.toggle("single", this.#rows === 1);
  }

  /** A chart for each group of columns that the first row has. */
  #prepare(row) {
    const time = this.#columns.time.unit;
    const xLabel = row.time === null ? "frame" : `t${time ? ` (${time})` : ""}`;
    for (const [label, keys] of CHARTS) {
      const there = keys.filter((key) => key in row);
      if (there.length === 0) continue;
      const lines = there.map((key) => ({ key, name: this.#columns[key].head, y: [] }));
      const unit = this.#columns[there[0]].unit;
      const head = lines.length > 1 ? label : lines[0].name;
      const chart = new LineChart(this.#body, { label });
      chart.cursor = this.#shown.t;
      chart.oncursor = (frame) => this.oncursor(frame);
      this.#charts.push({ chart, shown: { x: this.#times, lines, xLabel, yLabel: `${head}${unit ? ` (${unit})` : ""}` } });
    }
  }

  /** All numbers of one row, which make no lines yet. */
  #list(row) {
    const items = Object.entries(row).filter(([, value]) => value !== null).flatMap(([key, value]) => {
      const { head, unit, size } = this.#columns[key];
      return [element("dt", {}, head), element("dd", {}, `${number(value / size)} ${unit}`)];
    });
    this.#body.append(element("dl", { class: "facts" }, ...items));
  }

  #clear() {
    this.#asking?.abort();
    this.#asking = new AbortController();
    for (const { chart } of this.#charts) chart.dispose();
    this.#charts = [];
    [this.#rows, this.#times] = [0, []];
    this.#host.dataset.rows = 0;
    this.#body.replaceChildren();
    return this.#asking.signal;
  }

  #say(state, text) {
    this.#host.dataset.state = state;
    this.#field.hidden = state === "asks";
    this.#status.textContent = text;
  }
}

/** A row with 0 for a place, or a momentum, that is nothing beside its standard deviation. */
function quiet(row) {
  const still = Object.keys(row).filter((key) => Math.abs(row[key]) < ROUNDING * row[`sigma_${key}`]);
  return { ...row, ...Object.fromEntries(still.map((key) => [key, 0])) };
}
