/**
 * Networks that runs made at a simulated site: `networks/<name>.json` each, beside those of the settings. An `uplinks` list
 * in the file is a cable that somebody plugged in by hand.
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError } from '../../model/errors';
import type { SurveyItem } from '../../model/survey';
import type { CallOptions, MadeNetwork, NetworkRef, Owner } from '../contract';
import { withFileLock } from '../file-lock';
import { readJson, writeJson } from '../json-file';
import { logEffects, newEffect } from './effects';
import { readMachines } from './machines';
import { sameOwner } from '../owners';
import { fileNameFor, lockName, reach, readSettings, type Site } from './site';

interface NetworkRecord {
  readonly name: string;
  readonly owner: Owner;
  readonly uplinks: readonly string[];
}

export async function networks(site: Site, options?: CallOptions): Promise<MadeNetwork[]> {
  await reach(site, options);
  const [records, machines] = await Promise.all([readNetworks(site), readMachines(site)]);
  return records.map((record) => ({
    ...record,
    active: true,
    plugged: machines.flatMap(({ name, nics }) =>
      nics.filter(({ network }) => network === record.name).map(({ macAddress }) => ({ machine: name, macAddress })),
    ),
  }));
}

export async function readNetworks(site: Site): Promise<NetworkRecord[]> {
  const names = (await readdir(folderOf(site)).catch(() => [] as string[])).filter((name) => name.endsWith('.json'));
  const found = await Promise.all(names.sort().map((name) => readJson<NetworkRecord>(join(folderOf(site), name))));
  return found.filter((record) => record !== undefined);
}

export async function createNetwork(site: Site, ref: NetworkRef, options: CallOptions = {}): Promise<void> {
  await reach(site, options);
  const { networks: configured } = await readSettings(site);
  await locked(site, ref.name, options, async () => {
    const there = await readJson<NetworkRecord>(fileOf(site, ref.name));
    if (there !== undefined && sameOwner(there.owner, ref.owner)) return;
    if (there !== undefined || configured.some(({ name }) => name === ref.name)) throw taken(ref, there);
    await mkdir(folderOf(site), { recursive: true });
    await writeJson(fileOf(site, ref.name), { name: ref.name, owner: ref.owner, uplinks: [] }, { alone: true });
    await logEffects(site, [newEffect(site, 'platform.create-network', ref.name, { owner: ref.owner })]);
  });
}

export async function removeNetwork(site: Site, ref: NetworkRef, options: CallOptions = {}): Promise<void> {
  await reach(site, options);
  await locked(site, ref.name, options, async () => {
    const there = await readJson<NetworkRecord>(fileOf(site, ref.name));
    if (there === undefined) return;
    if (!sameOwner(there.owner, ref.owner)) throw taken(ref, there);
    const plugged = (await readMachines(site)).filter(({ nics }) => nics.some(({ network }) => network === ref.name));
    if (plugged.length > 0)
      throw stillPlugged(
        ref,
        plugged.map(({ name }) => name),
      );
    await rm(fileOf(site, ref.name), { force: true });
    await logEffects(site, [newEffect(site, 'platform.remove-network', ref.name, { owner: ref.owner })]);
  });
}

/** All that a run could leave at the platform. */
export async function inventory(site: Site, options?: CallOptions): Promise<SurveyItem[]> {
  await reach(site, options);
  const [machines, records] = await Promise.all([readMachines(site), readNetworks(site)]);
  return [
    ...machines.map(({ name, power, owner, nics }) => ({
      ...{ kind: 'machine' as const, name, runId: owner?.runId ?? null },
      state: [power, ...nics.map(({ network }) => `on ${network}`)].join(', '),
    })),
    ...records.map(({ name, owner }) => ({
      ...{ kind: 'network' as const, name, state: 'active', runId: owner.runId },
    })),
  ];
}

const folderOf = (site: Site): string => join(site.folder, 'networks');
const fileOf = (site: Site, name: string): string => join(folderOf(site), `${fileNameFor(name)}.json`);
const locked = (site: Site, name: string, { signal }: CallOptions, work: () => Promise<void>): Promise<void> =>
  withFileLock(lockName(site, `network ${name}`), work, signal);

function taken({ name }: NetworkRef, there: NetworkRecord | undefined): OperatorError {
  return new OperatorError({
    what: `the network name ${name} is taken`,
    found: there ? `a network of run ${there.owner.runId}` : 'a network of this site’s configuration',
    needed: 'a free name, or the network of this run',
    remedy: 'Look whose it is; rename or remove it, then retry.',
  });
}

function stillPlugged({ name }: NetworkRef, machines: readonly string[]): OperatorError {
  return new OperatorError({
    what: `network ${name} cannot be removed`,
    found: `${machines.join(', ')} plugged into it`,
    needed: 'a network that no machine uses',
    remedy: 'Remove those machines, or unplug them; then retry.',
  });
}
