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
  const facts = [
    share === null ? amount(progress, done) : `${Math.floor(share * 100)} %`,
    share === null || progress.unit === 'percent'
      ? undefined
      : `${amount(progress, done)} of ${amount(progress, total!)}`,
    ratePerSecond === null ? undefined : `${amount(progress, ratePerSecond)}/s`,
    timeLeftMs === null ? undefined : `${formatDuration(timeLeftMs)} left`,
  ].filter((fact) => fact !== undefined);
  const tail = `${bar}${facts.join(', ')}`;
  const label = printable(progress.label);
  const room = Math.max(8, width - tail.length - 3);
  const line = `  ${label.length <= room ? label : `${label.slice(0, room - 1)}…`} ${tail}`;
  return line.length <= width ? line : `${line.slice(0, width - 1)}…`;
}

function amount({ unit }: Progress, value: number): string {
  if (unit === 'bytes') return formatSize(value);
  if (unit === 'percent') return `${Math.round(value)} %`;
  return String(Math.round(value * 10) / 10);
}
