/** The end of a destructive recovery at a simulated site: the base belongs to the machine, and the replica is gone. */
import { copyFile, mkdir, readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OperatorError } from '../../model/errors';
import type { DiskId, ServerId } from '../../model/server';
import type { CallOptions } from '../contract';
import { holderOf, inUse } from './holds';
import { changeReplica, completePoints, readReplica, recoveredFile, replicaFolder, runFolder } from './replica-files';
import { nothingTaken, targetServer } from './replica-runs';
import { exists, reach, type Site } from './site';

export async function beginCommit(site: Site, serverId: ServerId, runId: string, options: CallOptions = {}) {
  await reach(site, options);
  const record = await readReplica(site, serverId);
  const run = record?.runs[runId];
  if (!record || !run) {
    // The answer to a commit that was finished may have been lost with its worker.
    const finished = await finishedBases(site, serverId, runId);
    if (finished.length > 0) return finished;
    throw nothingTaken(site, serverId, runId);
  }
  if (run.option !== 'destructive') {
    throw new OperatorError({
      what: `run ${runId} cannot be committed`,
      found: `option ${run.option}`,
      needed: 'option destructive',
      remedy: 'The replica of another option stays as it is; nothing has to be committed.',
    });
  }
  const manifest = (await completePoints(site, serverId)).find((point) => point.pointId === run.pointId);
  const bases: { diskId: DiskId; overlayPath: string; basePath: string }[] = [];
  for (const disk of run.disks) {
    const holder = await holderOf(disk.path);
    if (holder === targetServer(serverId)) throw inUse(disk.path, holder);
    const basePath = recoveredFile(site, serverId, runId, disk.diskId);
    const point = manifest?.disks.find((other) => other.diskId === disk.diskId);
    if (point && !(await exists(basePath))) {
      await mkdir(dirname(basePath), { recursive: true });
      await copyFile(join(replicaFolder(site, serverId), point.file), `${basePath}.new`);
      await rename(`${basePath}.new`, basePath);
    }
    bases.push({ diskId: disk.diskId, overlayPath: disk.path, basePath });
  }
  return bases;
}

async function finishedBases(site: Site, serverId: ServerId, runId: string) {
  const folder = dirname(recoveredFile(site, serverId, runId, 'any'));
  const names = (await readdir(folder).catch(() => [] as string[])).filter((name) => name.endsWith('.raw')).sort();
  return names.map((name) => ({
    diskId: decodeURIComponent(name.slice(0, -'.raw'.length)),
    overlayPath: join(runFolder(site, serverId, runId), name),
    basePath: join(folder, name),
  }));
}

export async function finishCommit(site: Site, serverId: ServerId, runId: string, options: CallOptions = {}) {
  await reach(site, options);
  await changeReplica(
    site,
    serverId,
    async (record) => {
      const run = record?.runs[runId];
      if (!record || !run) return null;
      for (const disk of run.disks) {
        const holder = await holderOf(disk.path);
        if (holder) throw inUse(disk.path, `${holder}, which was to be merged into its base first`);
      }
      return { what: 'finish-commit', runId, next: { ...record, removed: true } };
    },
    options.signal,
  );
}
