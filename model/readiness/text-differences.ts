/** Which keys of a runbook say something else than they did, as paths; none: the same plan, whatever its comments and layout. */

const most = 20;

/** Lists whose members have names are compared by name, so that a server that is put before another changes nothing else. */
export function textDifferences(was: unknown, is: unknown): string[] {
  const all = differences(was, is, '');
  return all.length <= most ? all : [...all.slice(0, most), `and ${all.length - most} more`];
}

function differences(was: unknown, is: unknown, at: string): string[] {
  if (Object.is(was, is)) return [];
  const [before, now] = [entriesOf(was), entriesOf(is)];
  if (before === undefined || now === undefined) return [at];
  const keys = [...new Set([...before.keys(), ...now.keys()])];
  return keys.flatMap((key) => {
    const place = at === '' ? key : `${at}.${key}`;
    if (!before.has(key)) return [`${place} (new)`];
    if (!now.has(key)) return [`${place} (gone)`];
    return differences(before.get(key), now.get(key), place);
  });
}

function entriesOf(value: unknown): Map<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (!Array.isArray(value)) return new Map(Object.entries(value));
  const names = value.map(nameOf);
  const named = names.every((name) => name !== undefined) && new Set(names).size === names.length;
  return new Map(value.map((one, index) => [named ? names[index]! : String(index), one as unknown]));
}

const nameOf = (value: unknown): string | undefined =>
  typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string'
    ? value.name
    : undefined;
