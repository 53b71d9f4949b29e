/** The one place that says what the middle of several values is, and their edges. */

/** Between the two nearest values, in proportion. `sorted` ascending, at least one value; `part` from 0 to 1. */
export function quantile(sorted: readonly number[], part: number): number {
  const place = (sorted.length - 1) * part;
  const below = sorted[Math.floor(place)]!;
  const above = sorted[Math.ceil(place)]!;
  return Math.round(below + (above - below) * (place - Math.floor(place)));
}

/** Of at least one value, in any order. */
export const medianOf = (values: readonly number[]): number =>
  quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
