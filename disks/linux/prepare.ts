/**
 * An inoculation worked out ahead, in one appliance, mounted for reading only:
 *
 *   look ──> build the second archives ──> look at the files as they will be: nothing may lack ──> record and files
 *
 * Nothing is written to the disks. The record also holds what was read on the way, so that the use (use-prepared.ts) can
 * see that the disks still hold exactly that.
 */
import { appendFile, copyFile, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isMusterError, OperatorError } from '../../model/errors';
import type { HardwareProfile } from '../../model/server';
import type { Preparation, PrepareOptions, PrepareResult, WatchedPath } from '../contract';
import { guestFiles, type GuestFiles } from '../guest-files';
import type { Guestfish } from '../guestfish';
import type { Addition } from './append';
import { resolverFor, type Resolve } from './device-names';
import { findLinux, listVolumes, type LinuxSystem } from './find-system';
import { compare, mountAll, refuseLacking, refuseUnfit, type Findings } from './findings';
import { buildAdditions } from './inoculate';
import { basisOf, packSystem, readRecord, volumesDigest, type PreparedRecord } from './prepared-record';
import { report } from './report';
import { fileSha256, firstChange, lookAtPath, plannedFiles, seenFiles, type FileCache, type Seen } from './seen-files';

export interface PrepareRequest {
  /** Started, with the server's disks added in order. */
  readonly guest: Guestfish;
  readonly diskCount: number;
  readonly hardware: readonly HardwareProfile[];
  /** An empty folder. */
  readonly scratch: string;
  readonly options: PrepareOptions;
}

interface Work extends PrepareRequest {
  readonly files: GuestFiles;
  readonly system: LinuxSystem;
  readonly resolve: Resolve;
  readonly volumes: string;
  readonly cache: FileCache;
}

/** @throws OperatorError as inoculateLinux does; what concerns one profile only is that profile's result. */
export async function prepareLinux(request: PrepareRequest): Promise<PrepareResult[]> {
  const { guest, scratch, diskCount } = request;
  const files = guestFiles(guest, scratch);
  const volumes = await listVolumes(guest, request.options.unlockKeys);
  const system = await findLinux(guest, files, volumes);
  await mountAll(guest, system, 'mount-ro');
  const work: Work = {
    ...{ ...request, files, system, resolve: resolverFor(volumes, diskCount) },
    ...{ volumes: volumesDigest(volumes), cache: new Map() },
  };
  const results: PrepareResult[] = [];
  for (const hardware of request.hardware) results.push(await prepareOne(work, hardware));
  return results;
}

async function prepareOne(work: Work, hardware: HardwareProfile): Promise<PrepareResult> {
  const hardwareId = hardware.id;
  const seen = await keptFits(work, hardware);
  if (seen !== null) return { hardwareId, stillFits: true, watch: seen.map(watched) };
  try {
    return { hardwareId, prepared: await build(work, hardware) };
  } catch (error) {
    // A dead appliance is nobody's property of the hardware.
    if (!isMusterError(error) || error.family === 'TransientError') throw error;
    return { hardwareId, because: error.facts.found ?? error.message };
  }
}

/** What it depends on, as it is now; null where it does not fit any more. */
async function keptFits(
  { guest, files, volumes, options, diskCount }: Work,
  hardware: HardwareProfile,
): Promise<Omit<Seen, 'content'>[] | null> {
  const kept = options.kept?.find(({ hardwareId }) => hardwareId === hardware.id);
  const record = kept === undefined ? null : readRecord(kept.record);
  if (record === null || record.basis !== basisOf(hardware, options.nics, diskCount)) return null;
  if (record.volumes !== volumes || (await firstChange(guest, files, record.seen)) !== null) return null;
  const now: Omit<Seen, 'content'>[] = [];
  for (const { path } of record.seen) now.push(await lookAtPath(guest, path));
  return now;
}

async function build(work: Work, hardware: HardwareProfile): Promise<Preparation> {
  const { guest, system, resolve, options } = work;
  const seen = seenFiles(guest, work.files, work.cache);
  const before = await compare(seen, system, resolve, hardware, options);
  refuseUnfit(before.kernels);
  const additions = await buildAdditions(seen, before.kernels, options.signal);
  const later = plannedFiles(seen, plannedTexts(before), await wholes(additions));
  const after = await compare(later, system, resolve, hardware, options);
  refuseUnprepared(before, additions);
  refuseLacking(after);
  const archives = await keepFiles(additions, hardware, options.folder);
  const looked = await seen.seen();
  const record: PreparedRecord = {
    format: 1,
    basis: basisOf(hardware, options.nics, work.diskCount),
    volumes: work.volumes,
    system: packSystem(system),
    seen: looked,
    texts: [...textsOf(before)].map(([path, text]) => ({ path, text })),
    copies: [...before.config.copies],
    archives,
    report: report(system, before, after, additions),
  };
  const files = archives.map(({ file, sizeBytes }) => ({ name: file, sizeBytes }));
  return {
    ...{ hardwareId: hardware.id, record, folder: options.folder, watch: looked.map(watched) },
    files: await Promise.all(
      files.map(async (file) => ({ ...file, sha256: await fileSha256(join(options.folder, file.name)) })),
    ),
  };
}

/** path -> text that is to be written. */
function textsOf({ config, modules }: Findings): Map<string, string> {
  return new Map([...config.files, ...(modules.text === null ? [] : [[modules.path, modules.text] as const])]);
}

/** The same with what will be copied within the guest; its content is not looked at. */
function plannedTexts(findings: Findings): Map<string, string> {
  return new Map([...textsOf(findings), ...findings.config.copies.map(({ to }) => [to, ''] as const)]);
}

/** Each initramfs as it will be: path in the guest -> local copy with the archive behind it. */
async function wholes(additions: ReadonlyMap<string, Addition>): Promise<Map<string, string>> {
  const whole = new Map<string, string>();
  for (const addition of additions.values()) {
    const local = `${addition.plan.initramfs!.localPath}.whole`;
    await copyFile(addition.plan.initramfs!.localPath, local);
    await appendFile(local, await readFile(addition.path));
    whole.set(addition.initramfsPath, local);
  }
  return whole;
}

/** What update-initramfs or dracut has to build they build in the disaster, too: they work on the system as it then is. */
function refuseUnprepared(before: Findings, additions: ReadonlyMap<string, Addition>): void {
  const regenerated = before.kernels.find(
    ({ action, release }) => (action === 'append' || action === 'regenerate') && !additions.has(release),
  );
  if (regenerated === undefined) return;
  throw new OperatorError({
    what: `the initramfs of kernel ${regenerated.release} cannot be prepared`,
    found: `its initramfs must be rebuilt (kernel ${regenerated.release}: ${regenerated.because})`,
    needed: 'an initramfs that an archive can be appended to',
    remedy:
      'A run rebuilds it by itself, which takes minutes. To have it prepared, build it at the source compressed with zstd, gzip, xz or lz4 (initramfs-tools: COMPRESS; dracut: compress).',
  });
}

async function keepFiles(
  additions: ReadonlyMap<string, Addition>,
  hardware: HardwareProfile,
  folder: string,
): Promise<PreparedRecord['archives']> {
  const kept: PreparedRecord['archives'] = [];
  for (const { release, initramfsPath, beforeBytes, path, sha256 } of additions.values()) {
    const file = `${hardware.id}-${release}.archive`;
    await copyFile(path, join(folder, file));
    const { size } = await stat(join(folder, file));
    kept.push({ release, initramfsPath, beforeBytes, file, sizeBytes: size, sha256 });
  }
  return kept;
}

const watched = ({ path, is, sizeBytes, modified }: Omit<Seen, 'content'>): WatchedPath => ({
  ...{ path, is, sizeBytes: is === 'file' ? sizeBytes : 0 },
  modifiedSeconds: is === 'absent' ? 0 : Math.trunc(Number(modified)),
});
