/** Pauses between looks at what takes its own time, so that whoever looks does not take the processor from what is waited for. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Each call waits an eighth of the time since the first look: what takes a second is seen an eighth of one later at most. */
export function pauses(shortestMs: number, longestMs = 500): () => Promise<void> {
  const begun = performance.now();
  return () => sleep(Math.min(longestMs, Math.max(shortestMs, (performance.now() - begun) / 8)));
}
