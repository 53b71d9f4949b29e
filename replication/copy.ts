/**
 * A disk of a point as a copy that stands by itself:
 *
 *   chain, read-only  ──blockdev-backup──>  <disk>.qcow2.new  ──whole, closed, fsynced──>  <disk>.qcow2
 *
 * The job runs in a target server, so it goes on when the worker dies, and the next attempt finds and watches it. When
 * the target server dies, the next attempt copies what is missing (missing.ts). The name says whether the copy is whole.
 *
 * Chosen by measurement (QEMU 7.2, 1.2 GB on a chain of 11 layers, two busy cores, against `qemu-img convert` with its
 * fsync): block-stream took 2 to 4 times as long, one request at a time; blockdev-backup as it is about as long or a little
 * longer; with copy_file_range and 8 workers 0.76 times, medians of six, at the same processor time. The whole step, this
 * file's checks included, is measured by bench/copy.ts.
 */
import { rename, rm, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CallOptions } from '../platforms/contract';
import { formatSize } from '../model/durations';
import { OperatorError, TransientError } from '../model/errors';
import { limitsFor } from '../programs/limits';
import { runProgram } from '../programs/run';
import { syncPath, temporarySuffix } from './durable';
import { exists } from './manifests';
import { forgetMarks, markMissing, marksFile, missingBytes, type CopyPair } from './missing';
import type { ReplicaPlace } from './place';
import { bytesDone } from './progress';
import type { Qmp } from './qmp';
import { addNode, closeNodes, jobs, nodeName, openChain } from './target-graph';
import { withTargetServer } from './target-server';

export interface DiskToCopy {
  readonly diskId: string;
  /** Files of the chain, base first. */
  readonly chain: readonly string[];
  readonly virtualSizeBytes: number;
  /** Where the copy is to be. */
  readonly path: string;
}

const pollMs = 50;
const checkTimeoutMs = 6 * 3600_000;
const bitmap = 'missing';
/**
 * What a killed target server has only in memory is copied again. A slice of 4 KiB maps 32 MiB, so that four lose 128 MiB
 * and what is under way. QEMU's own choice lost 384 of 384 MiB and 512 of 2466 MiB, and was 5 % quicker (1.2 GB, measured).
 *
 * Each slice that leaves the cache would wait for an fdatasync of the whole file, a hundred times in 4 GiB; so the copy is
 * opened without flushes and synced once, before it gets its name. A crash of the host before that: copies.ts begins anew.
 */
const smallCache = { 'l2-cache-entry-size': 4096, 'l2-cache-size': 4 * 4096 };
/** Both are x-perf, which QEMU may change; without them the copy is right, and slower. */
const performance = { 'use-copy-range': true, 'max-workers': 8 };

/**
 * Copies in the target server of `place`, or goes on with the copy that is there. There and whole: already so. An abort
 * ends the wait, not the copying.
 *
 * @throws OperatorError when the storage is too small, TransientError when the target server or the storage fails; the
 * next call goes on where this one ended.
 */
export async function copyDisk(place: ReplicaPlace, disk: DiskToCopy, options: CallOptions = {}): Promise<void> {
  if (await exists(disk.path)) return;
  const partial = disk.path + temporarySuffix;
  const pair = { copy: partial, top: disk.chain.at(-1)!, virtualSizeBytes: disk.virtualSizeBytes };
  await withTargetServer(place, async (qmp) => {
    const id = `copy-${disk.diskId}`;
    const isThere = (await jobs(qmp)).some((job) => job.id === id);
    if (isThere || (await begin({ qmp, place, id }, disk, pair, options))) {
      await watch(qmp, id, disk, options);
    }
    await close(qmp, disk, partial);
  });
  await assertWhole(disk, pair, options);
  await syncOrForget(partial);
  await rename(partial, disk.path);
  await syncPath(dirname(disk.path));
}

/** False: nothing is missing. */
async function begin(
  { qmp, place, id }: { qmp: Qmp; place: ReplicaPlace; id: string },
  disk: DiskToCopy,
  pair: CopyPair,
  options: CallOptions,
): Promise<boolean> {
  await close(qmp, disk, pair.copy);
  const begun = await exists(pair.copy);
  await makeUsable(pair, options);
  const source = await openChain(qmp, disk.chain);
  const missing = await markMissing({ qmp, place }, { source, name: bitmap, pair }, options);
  if (missing === 0) return false;
  try {
    await assertSpace(disk, missing);
  } catch (error) {
    await close(qmp, disk, pair.copy);
    if (!begun) await rm(pair.copy, { force: true });
    throw error;
  }
  const target = await nodeName(pair.copy);
  const file = { node: target, file: pair.copy, backing: null, readOnly: false };
  await addNode(qmp, { ...file, tables: smallCache, flush: false });
  await qmp.execute('blockdev-backup', {
    'job-id': id,
    device: source,
    target,
    sync: 'bitmap',
    bitmap,
    'bitmap-mode': 'never',
    'auto-dismiss': false,
    'x-perf': performance,
  });
  return true;
}

/** A new image, or the one that was begun, without the clusters that its end left unused; a damaged one is begun anew. */
async function makeUsable({ copy, virtualSizeBytes }: CopyPair, options: CallOptions): Promise<void> {
  if (await exists(copy)) {
    if (await isSound(copy, options)) return;
    await rm(copy, { force: true });
  }
  const how = { timeoutMs: checkTimeoutMs, signal: options.signal, limits: limitsFor.image };
  await runProgram('qemu-img', ['create', '-q', '-f', 'qcow2', copy, String(virtualSizeBytes)], how);
}

/** Whether the metadata of an image that nobody has open is in order; clusters that belong to nothing are given back. */
async function isSound(image: string, options: CallOptions): Promise<boolean> {
  const check = ['check', '-q', '-f', 'qcow2', '-r', 'leaks', image];
  const how = { timeoutMs: checkTimeoutMs, signal: options.signal, okExitCodes: [0, 1, 2, 3] };
  return (await runProgram('qemu-img', check, { ...how, limits: limitsFor.chain })).exitCode === 0;
}

async function watch(qmp: Qmp, id: string, disk: DiskToCopy, options: CallOptions): Promise<void> {
  for (;;) {
    options.signal?.throwIfAborted();
    const job = (await jobs(qmp)).find((entry) => entry.id === id);
    if (job === undefined) return;
    const [done, total] = [job['current-progress'], job['total-progress']];
    options.onProgress?.(bytesDone(`copying ${disk.diskId}`, done, total));
    if (job.status === 'concluded') {
      await qmp.execute('job-dismiss', { id });
      if (job.error === undefined) return;
      await close(qmp, disk, disk.path + temporarySuffix);
      throw await copyFailed(disk, job.error, total - done);
    }
    await sleep(pollMs);
  }
}

/** Closes the copy, with which its last metadata is written, and takes the marks off the source. Not open: already so. */
async function close(qmp: Qmp, disk: DiskToCopy, partial: string): Promise<void> {
  await forgetMarks(qmp, await nodeName(disk.chain.at(-1)!), bitmap);
  await rm(marksFile(partial), { force: true });
  if (await exists(partial)) await closeNodes(qmp, [await nodeName(partial)]);
}

/** Closing an image reports no failure, so its map is read once more: what could not be written is missing there. */
async function assertWhole(disk: DiskToCopy, pair: CopyPair, options: CallOptions): Promise<void> {
  const missing = await missingBytes(pair, options);
  if (missing === 0 && (await isSound(pair.copy, options))) return;
  await assertSpace(disk, missing);
  throw new TransientError({
    what: `the copy of ${disk.diskId} is not whole`,
    found: `${formatSize(missing)} of it missing`,
    needed: 'all that the point holds',
    remedy: 'It is tried again and copies only what is missing.',
  });
}

/** What the storage could not keep, the map does not show: then nothing of the copy can be trusted. */
async function syncOrForget(partial: string): Promise<void> {
  try {
    await syncPath(partial);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

async function assertSpace(disk: DiskToCopy, missing: number): Promise<void> {
  const free = await freeBytesAt(disk.path);
  if (free < missing) throw tooSmall(disk, free, missing);
}

const storageFull = /No space left on device|Disk quota exceeded|File too large/;

async function copyFailed(disk: DiskToCopy, error: string, left: number): Promise<Error> {
  if (storageFull.test(error)) return tooSmall(disk, await freeBytesAt(disk.path), left, error);
  return new TransientError({
    what: `${disk.diskId} could not be copied`,
    found: error,
    needed: 'storage that can be read and written',
    remedy: 'It is tried again and copies only what is missing.',
  });
}

function tooSmall(disk: DiskToCopy, free: number, needed: number, detail?: string): OperatorError {
  return new OperatorError({
    what: `there is no room for the copy of ${disk.diskId} in ${dirname(disk.path)}`,
    found: `${formatSize(free)} free${detail === undefined ? '' : ` (${detail})`}`,
    needed: `${formatSize(needed)} more for what is not copied yet`,
    remedy: 'Free or add storage, then retry: what is copied already is kept. Or abort and choose backup-and-recover.',
    ...(detail === undefined ? {} : { detail }),
  });
}

async function freeBytesAt(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(dirname(path));
  return bavail * bsize;
}
