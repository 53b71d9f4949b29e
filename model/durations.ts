/**
 * Durations, sizes and times as people read them: `1 h 02 min`, `12.3 s`, `1.5 GiB`, `2026-11-21 02:43:57.123 UTC`.
 *
 * Own code, because nothing kept fits: Intl.DurationFormat is not in Node 20, Intl.NumberFormat knows gigabytes but no
 * GiB, and workflows import this folder, so that a library would be bundled into every cached workflow.
 */

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

const two = (value: number): string => String(value).padStart(2, '0');

/** At most two units, the larger one first; rounded before it is split, so that no `60.0 s` and no `1 h 60 min` appears. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return 'unknown';
  if (ms < 0) return `−${formatDuration(-ms)}`;
  if (Math.round(ms) < second) return `${Math.round(ms)} ms`;
  if (Math.round(ms / 100) * 100 < minute) return `${(Math.round(ms / 100) / 10).toFixed(1)} s`;
  const seconds = Math.round(ms / second) * second;
  if (seconds < hour) return `${Math.floor(seconds / minute)} min ${two((seconds % minute) / second)} s`;
  const minutes = Math.round(ms / minute) * minute;
  if (minutes < day) return `${Math.floor(minutes / hour)} h ${two((minutes % hour) / minute)} min`;
  const hours = Math.round(ms / hour) * hour;
  return `${Math.floor(hours / day)} d ${two((hours % day) / hour)} h`;
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** Powers of 1024, three significant digits at most; whole numbers carry no decimals. */
export function formatSize(bytes: number): string {
  if (!Number.isFinite(bytes)) return 'unknown';
  if (bytes < 0) return `−${formatSize(-bytes)}`;
  let value = bytes;
  let unit = 0;
  while (unit < units.length - 1 && Math.round(value * 10) / 10 >= 1024) {
    value /= 1024;
    unit += 1;
  }
  const shown = value >= 100 || unit === 0 ? Math.round(value) : Math.round(value * 10) / 10;
  return `${shown} ${units[unit]}`;
}

/** UTC with milliseconds; text that is no time is returned as it came, for a record must not hide what it found. */
export function formatTime(at: string): string {
  const parsed = Date.parse(at);
  if (Number.isNaN(parsed)) return at;
  return new Date(parsed).toISOString().replace('T', ' ').replace('Z', ' UTC');
}

/** Milliseconds from one time to another; never negative, because two hosts' clocks may disagree by a little. */
export function millisecondsBetween(from: string, to: string): number {
  return Math.max(0, Date.parse(to) - Date.parse(from));
}
