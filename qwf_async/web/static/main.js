// The page: what is chosen is read and drawn, and the list is looked at each second while somebody looks.

import { Api, ApiError } from "./api.js";
import { Palette, peakOf } from "./colours.js";
import { Controls, cutAxis } from "./controls.js";
import { download, element } from "./elements.js";
import { AXES, Grid } from "./grid.js";
import { List } from "./list.js";
import { Newest } from "./newest.js";
import { share } from "./numbers.js";
import { Panels, showFacts } from "./panels.js";
import { Picture } from "./picture.js";
import { Player } from "./player.js";
import { asPython } from "./python.js";
import { readout } from "./readout.js";
import { completed, fragmentOf, readFragment } from "./state.js";
import { Status, copy } from "./status.js";
import { Zooming } from "./zooming.js";

const LOOK_EVERY_MS = 1000;
const MAX_POINTS = 640; // along an axis of a picture
const MAX_LINE_POINTS = 4096;
const VANISHING = 1e-20; // share of the mean |ψ|² below which ψ vanishes on a plane

const byId = (id) => document.getElementById(id);

class Page {
  constructor(api, palette, server) {
    this.api = api;
    this.server = server;
    this.status = new Status();
    this.entries = [];
    this.first = readFragment(location.hash); // what is shown first; without a name it is the first one listed
    this.wanted = null; // what is chosen and not described yet
    this.view = null; // what is to be shown: see state.js
    this.grid = null;
    this.generation = null;
    this.drawn = null; // {view, data, peak} that the picture shows
    this.held = 0; // the largest |ψ|² of the pictures before, while one scale is held
    this.pointer = null;
    this.picture = new Picture(byId("stage"), byId("axes"), byId("picture"), palette);
    this.newest = new Newest((view, signal) => this.#read(view, signal));
    const parts = { list: byId("list"), filter: byId("filter"), nothing: byId("nothing") };
    this.list = new List(parts, (name) => this.choose({ name, show: this.view?.show }));
    this.controls = new Controls({
      move: (axis, index) => this.#change({ [axis]: index, ...(axis === "t" ? { follow: false } : {}) }),
      choosePlane: (plane) => this.#change({ plane, zoom: {} }, { anew: true }),
      chooseShow: (show) => this.#show({ show }),
      togglePlay: () => this.#togglePlay(),
      zoom: (factor) => this.zooming.by(factor),
      help: () => byId("help").showModal(),
    });
    this.zooming = new Zooming(byId("picture"), byId("selection"), {
      shown: () => this.drawn && { ...this.drawn, grid: this.grid },
      at: (x, y) => this.picture.at(x, y),
      zoom: (zoom) => this.#change({ zoom }),
    });
    this.player = new Player({
      fetchFrame: (t, signal) => this.#fetch({ ...this.view, t }, signal),
      drawFrame: (t, data) => {
        this.view = { ...this.view, t };
        this.#draw(this.view, data);
        this.panels.follow(t);
      },
      stopped: (error) => {
        this.controls.showPlaying(false);
        if (error) this.#failed(error);
        else if (this.drawn) this.#settled();
      },
    });
    this.panels = new Panels(api, palette, { frameChosen: (t) => this.#change({ t, follow: false }) });
    this.#listen();
  }

  #listen() {
    const on = (id, event, act) => byId(id).addEventListener(event, act);
    on("help-open", "click", () => byId("help").showModal());
    on("hold", "change", () => this.#show({ scale: byId("hold").checked ? null : "own" }));
    on("see-load", "change", () => this.choose({ ...this.view, follow: null, load: byId("see-load").checked }));
    on("follow", "change", () => this.#change({ follow: byId("follow").checked }));
    on("copy-python", "click", () => this.drawn && copy(asPython({ ...this.drawn, server: this.server }), "Python", this.status));
    on("copy-link", "click", () => copy(location.href, "The link", this.status));
    on("save-png", "click", () => this.#save());
    for (const event of ["pointermove", "pointerdown"]) on("picture", event, ({ clientX, clientY }) => this.#point(clientX, clientY));
    on("picture", "pointerleave", () => this.#point(null));
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
      this.#listed(entries);
    } catch (error) {
      if (looking.signal.aborted) return;
      this.#failed(error);
    }
    if (!document.hidden) this.next = setTimeout(() => this.look(), LOOK_EVERY_MS);
  }

  #listed(entries) {
    this.entries = entries;
    this.list.show(entries, (this.wanted ?? this.view)?.name);
    const { view } = this;
    const first = this.first && (this.first.name ? this.first : entries.find(({ state }) => state !== "damaged"));
    if (first) {
      this.first = null;
      return this.choose(first.plane === undefined ? { name: first.name } : first);
    }
    if (this.again) {
      this.again = false;
      return this.choose(this.wanted);
    }
    if (!view || this.wanted) return this.#ready();
    const entry = entries.find(({ name }) => name === view.name);
    if (!entry || (entry.generation === undefined && !entry.load)) {
      this.#leave();
      this.status.say(`${view.name} was removed`, { problem: true });
      return;
    }
    const { load } = entry;
    const published = entry.state === "published" ? entry.generation : null;
    byId("see-load-label").hidden = !(published && load);
    if (view.load && load?.generation === this.generation) {
      if (load.done !== this.done) this.#grown(load);
      else this.#markLoad(load);
    } else if (view.load || published !== this.generation) {
      const same = view.load && published === this.generation;
      const now = published ? "this is the new one" : "a new load of it has begun";
      this.status.say(same ? `${view.name} is published now` : `${view.name} was replaced: ${now}`);
      const frame = published ? {} : { t: null }; // of a new load the newest one
      this.choose({ ...view, ...frame, load: !published, follow: null }, { silent: true });
    }
  }

  // More of the load that is shown is stored.
  #grown(load) {
    this.done = load.done;
    this.#markLoad(load);
    const whole = Math.floor(load.done * this.grid.size("t") + 1e-9); // frames are loaded one after the other
    if (this.view.follow) this.view = { ...this.view, t: Math.max(0, whole - 1) };
    if (!this.player.playing) this.newest.ask(this.view);
  }

  // Show a wavefunction; what `wanted` leaves out is chosen here.
  async choose(wanted, { silent = false } = {}) {
    this.player.stop();
    this.newest.cancel();
    this.choosing?.abort();
    const choosing = (this.choosing = new AbortController());
    const { signal } = choosing;
    this.wanted = wanted;
    if (!silent) this.status.say("");
    this.list.show(this.entries, wanted.name);
    const entry = this.entries.find(({ name }) => name === wanted.name);
    const load = Boolean(entry?.load && (wanted.load || entry.state !== "published"));
    try {
      if (entry?.state === "damaged") throw new ApiError(500, 7, entry.note ?? `${wanted.name} is damaged`);
      const described = await this.api.describe(wanted.name, { signal, load });
      if (signal.aborted) return;
      this.wanted = null;
      this.grid = new Grid(described);
      this.generation = described.generation;
      this.view = completed(wanted, this.grid, load);
      this.held = this.view.scale > 0 ? this.view.scale : 0;
      this.find = AXES.every((axis) => (wanted[axis] ?? null) === null) && !wanted.plane && !load;
      this.done = null;
      this.#describe(described, load ? entry.load : null);
      if (load) this.#grown(entry.load);
      else this.newest.ask(this.view);
    } catch (error) {
      if (signal.aborted) return;
      this.again = error.status === 404 && load; // it is published or gone: the next look at the list tells
      if (this.again) return;
      this.#failed(error, { wanted: true });
      if (error.status !== 503 && !error.nobody) this.wanted = null;
    }
  }

  #describe(described, load) {
    this.#markLoad(load);
    byId("view").hidden = byId("panels").hidden = false;
    byId("title").textContent = described.name;
    byId("see-load").checked = load !== null;
    byId("hold").checked = this.view.scale !== "own";
    const dimensions = described.axes.filter(({ size }) => size > 1).map(({ name, size }) => `${name} ${size}`);
    byId("facts").textContent = dimensions.join(" × ") || "one point";
    showFacts(byId("all-facts"), described);
    this.controls.show(this.grid, this.view); // before they can be moved
  }

  #change(change, { anew = false } = {}) {
    if (!this.view) return;
    this.player.stop();
    this.find = false;
    if (anew) this.held = 0;
    this.view = { ...this.view, ...change };
    this.controls.show(this.grid, this.view);
    byId("follow").checked = this.view.follow;
    this.newest.ask(this.view);
  }

  // Another way to show the same values: nothing is read for it.
  #show(change) {
    if (!this.drawn) return;
    this.view = { ...this.view, ...change };
    this.held = 0;
    this.#draw({ ...this.drawn.view, ...change }, this.drawn.data);
    if (!this.player.playing) this.#settled();
  }

  #togglePlay() {
    if (!this.grid || this.grid.size("t") === 1 || this.view.plane.includes("t")) return;
    if (this.player.playing) return this.player.stop();
    this.newest.cancel();
    this.view.follow = byId("follow").checked = false;
    this.controls.showPlaying(true);
    this.player.play(this.view.t, this.grid.size("t"));
  }

  #fetch(view, signal) {
    const drawn = (axis) => (view.zoom[axis] ? view.zoom[axis].join(":") : ":");
    const indices = Object.fromEntries(AXES.map((axis) => [axis, view.plane.includes(axis) ? drawn(axis) : view[axis]]));
    const max = view.plane.length === 1 ? MAX_LINE_POINTS : MAX_POINTS;
    return this.api.values(view.name, indices, { signal, load: view.load, generation: this.generation, max });
  }

  // Read what the view shows, and draw it.
  async #read(view, signal) {
    try {
      let data = await this.#fetch(view, signal);
      if (this.find) [view, data] = await this.#found(view, data, signal);
      if (signal.aborted) return;
      this.#draw(view, data);
      this.#settled();
    } catch (error) {
      if (!signal.aborted) this.#failed(error);
    }
  }

  // If ψ vanishes on the plane in the middle of z, as on the nodal plane of an orbital, another plane.
  async #found(view, data, signal) {
    const { grid } = this;
    const volume = grid.spatial.reduce((product, axis) => product * Math.abs(grid.axis(axis).step ?? 1), 1);
    const cells = grid.spatial.reduce((product, axis) => product * grid.size(axis), 1);
    const least = (VANISHING * (grid.norm ?? 0)) / (volume * cells);
    const first = [view, data];
    for (const plane of ["xz", "yz"]) {
      if (peakOf(data.values) > least || !grid.planes.includes(plane)) break;
      view = { ...view, plane };
      data = await this.#fetch(view, signal);
    }
    if (peakOf(data.values) <= least) [view, data] = first;
    if (!signal.aborted) this.view = view;
    return [view, data];
  }

  #draw(view, data) {
    const own = peakOf(data.values);
    this.held = Math.max(this.held, own);
    const peak = view.scale === "own" ? own : this.held;
    this.drawn = { view, data, peak, grid: this.grid };
    const { name, plane, show, t } = view;
    const cut = cutAxis(this.grid, plane);
    this.picture.show({ grid: this.grid, plane, show, data, peak, alt: this.#title });
    this.controls.show(this.grid, this.view);
    byId("follow").checked = this.view.follow;
    byId("follow-label").hidden = !view.load || this.grid.size("t") === 1 || plane.includes("t");
    byId("zoom-out").hidden = !Object.keys(view.zoom).length;
    this.#point(...(this.pointer ?? [null]));
    document.body.dataset.drawn = `${name}/${t}/${plane}/${cut ? view[cut] : 0}/${show}`;
    if (this.view.scale !== "own") this.view = { ...this.view, scale: peak > own ? peak : null };
    this.#ready();
  }

  // The picture stands: what is beside it follows, and the address.
  #settled() {
    const { name, t, load } = this.drawn.view;
    this.panels.show({ name, generation: this.generation, t, grid: this.grid, load, done: this.done, points: this.grid.points });
    this.#remember();
  }

  get #title() {
    const { grid } = this;
    const { view } = this.drawn;
    const cuts = AXES.filter((axis) => grid.size(axis) > 1 && !view.plane.includes(axis));
    return [view.name, ...cuts.map((axis) => grid.place(axis, view[axis]))].join("   ");
  }

  #point(x, y) {
    this.pointer = x === null ? null : [x, y];
    const place = x === null ? null : this.picture.at(x, y);
    const parts = place ? readout({ ...this.drawn, place }) : [];
    byId("readout").replaceChildren(...parts.flatMap((part) => [element("span", {}, part), "   "]));
  }

  #markLoad(load) {
    const mark = byId("not-published");
    mark.hidden = !load;
    if (load) mark.textContent = `not published: ${share(load.done)}${load.held ? "" : ", interrupted"}`;
  }

  #remember() {
    const fragment = this.view ? fragmentOf(this.view) : "";
    if (location.hash !== fragment) history.replaceState(null, "", location.pathname + location.search + fragment);
    document.title = this.view ? `${this.view.name} – qwf` : "qwf";
  }

  #leave() {
    this.player.stop();
    this.newest.cancel();
    this.view = this.grid = this.drawn = this.generation = null;
    byId("view").hidden = byId("panels").hidden = true;
    this.picture.clear();
    this.panels.clear();
    delete document.body.dataset.drawn;
    this.list.show(this.entries, null);
    this.#ready();
    this.#remember();
  }

  #failed(error, { wanted = false } = {}) {
    if (error.name === "AbortError") return;
    if (!(error instanceof ApiError)) throw error;
    if ([404, 409].includes(error.status) && !wanted) return; // the list, looked at each second, says what has become of it
    this.status.failed(error);
  }

  // The server answers; if it was away, what is shown is read again.
  #back() {
    if (!this.status.recovered()) return;
    if (this.wanted) this.choose(this.wanted);
    else if (this.view && !this.player.playing) this.newest.ask(this.view);
  }

  #ready() {
    this.status.recovered();
    this.status.state = this.wanted || this.first?.name ? "loading" : "ready";
  }

  #save() {
    if (!this.drawn) return;
    const { name, show, t } = this.drawn.view;
    this.picture.toCanvas(this.#title).toBlob((blob) => download(blob, `${name}-${show}-t${t}.png`), "image/png");
  }
}

async function begin() {
  const api = new Api(new URLSearchParams(location.search).get("token") ?? "");
  const status = new Status();
  for (;;) {
    try {
      const [tables, store] = await Promise.all([api.colours(), api.store()]);
      byId("server").textContent = store.server;
      status.say("");
      const page = new Page(api, new Palette(tables), store.server);
      await page.look();
      return;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      status.failed(error);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }
}

begin();
