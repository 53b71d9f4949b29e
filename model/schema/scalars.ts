/** Values that people write with a unit, and what becomes of them. */
import { Cron } from 'croner';
import { z } from 'zod';

const second = 1000;
const units: Readonly<Record<string, number>> = {
  s: second,
  m: 60 * second,
  h: 3600 * second,
  d: 86_400 * second,
};
/** Two months more than a year: what is longer is a slip of the pen. */
const longestMs = 400 * 86_400 * second;

/** `90s`, `15m`, `4h`, `30d` -> milliseconds. One whole number and one unit. */
export const duration = z
  .string()
  .regex(/^[1-9][0-9]{0,6}[smhd]$/, 'a duration such as 30s, 15m, 4h or 90d')
  .meta({ examples: ['15m'] })
  .transform((text) => Number(text.slice(0, -1)) * units[text.slice(-1)]!)
  .refine((ms) => ms <= longestMs, 'at most 400 days');

const sizeUnits: Readonly<Record<string, number>> = { MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 };

/** `512MiB`, `16GiB` -> bytes. */
export const size = z
  .string()
  .regex(/^[1-9][0-9]{0,5} ?(MiB|GiB|TiB)$/, 'a size such as 512MiB or 16GiB')
  .meta({ examples: ['4GiB'] })
  .transform((text) => Number.parseInt(text, 10) * sizeUnits[text.slice(-3)]!);

export const cidr = z
  .union([z.cidrv4(), z.cidrv6()], { error: 'an address with prefix length, such as 10.8.0.12/24' })
  .meta({ examples: ['10.8.0.12/24'] });

export const date = z.iso.date({ error: 'a day, YYYY-MM-DD' });

export const timezone = z
  .string()
  .refine(isTimezone, 'an IANA time zone, such as Europe/Berlin')
  .meta({ examples: ['Europe/Berlin'] });

/** As Temporal takes it; days that never come, such as the 31st of February, are none. */
export const cron = z
  .string()
  .refine(isCron, 'minute, hour, day of month, month and day of week that come, such as 0 22 * * 6')
  .meta({ examples: ['0 22 * * 6'] });

function isCron(pattern: string): boolean {
  try {
    return new Cron(pattern, { mode: '5-part', paused: true }).nextRun() !== null;
  } catch {
    return false;
  }
}

function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
