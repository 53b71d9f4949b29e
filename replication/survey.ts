/** What lies at a replica beside replication's own files: what runs took, markers, exports, and what nobody knows. */
import { basename, join } from 'node:path';
import type { SurveyItem } from '../model/survey';
import { readHold } from './hold';
import { exists, namesIn } from './manifests';
import type { ReplicaPlace } from './place';
import { readCommit } from './commit';
import { readRun } from './run-record';
import { exportIds } from './target-graph';
import { targetPid, withTargetServer } from './target-server';

export async function surveyReplica(place: ReplicaPlace): Promise<SurveyItem[]> {
  if (!(await exists(place.folder))) return [];
  const parts = await Promise.all([markers(place), runFolders(place), exportsOf(place), strangers(place)]);
  return parts.flat();
}

async function markers(place: ReplicaPlace): Promise<SurveyItem[]> {
  const [hold, commit] = await Promise.all([readHold(place), readCommit(place)]);
  const marker = (name: string, state: string, runId: string): SurveyItem => ({ kind: 'marker', name, state, runId });
  return [
    ...(hold === undefined ? [] : [marker(place.hold, `${hold.state} since ${hold.at}`, hold.runId)]),
    ...(commit === undefined ? [] : [marker(place.commit, 'given away for good', commit.runId)]),
  ];
}

async function runFolders(place: ReplicaPlace): Promise<SurveyItem[]> {
  const runIds = await namesIn(place.runs);
  return Promise.all(
    runIds.map(async (runId) => {
      const name = join(place.runs, runId);
      const [record, files] = await Promise.all([readRun(place, runId), namesIn(name)]);
      const disks = files.filter((file) => file.endsWith('.qcow2')).length;
      const state = `${disks} ${disks === 1 ? 'disk' : 'disks'}${record === undefined ? '' : `, ${record.option}`}`;
      return { kind: 'disks of a run', name, state, runId };
    }),
  );
}

/** A target server that does not run exports nothing. */
async function exportsOf(place: ReplicaPlace): Promise<SurveyItem[]> {
  if ((await targetPid(place)) === undefined) return [];
  const ids = await withTargetServer(place, exportIds);
  return ids.map((name) => ({ kind: 'export', name, state: 'open', runId: runOfExport(name) }));
}

/** `run-<uuid>-<disk id>`, as open-replica.ts names them. */
const runOfExport = (id: string): string | null =>
  /^run-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-/.exec(id)?.[1] ?? null;

async function strangers(place: ReplicaPlace): Promise<SurveyItem[]> {
  const { server, points, layers, runs, hold, merge, commit, given, prepared, preparing, pidFile } = place;
  const known = [
    server,
    points,
    layers,
    runs,
    hold,
    merge,
    commit,
    given,
    prepared,
    preparing,
    join(pidFile, '..'),
  ].map((path) => basename(path));
  const names = (await namesIn(place.folder)).filter((name) => !known.includes(name) && !isDraft(name));
  return names.map((name) => ({ kind: 'file', name: join(place.folder, name), state: 'there', runId: null }));
}

/** A document that is being written, under the name that it has until it is whole. */
const isDraft = (name: string): boolean => /\.(new|tmp|part)$/.test(name);
