// Of several readings the newest wins. One that is overtaken has a moment to end, so that the picture
// moves while a slider is dragged; after it, it is aborted.

const GRACE_MS = 120;

export class Newest {
  #read;
  #running = null;
  #next = null;
  #timer = null;

  // `read(wanted, signal)` reads and shows; it is called again only when it has ended.
  constructor(read) {
    this.#read = read;
  }

  ask(wanted) {
    this.#next = { wanted };
    if (!this.#running) this.#run();
    else this.#timer ??= setTimeout(() => this.#running?.abort(), GRACE_MS);
  }

  cancel() {
    this.#next = null;
    this.#running?.abort();
  }

  async #run() {
    while (this.#next) {
      const { wanted } = this.#next;
      this.#next = null;
      const running = (this.#running = new AbortController());
      try {
        await this.#read(wanted, running.signal);
      } finally {
        clearTimeout(this.#timer);
        this.#timer = this.#running = null;
      }
    }
  }
}
