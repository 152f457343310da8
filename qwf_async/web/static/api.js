// What the page asks of its server: JSON, and values as bytes. Every request can be aborted.

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }

  // Whether nobody answered at all.
  get nobody() {
    return this.status === 0;
  }
}

const AXES = ["t", "x", "y", "z"];

export class Api {
  constructor(token) {
    this.token = token;
    this.listed = { etag: null, entries: [] };
  }

  async #fetch(path, { signal, headers = {} } = {}) {
    const authorization = { Authorization: `Bearer ${this.token}` };
    const options = { signal, cache: "no-store", headers: { ...authorization, ...headers } };
    const answer = await received(fetch(`api/${path}`, options));
    if (!answer.ok && answer.status !== 304) {
      let error = {};
      try {
        ({ error } = await answer.json());
      } catch {
        // no JSON: not from our API
      }
      throw new ApiError(answer.status, error?.code ?? 1, error?.message ?? `${answer.status} ${answer.statusText}`);
    }
    return answer;
  }

  async #json(path, options) {
    return received((await this.#fetch(path, options)).json());
  }

  store() {
    return this.#json("store");
  }

  colours() {
    return this.#json("colours");
  }

  // The entries of the list; the same array as before if nothing has changed.
  async list({ signal } = {}) {
    const headers = this.listed.etag ? { "If-None-Match": this.listed.etag } : {};
    const answer = await this.#fetch("wavefunctions", { signal, headers });
    if (answer.status !== 304) {
      const { wavefunctions } = await received(answer.json());
      this.listed = { etag: answer.headers.get("ETag"), entries: wavefunctions };
    }
    return this.listed.entries;
  }

  describe(name, { signal, load = false } = {}) {
    return this.#json(`wavefunctions/${encodeURIComponent(name)}${load ? "?load=true" : ""}`, { signal });
  }

  // The values at indices {t: 3, x: ":", …}: {values (re, im interleaved), stored or null, axes, shape, start, step}.
  async values(name, indices, { signal, load = false, generation = null, max = null } = {}) {
    const query = new URLSearchParams();
    for (const axis of AXES) if (axis in indices) query.set(axis, indices[axis]);
    if (max !== null) query.set("max", max);
    if (generation !== null) query.set("generation", generation);
    if (load) query.set("load", "true");
    const answer = await this.#fetch(`wavefunctions/${encodeURIComponent(name)}/values?${query}`, { signal });
    const body = await received(answer.arrayBuffer());
    const numbers = (header) => (answer.headers.get(header) || "").split(",").filter(Boolean).map(Number);
    const shape = numbers("X-QWF-Shape");
    const points = shape.reduce((product, size) => product * size, 1);
    return {
      values: new Float32Array(body, 0, 2 * points),
      stored: load ? new Uint8Array(body, 8 * points, points) : null,
      axes: (answer.headers.get("X-QWF-Axes") || "").split(",").filter(Boolean),
      shape,
      start: numbers("X-QWF-Start"),
      step: numbers("X-QWF-Step"),
      generation: answer.headers.get("X-QWF-Generation"),
    };
  }

  // What the numbers over time are: heads, units and their sizes.
  columns(name, { signal, generation = null } = {}) {
    const query = generation === null ? "" : `?${new URLSearchParams({ generation })}`;
    return this.#json(`wavefunctions/${encodeURIComponent(name)}/columns${query}`, { signal });
  }

  marginals(name, t, { signal, generation = null } = {}) {
    const query = new URLSearchParams({ t, ...(generation === null ? {} : { generation }) });
    return this.#json(`wavefunctions/${encodeURIComponent(name)}/marginals?${query}`, { signal });
  }

  // The rows of numbers over time, each as soon as it is there.
  async *observed(name, { signal, ...given } = {}) {
    const query = new URLSearchParams(Object.entries(given).filter(([, value]) => value !== null));
    const answer = await this.#fetch(`wavefunctions/${encodeURIComponent(name)}/observed?${query}`, { signal });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await received(reader.read());
      const lines = (rest + (value ?? "")).split("\n");
      rest = done ? "" : lines.pop();
      for (const line of lines.filter(Boolean)) {
        const row = JSON.parse(line);
        if (row.error) throw new ApiError(500, row.error.code, row.error.message);
        yield row;
      }
      if (done) return;
    }
  }
}

// What comes over the connection; an ApiError of status 0 if nothing comes any more.
async function received(coming) {
  try {
    return await coming;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, 3, "qwf view has ended");
  }
}
