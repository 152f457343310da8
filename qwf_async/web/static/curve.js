// A line of ψ as a curve: the density filled with the colours of the phase, or the phase, or a part of ψ.

import { colouring, css, isGrey } from "./colours.js";

// The ends of the vertical axis, for values whose largest |ψ|² is `peak`.
export function curveEdges(show, peak) {
  if (show === "phase") return [-Math.PI, Math.PI];
  if (show === "density") return [0, 1.05 * peak || 1];
  const amplitude = 1.05 * Math.sqrt(peak) || 1;
  return [-amplitude, amplitude];
}

// Draw on a context whose canvas is the box, in its own pixels. `data` is as the API gave it, with one axis.
export function drawCurve(context, data, palette, theme, { show, peak, scale }) {
  const { width, height } = context.canvas;
  const count = data.shape[0];
  const [low, high] = curveEdges(show, peak);
  const x = (i) => ((i + 0.5) / count) * width;
  const y = (value) => height - ((value - low) / (high - low)) * height;
  const there = (i) => !data.stored || data.stored[i];
  context.clearRect(0, 0, width, height);
  for (let i = 0; i < count; i++) {
    if (!there(i)) continue;
    context.fillStyle = theme.panel;
    context.fillRect(Math.floor((i / count) * width), 0, Math.ceil(width / count) + 1, height);
  }
  const phaseOf = colouring(palette, data.values, "phase", peak);
  const valueOf = (i) => {
    const [re, im] = [data.values[2 * i], data.values[2 * i + 1]];
    return { density: re * re + im * im, phase: Math.atan2(im, re), real: re, imaginary: im }[show];
  };
  if (show === "density" || show === "phase") {
    for (let i = 0; i < count; i++) {
      const value = valueOf(i);
      if (!there(i) || !Number.isFinite(value)) continue;
      const colour = phaseOf(i);
      context.fillStyle = css(colour);
      if (show === "density") {
        const left = Math.floor((i / count) * width);
        context.fillRect(left, y(value), Math.max(1, Math.ceil(((i + 1) / count) * width) - left), height - y(value));
      } else if (!isGrey(colour)) {
        context.fillRect(x(i) - 1.5 * scale, y(value) - 1.5 * scale, 3 * scale, 3 * scale);
      }
    }
  }
  if (show === "phase") return;
  context.strokeStyle = theme.ink;
  context.lineWidth = 1.3 * scale;
  context.lineJoin = "round";
  context.beginPath();
  let open = false;
  for (let i = 0; i < count; i++) {
    const value = valueOf(i);
    const drawn = there(i) && Number.isFinite(value);
    if (drawn && open) context.lineTo(x(i), y(value));
    else if (drawn) context.moveTo(x(i), y(value));
    open = drawn;
  }
  context.stroke();
}
