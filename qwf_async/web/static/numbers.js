// Numbers for people.

// A number in at most `digits` digits, with a true minus sign.
export function number(value, digits = 5) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  let text = size !== 0 && (size < 1e-4 || size >= 1e7) ? value.toExponential(digits - 1) : value.toPrecision(digits);
  text = text.replace(/(\.\d*?)0+(e|$)/, "$1$2").replace(/\.(e|$)/, "$1");
  return text.replaceAll("-", "−");
}

// Ticks at round numbers between two ends.
export function ticks(low, high, wanted) {
  const span = Math.abs(high - low);
  if (!(span > 0) || !Number.isFinite(span)) return [];
  const rough = span / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const first = Math.ceil(Math.min(low, high) / step - 1e-9);
  const last = Math.floor(Math.max(low, high) / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

// Bytes, as in "84 MB".
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let rank = 0;
  while (bytes >= 999.5 && rank < units.length - 1) [bytes, rank] = [bytes / 1000, rank + 1];
  return `${rank && bytes < 99.5 ? bytes.toPrecision(2) : Math.round(bytes)} ${units[rank]}`;
}

// "44 s", "3 min", "2 d"
export function age(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const [unit, each] = units.find(([, each]) => seconds >= each) ?? units[3];
  return `${Math.max(0, Math.floor(seconds / each))} ${unit}`;
}

// A share of 1 in whole per cent, and never 0 or 100 by rounding.
export function share(part) {
  if (part > 0 && part < 0.01) return "<1 %";
  if (part < 1 && part > 0.99) return ">99 %";
  return `${Math.round(100 * part)} %`;
}

// "262,144", "5.24 million"
export function count(points) {
  if (points < 1e6) return points.toLocaleString("en");
  return points < 1e9 ? `${(points / 1e6).toPrecision(3)} million` : `${(points / 1e9).toPrecision(3)} billion`;
}
