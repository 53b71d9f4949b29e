/**
 * The quick way of an inoculation: what was prepared ahead is written when the disks still hold exactly what it was made
 * from, and read back. In every other case the ordinary way follows, with a sentence that says why.
 *
 *   fits?  same Muster, hardware, cards, volumes ──> mounted for reading: every path that was read is the same
 *   write  remounted for writing: texts, archives ──> remounted for reading, caches dropped ──> read back
 */
import { join } from 'node:path';
import { isMusterError } from '../../model/errors';
import type { InoculationReport, KeptPreparation } from '../contract';
import type { GuestFiles } from '../guest-files';
import { appendToGuest, verifyAppended, type Appendix } from './append';
import { refuseErrors, type LinuxSystem } from './find-system';
import type { InoculationRequest } from './inoculate';
import { deviceOf } from './mounts';
import { basisOf, readRecord, unpackSystem, volumesDigest, type PreparedRecord } from './prepared-record';
import { fileSha256, firstChange } from './seen-files';
import { copyInGuest, verifyCopies } from './uefi';

export type UseOfPrepared = { readonly report: InoculationReport } | { readonly because: string };

/** Nothing is mounted when it was not used. @throws TransientError when the appliance fails. */
export async function usePrepared(
  request: InoculationRequest,
  files: GuestFiles,
  prepared: KeptPreparation,
): Promise<UseOfPrepared> {
  const record = readRecord(prepared.record);
  const misfit = await misfitOf(request, prepared, record);
  if (record === null || misfit !== null) return { because: misfit ?? 'it was kept in another form' };
  const system = unpackSystem(record.system);
  request.stage('looking whether what was prepared still fits', 60);
  const changed = await mountUnchanged(request, files, system, record);
  const because = changed ?? (await writeAndReadBack(request, files, system, record, prepared));
  if (because === null) return { report: record.report };
  await request.guest.ask('umount-all');
  return { because };
}

/** What can be said without the guest's filesystems. */
async function misfitOf(
  { hardware, options, diskCount, volumes }: InoculationRequest,
  { files, folder, hardwareId }: KeptPreparation,
  record: PreparedRecord | null,
): Promise<string | null> {
  if (hardwareId !== hardware.id) return `it was prepared for ${hardwareId}`;
  if (record === null) return 'it was kept by another version of Muster, or is damaged';
  if (record.basis !== basisOf(hardware, options.nics, diskCount)) {
    return 'Muster, the hardware profile or the network cards have changed since';
  }
  if (record.volumes !== volumesDigest(volumes)) return 'the volumes on the disks have changed since';
  for (const { name, sha256 } of files) {
    const found = await fileSha256(join(folder, name)).catch(() => 'unreadable');
    if (found !== sha256) return `its file ${name} is damaged`;
  }
  return null;
}

async function mountUnchanged(
  { guest, volumes }: InoculationRequest,
  files: GuestFiles,
  system: LinuxSystem,
  record: PreparedRecord,
): Promise<string | null> {
  for (const [point, device] of system.mounts) {
    // What is wrong with the filesystem is for the ordinary way to say.
    const { error } = await guest.attempt('mount-ro', [device, point]);
    const volume = deviceOf(device, volumes);
    if (error !== null || volume === undefined) return `${point} cannot be mounted`;
    await refuseErrors(guest, volume);
  }
  const path = await firstChange(guest, files, record.seen);
  return path === null ? null : `${path} has changed since`;
}

/** Null: everything is on the disks as it was meant. */
async function writeAndReadBack(
  { guest, stage }: InoculationRequest,
  files: GuestFiles,
  system: LinuxSystem,
  record: PreparedRecord,
  { folder }: KeptPreparation,
): Promise<string | null> {
  const archives = record.archives.map(({ file, ...archive }): Appendix => ({ ...archive, path: join(folder, file) }));
  if (archives.length === 0 && record.texts.length === 0 && record.copies.length === 0) return null;
  stage('writing what was prepared', 75);
  for (const point of system.mounts.keys()) await guest.ask('remount', [point, 'rw:true']);
  for (const { path, text } of record.texts) await files.write(path, text);
  await copyInGuest(guest, record.copies);
  for (const archive of archives) await appendToGuest(guest, archive);
  stage('reading back what was written', 92);
  // Deepest first: a filesystem is written out when it becomes read-only, and then nothing of it stays in memory.
  for (const point of [...system.mounts.keys()].reverse()) await guest.ask('remount', [point, 'rw:false']);
  await guest.ask('drop-caches', ['3']);
  for (const { path, text } of record.texts) if ((await files.text(path)) !== text) return `${path} did not read back`;
  await verifyCopies(guest, record.copies);
  for (const archive of archives) {
    try {
      await verifyAppended(guest, archive);
    } catch (error) {
      if (!isMusterError(error) || error.family !== 'PermanentError') throw error;
      return `${archive.initramfsPath} did not read back`;
    }
  }
  return null;
}
