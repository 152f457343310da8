// The texts beside the ticks of an axis. Pure.

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

const minus = (text) => text.replace("-", "−");
const raised = (power) => [...String(power)].map((sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]).join("");
