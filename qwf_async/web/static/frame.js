// The frame of a picture: where its box lies, its axes with ticks, and its bar of colours. Drawn on any canvas.

import { number, ticks } from "./grid.js";

const MARGIN = { left: 68, right: 92, top: 14, bottom: 44 };
const BAR = { gap: 14, width: 12 };
const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

// The box [left, top, width, height] in a stage of a size; `ratio` is height over width, or null to fill it.
export function boxIn(width, height, ratio) {
  const room = {
    width: Math.max(40, width - MARGIN.left - MARGIN.right),
    height: Math.max(40, height - MARGIN.top - MARGIN.bottom),
  };
  let [w, h] = [room.width, room.height];
  if (ratio !== null) {
    w = Math.min(room.width, room.height / ratio);
    h = w * ratio;
  }
  w = Math.max(8, Math.round(w));
  h = Math.max(8, Math.round(h));
  return {
    left: Math.round(MARGIN.left + (room.width - w) / 2),
    top: Math.round(MARGIN.top + (room.height - h) / 2),
    width: w,
    height: h,
  };
}

// The colours of text and lines, from the style of an element.
export function themeOf(element) {
  const style = getComputedStyle(element);
  const of = (name) => style.getPropertyValue(name).trim();
  return { panel: of("--panel"), ink: of("--ink"), soft: of("--ink-soft"), line: of("--line"), accent: of("--accent") };
}

// Draw axes and bar. `axes` is {across: {label, edges}, up: {label, edges}}; `bar` is {table, edges, label, marks} or null.
export function drawFrame(context, theme, box, { across, up, bar }) {
  context.save();
  context.font = FONT;
  context.lineWidth = 1;
  context.strokeStyle = theme.soft;
  context.fillStyle = theme.ink;
  context.strokeRect(box.left - 0.5, box.top - 0.5, box.width + 1, box.height + 1);
  drawAcross(context, box, across);
  drawUp(context, box, up);
  if (bar) drawBar(context, box, bar);
  context.restore();
}

function drawAcross(context, box, { label, edges, marks }) {
  const [low, high] = edges;
  context.textAlign = "center";
  context.textBaseline = "top";
  const bottom = box.top + box.height;
  for (const [value, text] of marks ?? marked(low, high, box.width / 80)) {
    const x = box.left + ((value - low) / (high - low)) * box.width;
    line(context, x, bottom + 1, x, bottom + 5);
    context.fillText(text, x, bottom + 7);
  }
  context.fillText(label, box.left + box.width / 2, bottom + 24);
}

function drawUp(context, box, { label, edges, marks }) {
  const [low, high] = edges;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const [value, text] of marks ?? marked(low, high, box.height / 44)) {
    const y = box.top + box.height - ((value - low) / (high - low)) * box.height;
    line(context, box.left - 5, y, box.left - 1, y);
    context.fillText(text, box.left - 8, y);
  }
  context.save();
  context.translate(Math.max(10, box.left - 56), box.top + box.height / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.fillText(label, 0, 0);
  context.restore();
}

function drawBar(context, box, { table, edges, label, marks }) {
  const left = box.left + box.width + BAR.gap;
  const [low, high] = edges;
  for (let y = 0; y < box.height; y++) {
    const share = 1 - (y + 0.5) / box.height;
    const [red, green, blue] = table[Math.min(table.length - 1, Math.floor(share * table.length))];
    context.fillStyle = `rgb(${red} ${green} ${blue})`;
    context.fillRect(left, box.top + y, BAR.width, 1);
  }
  context.fillStyle = getInk(context);
  context.textAlign = "left";
  context.textBaseline = "middle";
  for (const [value, text] of marks ?? marked(low, high, box.height / 44)) {
    const y = box.top + box.height - ((value - low) / (high - low)) * box.height;
    line(context, left + BAR.width, y, left + BAR.width + 4, y);
    context.fillText(text, left + BAR.width + 7, y);
  }
  context.textBaseline = "top";
  context.fillText(label, left, box.top + box.height + 7);
}

function getInk(context) {
  return context.strokeStyle;
}

function marked(low, high, wanted) {
  return ticks(low, high, wanted).map((value) => [value, number(value, 4)]);
}

function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(Math.round(x0) + 0.5, Math.round(y0) + 0.5);
  context.lineTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
  context.stroke();
}
