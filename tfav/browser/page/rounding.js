// Rounding as NumPy and TensorFlow do it.

/** Returns the nearest whole number; of two as near the even one. */
export function round(x) {
  const down = Math.floor(x);
  const rest = x - down;
  return rest > 0.5 || (rest === 0.5 && down % 2) ? down + 1 : down;
}
