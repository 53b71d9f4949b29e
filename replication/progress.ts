/** Progress as heartbeats carry it. */
import type { Progress } from '../model/steps';

/** So many bytes of so many; rate and time left are worked out by who sees them come. */
export function bytesDone(label: string, done: number, total: number | null): Progress {
  return { label, done, total, unit: 'bytes', ratePerSecond: null, timeLeftMs: null };
}
