/** What a server's report shows of its past runs: the steps that cost most beside their medians, and the trend. */
import { formatDuration, formatTime } from '../model/durations';
import type { RunPast } from '../model/run-past';
import { optionWords } from './words';

const mostCosts = 8;

/** undefined: nobody asked for it, and nothing is shown. */
export function pastSection(past: RunPast | null | undefined) {
  return {
    given: past !== undefined,
    known: past !== null,
    costs: (past?.costs ?? []).slice(0, mostCosts).map(({ title, machineMs, pastMedianMs, pastRuns }) => ({
      ...{ title, time: formatDuration(machineMs), runs: pastRuns === 0 ? '' : String(pastRuns) },
      median: pastMedianMs === null ? 'no past runs' : formatDuration(pastMedianMs),
      more: differenceWords(machineMs, pastMedianMs),
    })),
    trend: (past?.trend ?? []).map(({ closedAt, option, toProofMs, rpoMs }) => ({
      ...{ closedAt: formatTime(closedAt), option: optionWords[option].split(':')[0]! },
      toProof: formatDuration(toProofMs),
      rpo: rpoMs == null ? '' : formatDuration(rpoMs),
    })),
  };
}

function differenceWords(machineMs: number, pastMedianMs: number | null): string {
  if (pastMedianMs === null) return '';
  const differenceMs = machineMs - pastMedianMs;
  return `${differenceMs < 0 ? '−' : '+'}${formatDuration(Math.abs(differenceMs))}`;
}
