// The part of a volume that the graphics card does: a picture of it without edges and letters, on a canvas of its own.

import { FRAGMENT, VERTEX } from "./volume_shader.js";
import { fillPlanes, noBlocks, peakOf, seenBox } from "./volume_data.js";

const SLAB = 1 << 18; // points that are handed to the card at a time

const UNIFORMS = [
  "field", "phases", "eye", "right", "up", "forward", "slopes", "halfSize",
  "low", "high", "texel", "threshold", "extinction", "stride",
];

/** Whether there is WebGL2 here. */
export function hasWebGL2() {
  const gl = document.createElement("canvas").getContext("webgl2");
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return gl !== null;
}

/**
 * Draws volumes on `canvas`. A context that the card has lost is made anew from the values, which are kept; `onrestored`
 * is called then. Until that nothing is drawn.
 */
export class VolumeGL {
  #gl;
  #program = null;
  #uniforms = {};
  #texture = null;
  #phases;
  #data = null;
  #listening = new AbortController();

  /** Throws if there is no WebGL2, or if it does not take the shaders. */
  constructor(phases, onrestored) {
    this.canvas = document.createElement("canvas");
    this.#gl = this.canvas.getContext("webgl2", { antialias: false, depth: false, stencil: false });
    if (this.#gl === null) throw new Error("this browser has no WebGL2");
    this.#phases = phases;
    const { signal } = this.#listening;
    this.canvas.addEventListener("webglcontextlost", (event) => event.preventDefault(), { signal });
    this.canvas.addEventListener("webglcontextrestored", () => this.#restore(onrestored), { signal });
    this.#prepare();
  }

  /** The largest |ψ|² of what is shown. */
  get peak() {
    return this.#data?.peak ?? 0;
  }

  /** Show other values: Re and Im in turn, C order of `shape`; `stored` has a byte for each point, or is null. */
  load({ values, shape, stored }) {
    const largest = this.#gl.getParameter(this.#gl.MAX_3D_TEXTURE_SIZE);
    if (Math.max(...shape) > largest) throw new RangeError(`at most ${largest} points along an axis can be shown`);
    this.#data = { values, shape, stored, peak: peakOf(values, stored), blocks: noBlocks(shape) };
    this.#upload();
  }

  /**
   * Draw, with the camera's `frame`, half the lengths of the box, a threshold as a share of the peak, the extinction at
   * the peak for each radius of what is seen, so that a small packet in a large box is as opaque as a large one, and
   * so many steps for each point. The canvas has its size already.
   */
  draw({ frame, half, threshold, extinction, fineness }) {
    const gl = this.#gl;
    if (gl.isContextLost()) return;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const box = this.#data && seenBox(this.#data.blocks, this.#data.shape, threshold);
    if (!box) return;
    const { shape } = this.#data;
    const spacing = Math.min(...half.map((size, axis) => (2 * size) / shape[axis]));
    const radius = Math.hypot(...half.map((size, axis) => size * (box.high[axis] - box.low[axis])));
    const at = this.#uniforms;
    for (const name of ["eye", "right", "up", "forward"]) gl.uniform3fv(at[name], frame[name]);
    gl.uniform2fv(at.slopes, frame.slopes);
    gl.uniform3fv(at.halfSize, half);
    gl.uniform3fv(at.low, box.low);
    gl.uniform3fv(at.high, box.high);
    gl.uniform3fv(at.texel, shape.map((size) => 1 / size));
    gl.uniform1f(at.threshold, threshold);
    gl.uniform1f(at.extinction, extinction / radius);
    gl.uniform1f(at.stride, Math.max(spacing / fineness, 2 / 1024));
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** Wait until the picture is there, so that the time that it takes is known. */
  finish() {
    this.#gl.readPixels(0, 0, 1, 1, this.#gl.RGBA, this.#gl.UNSIGNED_BYTE, new Uint8Array(4));
  }

  /** Give back what the card holds for it. */
  dispose() {
    this.#listening.abort();
    this.#drop();
    this.#gl.deleteProgram(this.#program);
    this.#gl.getExtension("WEBGL_lose_context")?.loseContext();
    this.#data = null;
  }

  #restore(onrestored) {
    this.#texture = null;
    this.#prepare();
    if (this.#data) this.#upload();
    onrestored();
  }

  #prepare() {
    const gl = this.#gl;
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
      gl.deleteShader(shader); // it goes with the program
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
      throw new Error(`WebGL2 does not take the shaders: ${gl.getProgramInfoLog(program)}`);
    }
    this.#program = program;
    this.#uniforms = Object.fromEntries(UNIFORMS.map((name) => [name, gl.getUniformLocation(program, name)]));
    gl.useProgram(program);
    gl.uniform1i(this.#uniforms.field, 0);
    gl.uniform1i(this.#uniforms.phases, 1);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    for (const kind of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, kind, gl.NEAREST);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    const bytes = Uint8Array.from(this.#phases.flat());
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, this.#phases.length, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, bytes);
    gl.activeTexture(gl.TEXTURE0);
  }

  #upload() {
    const gl = this.#gl;
    const [nx, ny, nz] = this.#data.shape;
    this.#drop();
    this.#texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_3D, this.#texture);
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T, gl.TEXTURE_WRAP_R]) {
      gl.texParameteri(gl.TEXTURE_3D, side, gl.CLAMP_TO_EDGE);
    }
    for (const kind of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_3D, kind, gl.LINEAR);
    // Half floats: any WebGL2 interpolates them, which single ones need an extension for.
    gl.texStorage3D(gl.TEXTURE_3D, 1, gl.RGB16F, nz, ny, nx);
    const planes = Math.max(1, Math.floor(SLAB / (ny * nz)));
    const texels = new Float32Array(3 * ny * nz * Math.min(planes, nx));
    for (let first = 0; first < nx; first += planes) {
      const last = Math.min(nx, first + planes);
      fillPlanes(texels, this.#data.blocks, this.#data, first, last);
      gl.texSubImage3D(gl.TEXTURE_3D, 0, 0, 0, first, nz, ny, last - first, gl.RGB, gl.FLOAT, texels);
    }
  }

  #drop() {
    this.#gl.deleteTexture(this.#texture);
    this.#texture = null;
  }
}
