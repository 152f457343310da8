// The page: what is chosen is read and drawn, and the list is looked at each second while somebody looks.

import { Api, ApiError, NOBODY } from "./api.js";
import { Palette, peakOf } from "./colours.js";
import { Controls, cutAxis } from "./controls.js";
import { download } from "./elements.js";
import { AXES, Grid, count } from "./grid.js";
import { List } from "./list.js";
import { Panels, showFacts } from "./panels.js";
import { Picture } from "./picture.js";
import { Player } from "./player.js";
import { asPython } from "./python.js";
import { readout } from "./readout.js";
import { fragmentOf, readFragment } from "./state.js";

const LOOK_EVERY_MS = 1000;
const MAX_POINTS = 640; // along an axis of a picture
const MAX_LINE_POINTS = 4096;
const VANISHING = 1e-20; // share of the mean |ψ|² below which ψ vanishes on a plane

const element = (id) => document.getElementById(id);

class Page {
  constructor(api, palette, server) {
    this.api = api;
    this.server = server;
    this.view = null; // {name, t, x, y, z, plane, show, load}
    this.grid = null;
    this.data = null;
    this.peak = 0;
    this.entries = [];
    this.reading = null;
    this.pointer = null;
    this.picture = new Picture(element("stage"), element("axes"), element("picture"), palette);
    const parts = { list: element("list"), filter: element("filter"), nothing: element("nothing") };
    this.list = new List(parts, (name) => this.choose({ name }));
    this.controls = new Controls({
      move: (axis, index) => this.#change({ [axis]: index }),
      choosePlane: (plane) => this.#change({ plane }),
      chooseShow: (show) => this.#show(show),
      togglePlay: () => this.#togglePlay(),
      help: () => element("help").showModal(),
    });
    this.player = new Player({
      fetchFrame: (t, signal) => this.#fetch({ ...this.view, t }, signal),
      drawFrame: (t, data) => this.#draw({ ...this.view, t }, data),
      stopped: (error) => {
        this.controls.showPlaying(false);
        if (error) this.#failed(error);
        else this.#remember();
      },
    });
    this.panels = new Panels(api, palette, { frameChosen: (t) => this.#change({ t }) });
    this.#listen();
  }

  #listen() {
    element("help-open").addEventListener("click", () => element("help").showModal());
    element("hold").addEventListener("change", () => this.#change({}));
    element("see-load").addEventListener("change", () => this.choose({ ...this.view, load: element("see-load").checked }));
    element("copy-python").addEventListener("click", () => this.#copy(asPython({ ...this, load: this.view.load }), "Python"));
    element("copy-link").addEventListener("click", () => this.#copy(location.href, "the link"));
    element("save-png").addEventListener("click", () => this.#save());
    element("picture").addEventListener("pointermove", (event) => this.#point(event.clientX, event.clientY));
    element("picture").addEventListener("pointerdown", (event) => this.#point(event.clientX, event.clientY));
    element("picture").addEventListener("pointerleave", () => this.#point(null));
    addEventListener("hashchange", () => {
      const wanted = readFragment(location.hash);
      if (wanted.name && (!this.view || fragmentOf(this.view) !== location.hash)) this.choose(wanted);
    });
    document.addEventListener("visibilitychange", () => document.hidden || this.look());
  }

  // Look at the list, and again each second while the page is seen.
  async look() {
    clearTimeout(this.next);
    this.looking?.abort();
    const looking = (this.looking = new AbortController());
    try {
      const entries = await this.api.list({ signal: looking.signal });
      this.#back();
      await this.#listed(entries);
    } catch (error) {
      if (looking.signal.aborted) return;
      this.#failed(error);
    }
    if (!document.hidden) this.next = setTimeout(() => this.look(), LOOK_EVERY_MS);
  }

  async #listed(entries) {
    this.entries = entries;
    this.list.show(entries, this.view?.name);
    const { view } = this;
    if (!view) {
      if (document.body.dataset.state === "loading") this.#state("ready");
      return;
    }
    const entry = entries.find(({ name }) => name === view.name);
    if (!entry || (entry.generation === undefined && !entry.load)) {
      this.#leave();
      this.#say(`${view.name} was removed`, true);
      return;
    }
    const { load } = entry;
    const published = entry.state === "published" ? entry.generation : null;
    element("see-load-label").hidden = !(published && load);
    if (view.load && load?.generation === this.generation) {
      if (load.done !== this.done) {
        this.done = load.done;
        this.#markLoad(load);
        await this.#read();
      }
    } else if (view.load || published !== this.generation) {
      const text = view.load && published === this.generation ? "is published now" : "was replaced: this is the new one";
      const wanted = { ...view, load: !published };
      this.#say(`${view.name} ${text}`);
      await this.choose(wanted, { silent: true });
    }
  }

  // Show a wavefunction; what `wanted` leaves out is chosen here.
  async choose(wanted, { silent = false } = {}) {
    this.player.stop();
    this.reading?.abort();
    const reading = (this.reading = new AbortController());
    if (!silent) this.#say("");
    try {
      const entry = this.entries.find(({ name }) => name === wanted.name);
      const load = Boolean(entry?.load && (wanted.load || entry.state !== "published"));
      const described = await this.api.describe(wanted.name, { signal: reading.signal, load });
      if (reading.signal.aborted) return;
      this.grid = new Grid(described);
      this.generation = described.generation;
      this.view = this.#completed(wanted, load);
      this.done = load ? entry.load.done : null;
      this.peak = 0;
      this.#markLoad(load ? entry.load : null);
      element("view").hidden = element("panels").hidden = false;
      element("title").textContent = wanted.name;
      element("see-load").checked = load;
      const dimensions = described.axes.filter(({ size }) => size > 1).map(({ name, size }) => `${name} ${size}`);
      element("facts").textContent = [dimensions.join(" × ") || "one point", `${count(described.points)} points`, described.layout].join(" · ");
      showFacts(element("all-facts"), described);
      this.list.show(this.entries, wanted.name);
      await this.#read({ find: AXES.every((axis) => wanted[axis] === null || wanted[axis] === undefined) && !wanted.plane });
    } catch (error) {
      if (!reading.signal.aborted) this.#failed(error);
    }
  }

  #completed(wanted, load) {
    const { grid } = this;
    const view = { name: wanted.name, load, show: wanted.show ?? this.view?.show ?? "density" };
    view.plane = grid.planes.includes(wanted.plane) ? wanted.plane : grid.planes[0];
    for (const axis of AXES) {
      const middle = axis === "t" ? 0 : Math.floor(grid.size(axis) / 2);
      view[axis] = Math.min(wanted[axis] ?? middle, grid.size(axis) - 1);
    }
    return view;
  }

  #change(change) {
    if (!this.view) return;
    this.player.stop();
    if (change.plane) this.peak = 0;
    this.view = { ...this.view, ...change };
    this.#read();
  }

  // Another way to show the same values: nothing is read for it.
  #show(show) {
    if (!this.view || !this.data) return;
    this.view = { ...this.view, show };
    this.#draw(this.view, this.data);
    if (!this.player.playing) this.#remember();
  }

  #togglePlay() {
    if (!this.grid || this.grid.size("t") === 1 || this.view.plane.includes("t")) return;
    if (this.player.playing) this.player.stop();
    else {
      this.controls.showPlaying(true);
      this.player.play(this.view.t, this.grid.size("t"));
    }
  }

  #fetch(view, signal) {
    const indices = Object.fromEntries(AXES.map((axis) => [axis, view.plane.includes(axis) ? ":" : view[axis]]));
    const max = view.plane.length === 1 ? MAX_LINE_POINTS : MAX_POINTS;
    return this.api.values(view.name, indices, { signal, load: view.load, generation: this.generation, max });
  }

  // Read what the view shows, and draw it, unless a newer view overtakes it.
  async #read({ find = false } = {}) {
    this.reading?.abort();
    const reading = (this.reading = new AbortController());
    this.controls.show(this.grid, this.view);
    try {
      let data = await this.#fetch(this.view, reading.signal);
      if (find && !this.view.load) data = await this.#found(data, reading.signal);
      if (reading.signal.aborted) return;
      this.#draw(this.view, data);
      this.#remember();
    } catch (error) {
      if (!reading.signal.aborted) this.#failed(error);
    }
  }

  // If ψ vanishes on the plane in the middle of z, as on the nodal plane of an orbital, another plane.
  async #found(data, signal) {
    const { grid } = this;
    const volume = grid.spatial.reduce((product, axis) => product * Math.abs(grid.axis(axis).step ?? 1), 1);
    const cells = grid.spatial.reduce((product, axis) => product * grid.size(axis), 1);
    const least = (VANISHING * (grid.norm ?? 0)) / (volume * cells);
    const first = { view: this.view, data };
    for (const plane of ["xz", "yz"]) {
      if (peakOf(data.values) > least || !grid.planes.includes(plane)) return data;
      this.view = { ...this.view, plane };
      data = await this.#fetch(this.view, signal);
    }
    if (peakOf(data.values) > least) return data;
    this.view = first.view;
    return first.data;
  }

  #draw(view, data) {
    const own = peakOf(data.values);
    this.peak = element("hold").checked ? Math.max(this.peak, own) : own;
    this.view = view;
    this.data = data;
    const { name, plane, show, t } = view;
    const cut = cutAxis(this.grid, plane);
    this.picture.show({ grid: this.grid, plane, show, data, peak: this.peak, alt: this.#title });
    this.controls.show(this.grid, view);
    this.#point(...(this.pointer ?? [null]));
    const shown = { name, generation: this.generation, t, grid: this.grid, load: view.load, done: this.done, points: this.grid.points };
    if (!this.player.playing || JSON.stringify({ ...shown, grid: 0 }) !== this.beside) this.panels.show(shown);
    this.beside = JSON.stringify({ ...shown, grid: 0 });
    document.body.dataset.drawn = `${name}/${t}/${plane}/${cut ? view[cut] : 0}/${show}`;
    this.#state("ready");
  }

  get #title() {
    const { view, grid } = this;
    const cuts = AXES.filter((axis) => grid.size(axis) > 1 && !view.plane.includes(axis));
    return [view.name, view.show, ...cuts.map((axis) => `${axis} = ${grid.place(axis, view[axis])}`)].join("   ");
  }

  #point(x, y) {
    this.pointer = x === null ? null : [x, y];
    const place = x === null ? null : this.picture.at(x, y);
    element("readout").textContent = place ? readout({ ...this, place }) : "\u00a0";
  }

  #markLoad(load) {
    const mark = element("not-published");
    mark.hidden = !load;
    if (load) mark.textContent = `not published: ${Math.floor(100 * load.done)} % stored${load.held ? "" : ", interrupted"}`;
  }

  #remember() {
    if (this.view) history.replaceState(null, "", location.pathname + location.search + fragmentOf(this.view));
    document.title = this.view ? `${this.view.name} – qwf` : "qwf";
  }

  #leave() {
    this.player.stop();
    this.reading?.abort();
    this.view = this.grid = this.data = this.generation = null;
    element("view").hidden = element("panels").hidden = true;
    this.picture.clear();
    this.panels.clear();
    delete document.body.dataset.drawn;
    this.list.show(this.entries, null);
    this.#state("ready");
    history.replaceState(null, "", location.pathname + location.search);
    this.#remember();
  }

  #failed(error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof ApiError)) throw error;
    if (error.status === NOBODY) {
      this.#state("gone");
      this.#say("qwf view has ended: start it again, and open the address that it prints", true);
    } else if (error.status === 503) {
      this.#state("away");
      this.#say(`${error.message}: trying again`, true);
    } else if ([404, 409].includes(error.status)) {
      if (!this.view) this.#say(error.message, true);
      this.#state("ready");
      // the list, which is looked at each second, says what has become of it
    } else {
      this.#state("ready");
      this.#say(error.message, true);
    }
  }

  // The server answers; if it was away, what is shown is read again.
  #back() {
    if (!["away", "gone"].includes(document.body.dataset.state)) return;
    this.#say("");
    this.#state("ready");
    if (this.view) this.#read();
  }

  #state(state) {
    document.body.dataset.state = state;
  }

  #say(text, problem = false) {
    const message = element("message");
    message.setAttribute("role", problem ? "alert" : "status");
    message.classList.toggle("problem", problem);
    if (message.textContent !== text) message.textContent = text;
  }

  async #copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
      this.#say(`${what} is on the clipboard`);
    } catch {
      const area = document.createElement("textarea"); // where a page may not use the clipboard, as in a frame
      area.value = text;
      document.body.append(area);
      area.select();
      const copied = document.execCommand("copy");
      area.remove();
      this.#say(copied ? `${what} is on the clipboard` : text, !copied);
    }
  }

  #save() {
    if (!this.data) return;
    const { name, show, t } = this.view;
    this.picture.toCanvas(this.#title).toBlob((blob) => download(blob, `${name}-${show}-t${t}.png`), "image/png");
  }
}

async function begin() {
  const api = new Api(new URLSearchParams(location.search).get("token") ?? "");
  for (;;) {
    try {
      const [tables, store] = await Promise.all([api.colours(), api.store()]);
      element("server").textContent = store.server;
      const page = new Page(api, new Palette(tables), store.server);
      const wanted = readFragment(location.hash);
      await page.look();
      if (wanted.name) await page.choose(wanted);
      else if (page.entries.length && !page.view) await page.choose({ name: page.entries[0].name });
      return;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      element("message").textContent = error.message;
      element("message").classList.add("problem");
      document.body.dataset.state = error.status === NOBODY ? "gone" : "away";
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }
}

begin();
