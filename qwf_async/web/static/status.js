// What the page says of itself: a line of text, and body[data-state], "loading", "ready", "away" or "gone".

const INFORMED_MS = 8000; // a line that reports no problem goes after this

export class Status {
  #line = document.getElementById("message");
  #timer = null;

  get state() {
    return document.body.dataset.state;
  }

  set state(state) {
    document.body.dataset.state = state;
  }

  // There was an answer: whether there was none before. The line about it goes.
  recovered() {
    if (!["away", "gone"].includes(this.state)) return false;
    this.state = "ready";
    this.say("");
    return true;
  }

  say(text, { problem = false } = {}) {
    clearTimeout(this.#timer);
    this.#line.setAttribute("role", problem ? "alert" : "status");
    this.#line.classList.toggle("problem", problem);
    if (this.#line.textContent !== text) this.#line.textContent = text;
    this.#line.title = text;
    if (text && !problem) this.#timer = setTimeout(() => this.say(""), INFORMED_MS);
  }

  // An error of the API, and what is done about it.
  failed(error) {
    if (error.nobody) {
      this.state = "gone";
      this.say("qwf view has ended. Run it again and open the address that it prints", { problem: true });
    } else if (error.status === 403) {
      this.state = "gone";
      this.say(`This address is not valid any more: ${error.message}`, { problem: true });
    } else if (error.status === 503) {
      this.state = "away";
      this.say(`${error.message}. Trying again each second`, { problem: true });
    } else {
      this.state = "ready";
      this.say(error.message, { problem: true });
    }
  }
}

// Put a text on the clipboard, and say so.
export async function copy(text, what, status) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea"); // where a page may not use the clipboard, as in a frame
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (!copied) return status.say(text);
  }
  status.say(`${what} is on the clipboard`);
}
