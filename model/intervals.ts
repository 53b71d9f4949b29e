/** Stretches of time in milliseconds since 1970, and their arithmetic: overlaps count once. */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

/** Disjoint, ascending, without empty ones. */
export function union(intervals: readonly Interval[]): Interval[] {
  const merged: Interval[] = [];
  for (const next of intervals.filter(({ from, to }) => to > from).sort((a, b) => a.from - b.from)) {
    const last = merged.at(-1);
    if (last && next.from <= last.to) merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, next.to) };
    else merged.push(next);
  }
  return merged;
}

/** What lies in both. */
export function intersection(a: readonly Interval[], b: readonly Interval[]): Interval[] {
  return union(
    a.flatMap((one) => b.map((other) => ({ from: Math.max(one.from, other.from), to: Math.min(one.to, other.to) }))),
  );
}

export function lengthMs(intervals: readonly Interval[]): number {
  return union(intervals).reduce((sum, { from, to }) => sum + (to - from), 0);
}
