/** Chance that can be repeated: everything a campaign leaves to chance is drawn from its seed. */

export interface Draw {
  /** A whole number from `least` to `most`, both included. */
  number(least: number, most: number): number;
  /** True in `percent` of all draws. */
  chance(percent: number): boolean;
  one<T>(among: readonly T[]): T;
  /** One of the values, each as often as its weight says. */
  weighted<T>(among: readonly (readonly [weight: number, value: T])[]): T;
}

/** The same seed draws the same, on every machine (mulberry32, public domain, by Tommy Ettinger). */
export function drawFrom(seed: number): Draw {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const number = (least: number, most: number): number => least + Math.floor(next() * (most - least + 1));
  const weighted = <T>(among: readonly (readonly [number, T])[]): T => {
    let left = next() * among.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, value] of among) {
      left -= weight;
      if (left < 0) return value;
    }
    return among.at(-1)![1];
  };
  return {
    number,
    chance: (percent) => next() * 100 < percent,
    one: (among) => among[number(0, among.length - 1)]!,
    weighted,
  };
}
