/** What really changed at a simulated site: one line for each effect, however often it was asked for. */
import { randomUUID } from 'node:crypto';
import { appendFile, mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Owner } from '../contract';
import type { Site } from './site';

export interface SiteEffect {
  readonly id: string;
  /** UTC with milliseconds. */
  readonly at: string;
  /** `platform.create`, `replicas.take`, `disks.inoculate`, … */
  readonly what: string;
  /** Machine name or server id. */
  readonly target: string;
  /** Disk id or path, where the effect has one. */
  readonly disk: string | null;
  readonly runId: string | null;
  readonly tenantId: string | null;
}

export function newEffect(
  site: Site,
  what: string,
  target: string,
  more: { disk?: string; owner?: Owner | null; runId?: string } = {},
): SiteEffect {
  return {
    id: randomUUID(),
    at: new Date(site.now()).toISOString(),
    what,
    target,
    disk: more.disk ?? null,
    runId: more.owner?.runId ?? more.runId ?? null,
    tenantId: more.owner?.tenantId ?? null,
  };
}

/** Appends in one write, which the kernel keeps whole among several processes (O_APPEND). */
export async function logEffects(site: Site, effects: readonly SiteEffect[]): Promise<void> {
  if (effects.length === 0) return;
  const lines = effects.map((effect) => `${JSON.stringify(effect)}\n`).join('');
  await mkdir(site.folder, { recursive: true });
  await appendFile(effectsFile(site.folder), lines);
}

/** All effects so far, oldest first. */
export async function readEffects(folder: string): Promise<SiteEffect[]> {
  const text = await readFile(effectsFile(folder), 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as SiteEffect);
}

/** Grows with every effect: whoever looks often reads the log only when there is more of it. */
export async function effectsSizeBytes(folder: string): Promise<number> {
  return stat(effectsFile(folder)).then(
    ({ size }) => size,
    () => 0,
  );
}

/** Those that are not in the log yet: a process died between its change and its line. */
export async function missingEffects(site: Site, effects: readonly SiteEffect[]): Promise<SiteEffect[]> {
  const logged = new Set((await readEffects(site.folder)).map((effect) => effect.id));
  return effects.filter((effect) => !logged.has(effect.id));
}

function effectsFile(folder: string): string {
  return join(folder, 'effects.log');
}
