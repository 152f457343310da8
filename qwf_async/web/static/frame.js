// The frame of a picture: where its box lies, its axes with ticks, and its bar of colours. Drawn on any canvas.

import { ticks } from "./numbers.js";
import { tickTexts } from "./tick_texts.js";

const MARGIN = { left: 66, right: 96, top: 32, bottom: 46 };
const NARROW = { left: 56, right: 74, top: 30, bottom: 44 }; // where the stage is narrower than
const NARROW_PX = 480;
const HATCH = 11; // pixels between lines
const BAR = { gap: 14, width: 12 };
const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

const marginIn = (width) => (width < NARROW_PX ? NARROW : MARGIN);

// The height of a stage of a width that the picture fills; `ratio` is height over width of its box.
export function heightFor(width, ratio) {
  const margin = marginIn(width);
  return (width - margin.left - margin.right) * ratio + margin.top + margin.bottom;
}

// The box [left, top, width, height] in a stage of a size; `ratio` is height over width, or null to fill it.
export function boxIn(width, height, ratio) {
  const margin = marginIn(width);
  const room = {
    width: Math.max(40, width - margin.left - margin.right),
    height: Math.max(40, height - margin.top - margin.bottom),
  };
  let [w, h] = [room.width, room.height];
  if (ratio !== null) {
    w = Math.min(room.width, room.height / ratio);
    h = w * ratio;
  }
  w = Math.max(8, Math.round(w));
  h = Math.max(8, Math.round(h));
  return {
    left: Math.round(margin.left + (room.width - w) / 2),
    top: Math.round(margin.top + (room.height - h) / 2),
    width: w,
    height: h,
  };
}

// The colours of text and lines, from the style of an element.
export function themeOf(element) {
  const style = getComputedStyle(element);
  const of = (name) => style.getPropertyValue(name).trim();
  return { panel: of("--panel"), ink: of("--ink"), soft: of("--ink-soft"), line: of("--line"), hatch: of("--hatch") };
}

// Draw the heading, axes of {label, edges, marks, whole}, and a bar of {table, edges, label, marks} or null.
export function drawFrame(context, theme, box, { heading, across, up, bar }) {
  context.save();
  context.font = FONT;
  context.lineWidth = 1;
  context.strokeStyle = theme.soft;
  context.fillStyle = theme.ink;
  context.strokeRect(box.left - 0.5, box.top - 0.5, box.width + 1, box.height + 1);
  drawAcross(context, box, across);
  drawUp(context, box, up);
  context.textAlign = "left";
  context.textBaseline = "bottom";
  if (heading) context.fillText(heading, box.left, box.top - 8);
  if (bar) drawBar(context, box, bar);
  context.restore();
}

// Hatch the box, as the style does behind a picture: what is not stored yet.
export function drawHatch(context, theme, { left, top, width, height }) {
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.strokeStyle = theme.hatch;
  context.lineWidth = 1.5;
  context.beginPath();
  for (let x = left - height; x < left + width; x += HATCH) {
    context.moveTo(x, top);
    context.lineTo(x + height, top + height);
  }
  context.stroke();
  context.restore();
}

function drawAcross(context, box, { label, edges, marks, whole }) {
  const [low, high] = edges;
  context.textAlign = "center";
  context.textBaseline = "top";
  const bottom = box.top + box.height;
  for (const [value, text] of marks ?? fitting(context, box.width, (wanted) => marked(low, high, wanted, whole))) {
    const x = box.left + ((value - low) / (high - low)) * box.width;
    line(context, x, bottom + 1, x, bottom + 5);
    context.fillText(text, x, bottom + 7);
  }
  context.fillText(label, box.left + box.width / 2, bottom + 24);
}

function drawUp(context, box, { label, edges, marks, whole }) {
  const [low, high] = edges;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const [value, text] of marks ?? marked(low, high, box.height / 44, whole)) {
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
  context.save();
  for (let y = 0; y < box.height; y++) {
    const share = 1 - (y + 0.5) / box.height;
    const [red, green, blue] = table[Math.min(table.length - 1, Math.floor(share * table.length))];
    context.fillStyle = `rgb(${red} ${green} ${blue})`;
    context.fillRect(left, box.top + y, BAR.width, 1);
  }
  context.restore();
  context.strokeRect(left - 0.5, box.top - 0.5, BAR.width + 1, box.height + 1);
  context.textAlign = "left";
  context.textBaseline = "middle";
  for (const [value, text] of marks ?? marked(low, high, box.height / 44)) {
    const y = box.top + box.height - ((value - low) / (high - low)) * box.height;
    line(context, left + BAR.width, y, left + BAR.width + 4, y);
    context.fillText(text, left + BAR.width + 7, y);
  }
  context.textBaseline = "bottom";
  if (label) context.fillText(label, left, box.top - 8);
}

// As many marks as have room side by side.
function fitting(context, width, make) {
  for (let wanted = width / 48; ; wanted /= 1.5) {
    const marks = make(wanted);
    if (wanted < 1 || marks.every(([, text]) => context.measureText(text).width + 12 < width / marks.length)) return marks;
  }
}

// Ticks and their texts; only whole numbers on an axis of indices.
function marked(low, high, wanted, whole = false) {
  const values = ticks(low, high, whole ? Math.min(wanted, high - low) : wanted).filter((value) => !whole || Number.isInteger(value));
  const texts = tickTexts(values);
  return values.map((value, i) => [value, texts[i]]);
}

function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(Math.round(x0) + 0.5, Math.round(y0) + 0.5);
  context.lineTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
  context.stroke();
}
