/** All that a run could leave on a libvirt host, whosever it is: machines, networks, storage pools, console logs. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fewAtOnce } from '../../model/few-at-once';
import type { SurveyItem } from '../../model/survey';
import type { CallOptions } from '../contract';
import { askedAtOnce, type Host } from './host';
import { list } from './machines';
import { allNetworks } from './networks';

export async function inventory(host: Host, options: CallOptions = {}): Promise<SurveyItem[]> {
  const [machines, networks, pools, logs] = await Promise.all([
    list(host, options),
    allNetworks(host, options),
    storagePools(host, options),
    readdir(host.consoleFolder).catch(() => [] as string[]),
  ]);
  return [
    ...machines.map(({ name, power, owner, nics }) => ({
      ...{ kind: 'machine' as const, name, runId: owner?.runId ?? null },
      state: [power, ...nics.map(({ network }) => `on ${network}`)].join(', '),
    })),
    ...networks.map(({ name, owner, active }) => ({
      ...{ kind: 'network' as const, name, runId: owner?.runId ?? null },
      state: active ? 'active' : 'inactive',
    })),
    ...pools,
    ...logs
      .filter((name) => name.endsWith('.console.log'))
      .map((name) => ({
        ...{ kind: 'console log' as const, name: join(host.consoleFolder, name), runId: null },
        state: 'there',
      })),
  ];
}

/** Each with the folder that it is over: a run's folder has the run's id in its path. */
async function storagePools(host: Host, options: CallOptions): Promise<SurveyItem[]> {
  const text = await host.virsh.run('storage pools cannot be listed', ['pool-list', '--all', '--name'], options);
  const names = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const folders = await fewAtOnce(names, askedAtOnce, (name) => folderOf(host, name, options));
  return names.map((name, at) => {
    const where = folders[at] === undefined ? name : `${name} over ${folders[at]}`;
    return { kind: 'storage pool', name: where, state: 'defined', runId: null };
  });
}

async function folderOf(host: Host, pool: string, options: CallOptions): Promise<string | undefined> {
  const xml = await host.virsh
    .run(`pool ${pool} cannot be read`, ['pool-dumpxml', pool], options)
    .catch((error: unknown) => {
      options.signal?.throwIfAborted();
      // It ended meanwhile: others' runs come and go.
      if ((error as { facts?: { detail?: string } }).facts?.detail?.includes('pool not found')) return '';
      throw error;
    });
  return /<path>([^<]+)<\/path>/.exec(xml)?.[1];
}
