/** What lies at a simulated replica beside replication's own: the counterpart of replication/survey.ts. */
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { SurveyItem } from '../../model/survey';
import type { ServerId } from '../../model/server';
import { holderOf } from './holds';
import { readReplica, recoveredFile, replicaFolder } from './replica-files';
import { reach, type Site } from './site';

export async function surveyReplica(site: Site, serverId: ServerId): Promise<SurveyItem[]> {
  await reach(site);
  const record = await readReplica(site, serverId);
  if (record === undefined) return [];
  const runs = join(replicaFolder(site, serverId), 'runs');
  const copies = dirname(dirname(recoveredFile(site, serverId, 'run', 'disk')));
  const folders = [...(await foldersIn(runs)), ...(await foldersIn(copies))];
  const exported = await Promise.all(
    Object.entries(record.runs).flatMap(([runId, { disks }]) =>
      disks.map(async ({ diskId, path }): Promise<SurveyItem[]> => {
        const isOpen = (await holderOf(path))?.startsWith('target-server:') === true;
        return isOpen ? [{ kind: 'export', name: `run-${runId}-${diskId}`, state: 'open', runId }] : [];
      }),
    ),
  );
  const hold = join(replicaFolder(site, serverId), 'hold');
  return [
    ...(record.heldBy === null
      ? []
      : [{ kind: 'marker' as const, name: hold, state: record.holdState ?? 'held', runId: record.heldBy }]),
    ...folders.map(({ name, runId }) => ({ kind: 'disks of a run' as const, name, state: 'there', runId })),
    ...exported.flat(),
  ];
}

/** The folders of runs, whose names are the runs' ids. */
async function foldersIn(folder: string): Promise<{ name: string; runId: string }[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => ({ name: join(folder, name), runId: name }));
}
