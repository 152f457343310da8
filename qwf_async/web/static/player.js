// Frames one after the other. A few are asked for ahead, so that the next is there when its turn comes.

const AHEAD = 4;
const LEAST_MS = 1000 / 30; // between frames

export class Player {
  // `fetchFrame(t, signal)` gives the data of a frame, `drawFrame(t, data)` shows it, `stopped(error)` is told the end.
  constructor({ fetchFrame, drawFrame, stopped }) {
    this.fetchFrame = fetchFrame;
    this.drawFrame = drawFrame;
    this.stopped = stopped;
    this.abort = null;
  }

  get playing() {
    return this.abort !== null;
  }

  async play(t, count) {
    this.stop();
    const abort = (this.abort = new AbortController());
    const waiting = new Map();
    const after = (frame, steps = 1) => (frame + steps) % count;
    let problem = null;
    try {
      while (!abort.signal.aborted) {
        for (let steps = 1; steps <= Math.min(AHEAD, count - 1); steps++) {
          const frame = after(t, steps);
          if (waiting.has(frame)) continue;
          const fetched = this.fetchFrame(frame, abort.signal);
          fetched.catch(() => {}); // it is awaited when its turn comes
          waiting.set(frame, fetched);
        }
        t = after(t);
        const data = await waiting.get(t);
        waiting.delete(t);
        do await nextRepaint();
        while (performance.now() - this.#drawn < LEAST_MS - 2);
        if (abort.signal.aborted) break;
        this.#drawn = performance.now();
        this.drawFrame(t, data);
      }
    } catch (error) {
      if (!abort.signal.aborted) problem = error;
    }
    abort.abort();
    if (this.abort === abort) {
      this.abort = null;
      this.stopped(problem);
    }
  }

  #drawn = 0;

  stop() {
    if (!this.abort) return;
    this.abort.abort();
    this.abort = null;
    this.stopped(null);
  }
}

function nextRepaint() {
  return new Promise(requestAnimationFrame);
}
