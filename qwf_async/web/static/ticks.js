// Numbers on axes and in texts: nice steps, and as many digits as they need. Pure functions.

/** Ascending multiples of 1, 2 or 5 times a power of ten within [low, high], about `count` of them. */
export function ticks(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  if (!(rough > 0) || !Number.isFinite(rough)) return Number.isFinite(low) ? [low] : [];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor, at) => rough <= power * [1.5, 3.5, 7.5, 10][at]);
  const found = [];
  for (let number = Math.ceil(low / step - 1e-9); number * step <= high + step * 1e-9; number++) {
    found.push(number * step + 0); // no −0
  }
  return found;
}

/** The texts of ticks, all with the same decimals, or all with a power of ten. */
export function tickTexts(values) {
  if (values.length === 0) return [];
  const largest = Math.max(...values.map(Math.abs));
  const step = values.length > 1 ? values[1] - values[0] : largest;
  if (largest > 0 && (largest >= 1e6 || largest < 1e-3)) {
    const power = Math.floor(Math.log10(largest));
    const digits = Math.max(0, power - Math.floor(Math.log10(step) + 1e-9));
    return values.map((value) => (value === 0 ? "0" : `${minus((value / 10 ** power).toFixed(digits))}·10${raised(power)}`));
  }
  const decimals = step > 0 ? Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) : 0;
  return values.map((value) => minus(value.toFixed(Math.min(decimals, 20))));
}

/** A number for people: `digits` significant ones at most; "–" for what is none. */
export function numberText(value, digits = 5) {
  if (value === null || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const power = Math.floor(Math.log10(Math.abs(value)));
  if (power >= digits + 1 || power < -4) {
    return `${minus(String(Number((value / 10 ** power).toFixed(digits - 1))))}·10${raised(power)}`;
  }
  return minus(String(Number(value.toPrecision(digits))));
}

/** The least and the largest of the numbers that are finite, over several lists; null if there are none. */
export function rangeOf(lists) {
  let [low, high] = [Infinity, -Infinity];
  for (const list of lists) {
    for (const value of list) {
      if (value === null || !Number.isFinite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : null;
}

const minus = (text) => text.replace("-", "−");
const raised = (power) => [...String(power)].map((sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]).join("");
