// The list of what is stored and what is being loaded.

import { age, share, size } from "./numbers.js";

const FILTERED_FROM = 12;

export class List {
  constructor({ list, filter, nothing }, choose) {
    this.list = list;
    this.filter = filter;
    this.nothing = nothing;
    this.choose = choose;
    this.items = new Map();
    this.chosen = null;
    filter.addEventListener("input", () => this.#filtered());
    list.addEventListener("keydown", (event) => this.#move(event));
  }

  // Show these entries, of which the one named `chosen` is the current one.
  show(entries, chosen) {
    const another = chosen !== this.chosen;
    this.chosen = chosen;
    const names = new Set(entries.map((entry) => entry.name));
    for (const [name, item] of this.items) {
      if (names.has(name)) continue;
      item.remove();
      this.items.delete(name);
    }
    entries.forEach((entry, place) => {
      const item = this.items.get(entry.name) ?? this.#made(entry.name);
      if (this.list.children[place] !== item) this.list.insertBefore(item, this.list.children[place] ?? null);
      this.#fill(item, entry);
    });
    this.nothing.hidden = entries.length > 0;
    this.filter.hidden = entries.length < FILTERED_FROM;
    this.#filtered();
    if (another) this.items.get(chosen)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #made(name) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "entry";
    button.dataset.name = name;
    for (const part of ["name", "age", "about", "more"]) {
      const line = document.createElement("span");
      line.className = part === "more" ? "about" : part;
      line.dataset.part = part;
      button.append(line);
    }
    button.addEventListener("click", () => this.choose(name));
    item.append(button);
    this.items.set(name, item);
    return item;
  }

  #fill(item, entry) {
    const button = item.firstChild;
    const part = (name) => button.querySelector(`[data-part="${name}"]`);
    button.setAttribute("aria-current", String(entry.name === this.chosen));
    button.dataset.state = entry.state;
    put(part("name"), entry.name);
    const shape = entry.shape ? entry.shape.map(String).join("×") : "";
    put(part("about"), [shape, entry.bytes ? size(entry.bytes) : ""].filter(Boolean).join(" · "));
    put(part("age"), entry.shape ? age(entry.age_seconds) : "");
    const { load } = entry;
    let more = "";
    if (load) more = `${load.held ? "being loaded" : "interrupted"}, ${share(load.done)}`;
    else if (entry.state === "damaged") more = entry.note ?? "damaged";
    put(part("more"), more);
    part("more").classList.toggle("trouble", entry.state === "damaged" || (load !== null && !load.held));
    let bar = button.querySelector("progress");
    if (!load) bar?.remove();
    else {
      if (!bar) {
        bar = document.createElement("progress");
        bar.max = 1;
        bar.setAttribute("aria-label", "stored of the load");
        button.append(bar);
      }
      bar.value = load.done;
    }
  }

  #filtered() {
    const wanted = this.filter.hidden ? "" : this.filter.value.toLowerCase();
    for (const [name, item] of this.items) item.hidden = !name.toLowerCase().includes(wanted);
  }

  #move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = [...this.list.querySelectorAll("li:not([hidden]) > .entry")];
    buttons[buttons.indexOf(document.activeElement) + step]?.focus();
  }
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
