/** What a run left in the world and in the record, in words that do not depend on names, ids and times. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PointManifest } from '../../model/replica';
import type { RunView } from '../../model/run-view';
import { readEffects, type SiteEffect } from '../../platforms/simulated/effects';
import { readOs, readPartitions } from '../../platforms/simulated/disk-bytes';
import { holderOf } from '../../platforms/simulated/holds';
import { replicaFolder } from '../../platforms/simulated/replica-files';
import type { PersonsRun } from './person';
import type { Plan } from './plan';
import type { ProtectedServer } from './server';
import type { SitePair } from './sites';

export interface EndState {
  readonly run: string;
  /** Step -> state, and its items' states where it has items. */
  readonly steps: Readonly<Record<string, string>>;
  readonly machines: readonly unknown[];
  readonly disks: readonly unknown[];
  readonly replica: unknown;
  /** The source's power, and how often it was switched by the run. */
  readonly source: unknown;
  /** Effect -> how often; only of this run, at the recovery site. */
  readonly effects: Readonly<Record<string, number>>;
  /** In the order of the log. */
  readonly holds: readonly string[];
}

export async function endStateOf(
  pair: SitePair,
  plan: Pick<Plan, 'source'>,
  server: ProtectedServer,
  run: Pick<PersonsRun, 'runId' | 'view'>,
  pointsBefore: readonly PointManifest[],
): Promise<EndState> {
  const plain = plainWords(server, run.runId);
  const effects = (await readEffects(pair.recovery.site.folder)).filter((effect) => effect.runId === run.runId);
  const machines = (await pair.recovery.platform.list()).filter((one) => one.owner?.runId === run.runId);
  return plain({
    run: run.view.state,
    steps: stepsOf(run.view),
    machines: machines.map(({ uuid, owner, bootId, ...machine }) => ({
      ...machine,
      ours: owner !== null,
      boots: bootId?.replace(uuid, 'UUID') ?? null,
    })),
    disks: await Promise.all(
      machines.flatMap((machine) =>
        machine.disks.map(async ({ path }) => ({
          path,
          heldBy: (await holderOf(path)) ?? null,
          partitions: await readPartitions(path),
          drivers: (await readOs(path))?.drivers ?? null,
        })),
      ),
    ),
    replica: await replicaOf(pair, server, plan.source === 'lost' ? pointsBefore : null),
    source: await sourceOf(pair, server),
    effects: countEffects(effects.filter(({ what }) => !isHold(what))),
    holds: effects.filter(({ what }) => isHold(what)).map(({ what }) => what),
  });
}

const isHold = (what: string): boolean => what.startsWith('replicas.hold-') || what === 'replicas.let-go';

function stepsOf(view: RunView): Record<string, string> {
  return Object.fromEntries(
    view.steps.flatMap((step) => [
      [step.id, step.state],
      ...step.items.map((item) => [`${step.id}/${item.item}`, item.state]),
    ]),
  ) as Record<string, string>;
}

async function replicaOf(
  pair: SitePair,
  { spec }: ProtectedServer,
  before: readonly PointManifest[] | null,
): Promise<unknown> {
  const view = await pair.recovery.replicas.view(spec.id);
  const points = await pair.recovery.replicas.points(spec.id);
  const folder = replicaFolder(pair.recovery.site, spec.id);
  const damaged: string[] = [];
  for (const disk of points.flatMap((point) => point.disks)) {
    const bytes = await readFile(join(folder, disk.file)).catch(() => Buffer.alloc(0));
    if (createHash('sha256').update(bytes).digest('hex') !== disk.sha256) damaged.push(disk.file);
  }
  return {
    state: view?.state ?? 'none',
    heldBy: view?.heldBy ?? null,
    taken: await pair.recovery.replicas.runs(spec.id),
    damaged,
    // A source that runs may have given another point meanwhile.
    pointsBeforeTheRun:
      before === null ? 'not fixed' : JSON.stringify(points) === JSON.stringify(before) ? 'untouched' : 'others',
  };
}

async function sourceOf({ source }: SitePair, { spec }: ProtectedServer): Promise<unknown> {
  const mine = (await readEffects(source.site.folder)).filter((effect) => effect.target === spec.name);
  return {
    power: (await source.platform.find(spec.name))?.power ?? 'gone',
    switched: mine.filter(({ what }) => what.startsWith('platform.power')).map(({ what }) => what),
  };
}

/** Effect, with its disk where it has one -> how often. */
export function countEffects(effects: readonly SiteEffect[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { what, disk } of effects) {
    const key = disk === null ? what : `${what} ${disk}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => a.localeCompare(b)));
}

/** The same value with the names and ids of this server and this run replaced by what they stand for. */
export function plainWords(server: ProtectedServer, runId: string): <T>(value: T) => T {
  const words: [string, string][] = [
    [runId, 'RUN'],
    [server.spec.id, 'SERVER'],
    [server.machineName, 'MACHINE'],
    [server.spec.name, 'NAME'],
    [`/${server.site}-recovery/`, '/SITE/'],
    ...server.spec.nics.map((nic): [string, string] => [nic.macAddress, 'MAC']),
  ];
  return <T>(value: T): T =>
    JSON.parse(words.reduce((text, [found, word]) => text.replaceAll(found, word), JSON.stringify(value))) as T;
}
