// Sliders, selections, keys and the wheel: what a user does, as changes of the view.

import { AXES } from "./grid.js";
import { SHOWN } from "./state.js";

const LONG_STEP = 10;
const WHEEL_STEP = 40; // pixels of scrolling

export class Controls {
  // `act` has the functions move(axis, index), choosePlane(plane), chooseShow(show), togglePlay(), zoom(factor), help().
  constructor(act) {
    this.act = act;
    this.plane = document.getElementById("plane");
    this.select = document.getElementById("show");
    this.play = document.getElementById("play");
    this.sliders = Object.fromEntries(AXES.map((name) => [name, document.getElementById(`slider-${name}`)]));
    for (const name of AXES) {
      this.sliders[name].addEventListener("input", () => act.move(name, Number(this.sliders[name].value)));
    }
    this.plane.addEventListener("change", () => act.choosePlane(this.plane.value));
    this.select.addEventListener("change", () => act.chooseShow(this.select.value));
    this.play.addEventListener("click", () => act.togglePlay());
    const stage = document.getElementById("stage");
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    document.addEventListener("keydown", (event) => this.#key(event));
    this.scrolled = 0;
  }

  // Show the view as it is.
  show(grid, view) {
    this.grid = grid;
    this.view = view;
    const planes = grid.planes;
    if ([...this.plane.options].map((option) => option.value).join() !== planes.join()) {
      this.plane.replaceChildren(...planes.map((plane) => new Option(planeLabel(plane), plane)));
    }
    this.plane.value = view.plane;
    this.select.value = view.show;
    for (const name of AXES) {
      const slider = this.sliders[name];
      const row = slider.closest(".slider");
      row.hidden = grid.size(name) === 1 || view.plane.includes(name);
      slider.max = grid.size(name) - 1;
      slider.value = view[name];
      const [index, place] = row.querySelectorAll("output > span");
      index.textContent = `${view[name]} / ${grid.size(name) - 1}`;
      place.textContent = grid.at(name, view[name]);
      slider.setAttribute("aria-valuetext", `${index.textContent} ${place.textContent}`);
    }
  }

  showPlaying(playing) {
    this.play.textContent = playing ? "❚❚" : "▶";
    this.play.setAttribute("aria-pressed", String(playing));
    this.play.setAttribute("aria-label", playing ? "Stop" : "Play");
  }

  #step(axis, steps) {
    if (!axis || !this.grid || this.view.plane.includes(axis)) return;
    const last = this.grid.size(axis) - 1;
    this.act.move(axis, Math.min(last, Math.max(0, this.view[axis] + steps)));
  }

  get #cut() {
    return cutAxis(this.grid, this.view.plane);
  }

  #wheel(event) {
    if (!this.grid || event.ctrlKey) return;
    const axis = event.shiftKey ? "t" : this.#cut;
    if (!axis || this.view.plane.includes(axis) || this.grid.size(axis) === 1) return;
    event.preventDefault();
    const unit = [1, 20, 200][event.deltaMode] ?? 1;
    this.scrolled += (event.deltaY || event.deltaX) * unit;
    const steps = Math.trunc(this.scrolled / WHEEL_STEP);
    this.scrolled -= steps * WHEEL_STEP;
    if (steps) this.#step(axis, steps);
  }

  #key(event) {
    const target = event.target;
    const typing = target.matches("input[type=search], select, dialog *") || event.ctrlKey || event.metaKey || event.altKey;
    if (typing || event.defaultPrevented) return;
    if (event.key === "?") return this.act.help();
    if (!this.grid) return;
    const onPicture = target === document.body || target.id === "stage";
    const anywhere = {
      "+": () => this.act.zoom(2),
      "=": () => this.act.zoom(2),
      "-": () => this.act.zoom(0.5),
      0: () => this.act.zoom(0),
      "[": () => this.#nextPlane(-1),
      "]": () => this.#nextPlane(1),
    };
    SHOWN.forEach((show, place) => (anywhere[String(place + 1)] = () => this.act.chooseShow(show)));
    const here = {
      ArrowLeft: () => this.#step("t", -1),
      ArrowRight: () => this.#step("t", 1),
      ArrowUp: () => this.#step(this.#cut, 1),
      ArrowDown: () => this.#step(this.#cut, -1),
      PageUp: () => this.#step(this.#cut, LONG_STEP),
      PageDown: () => this.#step(this.#cut, -LONG_STEP),
      Home: () => this.#step("t", -Infinity),
      End: () => this.#step("t", Infinity),
      " ": () => this.act.togglePlay(),
    };
    const plays = event.key === " " && target.matches("input[type=range]");
    const sideways = /^Arrow(Left|Right)$/.test(event.key) && target.matches(".entry");
    const action = anywhere[event.key] ?? (onPicture || plays || sideways ? here[event.key] : undefined);
    if (!action) return;
    event.preventDefault();
    action();
  }

  #nextPlane(step) {
    const planes = this.grid.planes;
    const place = (planes.indexOf(this.view.plane) + step + planes.length) % planes.length;
    this.act.choosePlane(planes[place]);
  }
}

// The axis of space at which a plane or a line is cut, that the keys and the wheel move; undefined if there is none.
export function cutAxis(grid, plane) {
  return [..."zyx"].find((name) => grid.size(name) > 1 && !plane.includes(name));
}

function planeLabel(plane) {
  const [across, up] = plane;
  if (!up) return `${across} line`;
  return across === "t" ? `${up} over time` : `${across}${up} plane`;
}
