/** The time left, in words: for a terminal, a page and a mail alike. */
import { formatDuration } from '../durations';
import type { Sureness } from './expected';
import type { TimeLeft } from './time-left';

const sureWords: Readonly<Record<Sureness, string>> = { well: 'sure', fairly: 'fairly sure', hardly: 'hardly sure' };

/** `4 min 05 s to the proof (3 min 50 s to 6 min 00 s), fairly sure: 5 past runs`; or `unknown: …` with the reason. */
export function timeLeftWords(left: TimeLeft): string {
  const { until, ms, lowMs, highMs, atLeast, neverRan, runs, from, sure, unknown } = left;
  if (ms === null || lowMs === null || highMs === null || sure === null)
    return `unknown: ${unknown ?? 'nothing is known'}`;
  const spread = lowMs === highMs ? '' : ` (${formatDuration(lowMs)} to ${formatDuration(highMs)})`;
  const of = from === 'this server' ? '' : ' of servers of similar size';
  const never = neverRan === 0 ? '' : `; ${neverRan} ${neverRan === 1 ? 'server' : 'servers'} never ran here`;
  return `${atLeast ? 'at least ' : ''}${formatDuration(ms)} to the ${until}${spread}, ${sureWords[sure]}: ${runs} past ${runs === 1 ? 'run' : 'runs'}${of}${never}`;
}
