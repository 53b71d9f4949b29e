/** Durations, sizes and pairs as people type them on a command line. Each failure says what it found and what it needs. */
import { InvalidArgumentError } from 'commander';
import { scopeKinds, type AccessScope } from '../model/people';
import { parseSecretRef } from '../model/secrets';

const durationUnits = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const sizeUnits = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 } as const;

/** `15s`, `10m`, `1h30m`, `250ms` to milliseconds. */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|min|m|h|d)/gy)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== text) {
    throw new InvalidArgumentError(`Found "${text}", needed a duration such as 15s, 10m or 1h30m.`);
  }
  const ms = parts.reduce(
    (sum, [, count, unit]) => sum + Number(count) * durationUnits[unit as keyof typeof durationUnits],
    0,
  );
  return Math.round(ms);
}

/** `512M`, `2GiB`, `4096` to bytes; powers of 1024. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(text);
  if (!match) throw new InvalidArgumentError(`Found "${text}", needed a size such as 512M or 2G.`);
  return Math.round(Number(match[1]) * sizeUnits[match[2]!.toUpperCase() as keyof typeof sizeUnits]);
}

export function parseWhole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError(`Found "${text}", needed a whole number.`);
  return Number(text);
}

/** Collects `a=b`; given twice, both are kept. */
export function collectPair(text: string, previous: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1) throw new InvalidArgumentError(`Found "${text}", needed NAME=VALUE.`);
  return { ...previous, [text.slice(0, at)]: text.slice(at + 1) };
}

export interface Probe {
  readonly name: string;
  readonly command: string[];
}

/** `counter=/usr/local/bin/status --short`: split at spaces, quotes keep words together; no shell is involved. */
export function collectProbe(text: string, previous: Probe[] = []): Probe[] {
  const [[name, line] = ['', '']] = Object.entries(collectPair(text));
  const command = [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map((part) => part[1] ?? part[2] ?? part[3] ?? '');
  return [...previous, { name, command }];
}

/** `site:recovery`, `runbook:shop`. Given twice, both are kept. */
export function collectScope(text: string, previous: AccessScope[] = []): AccessScope[] {
  const [kind, name] = [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1)];
  const known = scopeKinds.find((one) => one === kind);
  if (known === undefined || name === '')
    throw new InvalidArgumentError(`Found "${text}", needed site:NAME or runbook:NAME.`);
  return [...previous, { kind: known, name }];
}

/** `file:app01-disk`: where a secret is. Given twice, both are kept. */
export function collectReference(text: string, previous: string[] = []): string[] {
  if (parseSecretRef(text) !== null) return [...previous, text];
  throw new InvalidArgumentError('Needed is where the key is: file:NAME or environment:MUSTER_SECRET_NAME.');
}

export function parseTime(text: string): string {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) {
    throw new InvalidArgumentError(`Found "${text}", needed a time such as 2026-01-31T03:04:05Z.`);
  }
  return time.toISOString();
}

/** Values of `--set`: fields that a decision may correct, each in its own type. */
export function readCorrections(pairs: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(pairs).map(([field, value]) => [field, correction(field, value)]));
}

function correction(field: string, value: string): unknown {
  switch (field) {
    case 'inoculate':
      if (value === 'true' || value === 'false') return value === 'true';
      throw new InvalidArgumentError(`--set inoculate: found "${value}", needed true or false.`);
    case 'memoryBytes':
      return parseSize(value);
    case 'cpuCount':
      return parseWhole(value);
    case 'heartbeatTimeoutMs':
      return /^\d+$/.test(value) ? Number(value) : parseDuration(value);
    case 'overwriteDisks':
    case 'unlockKeys':
      return value.split(',');
    case 'networks':
      return value.split(',').reduce<Record<string, string>>((all, pair) => collectPair(pair, all), {});
    default:
      // Names are texts; a field that does not exist is refused by the API, which knows them all.
      return value;
  }
}
