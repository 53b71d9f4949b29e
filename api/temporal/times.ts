/** Temporal's times as the product writes them. */

/** google.protobuf.Timestamp, as far as it is read. */
export interface Stamp {
  readonly seconds?: { toString(): string } | number | null;
  readonly nanos?: number | null;
}

/** UTC, milliseconds; null: there is none. */
export function toTime(stamp: Stamp | null | undefined): string | null {
  if (!stamp?.seconds) return null;
  return new Date(Number(stamp.seconds.toString()) * 1000 + Math.floor((stamp.nanos ?? 0) / 1e6)).toISOString();
}
