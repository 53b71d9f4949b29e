/** Progress of one long activity in one line: bar, share, rate, time left. */
import { formatDuration, formatSize } from '../../model/durations';
import { printable } from '../../model/names';
import type { Progress } from '../../model/steps';

const barLength = 20;

/** Never longer than `width`; the label gives way first. */
export function progressLine(progress: Progress, width: number): string {
  const { done, total, ratePerSecond, timeLeftMs } = progress;
  const share = total === null || total <= 0 ? null : Math.min(1, Math.max(0, done / total));
  const bar = share === null ? '' : `${'█'.repeat(Math.round(share * barLength)).padEnd(barLength, '░')} `;
  const head = share === null ? amount(progress, done) : `${Math.floor(share * 100)} %`;
  const sizes =
    share === null || progress.unit === 'percent' ? [] : [`${amount(progress, done)} of ${amount(progress, total!)}`];
  const rate = ratePerSecond === null ? [] : [`${amount(progress, ratePerSecond)}/s`];
  const left = timeLeftMs === null ? [] : [`${formatDuration(timeLeftMs)} left`];
  const label = printable(progress.label);
  // What matters least goes first: sizes, then the rate; the time left is what people wait for.
  const tails = [
    [head, ...sizes, ...rate, ...left],
    [head, ...rate, ...left],
    [head, ...left],
  ].map((facts) => `${bar}${facts.join(', ')}`);
  const tail = tails.find((each) => label.length + each.length + 3 <= width) ?? tails.at(-1)!;
  const room = Math.max(8, width - tail.length - 3);
  const line = `  ${label.length <= room ? label : `${label.slice(0, room - 1)}…`} ${tail}`;
  return line.length <= width ? line : `${line.slice(0, width - 1)}…`;
}

function amount({ unit }: Progress, value: number): string {
  if (unit === 'bytes') return formatSize(value);
  if (unit === 'percent') return `${Math.round(value)} %`;
  return String(Math.round(value * 10) / 10);
}
