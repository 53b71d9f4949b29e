/** Clocks of different parts compared: what stands in the record, and what a recovery point is worth, hangs on them. */
import { ok, problem, warning, type Finding } from './report';

const warnAboveMs = 1_000;
const problemAboveMs = 30_000;

/**
 * Judges how far a part's clock is from this host's. `uncertaintyMs` is how wrong the comparison itself may be (half the
 * time that the question took); it counts in favour of the clock.
 */
export function judgeSkew(part: string, skewMs: number, uncertaintyMs = 0): Finding {
  const needed = 'at most 1 s apart';
  const surelyMs = Math.max(0, Math.abs(skewMs) - uncertaintyMs);
  const found = `${part} is ${seconds(Math.abs(skewMs))} ${skewMs < 0 ? 'behind' : 'ahead'}`;
  if (surelyMs <= warnAboveMs) return ok(found, needed);
  const remedy = `Let both keep time from the same source (chrony, systemd-timesyncd); \`timedatectl\` shows which clock is wrong.`;
  return surelyMs > problemAboveMs ? problem(found, needed, remedy) : warning(found, needed, remedy);
}

/** Asks a part for its time; the middle between question and answer is taken as the moment of the answer. */
export async function skewOf(
  ask: () => Promise<number>,
  now: () => number,
): Promise<{ skewMs: number; uncertaintyMs: number }> {
  const before = now();
  const theirs = await ask();
  const after = now();
  return { skewMs: theirs - (before + after) / 2, uncertaintyMs: (after - before) / 2 };
}

function seconds(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 1000)} s`;
}
