/**
 * Whether the Windows volume may be written to. One that Windows has not let go of (hibernated, fast startup, changes in
 * its journal, marked for a check) would be destroyed, or would undo what was written when Windows wakes.
 */
import { OperatorError } from '../../model/errors';
import type { Guestfish } from '../guestfish';
import { placeOf, realPath, type WindowsSystem } from './find-windows';
import { isDirty, volumeRecordPlace } from './ntfs-record';

const hibernationFile = '/hiberfil.sys';
const pageFile = '/pagefile.sys';
/** First bytes of hiberfil.sys while memory lies in it; `WAKE` and zeros: it has been used up (libyal, libhibr). */
const sleeping = ['hibr', 'HIBR', 'RSTR', 'rstr'];

export interface VolumeNotes {
  /** What was looked at and found right, in words for the record. */
  readonly verified: readonly string[];
}

/** While nothing is mounted: what ntfs-3g.probe(8) answers. @throws OperatorError when the volume is marked for a check. */
export async function probeVolume(guest: Guestfish, system: WindowsSystem): Promise<number> {
  const { device } = system.volume;
  if (await readDirty(guest, device)) throw unclean(system, 'the mark that it needs a check (dirty)');
  return Number((await guest.ask('ntfs-3g-probe', ['true', device])).trim());
}

/** While the volume is mounted for reading. @throws OperatorError with what to do when it may not be written to. */
export async function refuseUnclean(guest: Guestfish, system: WindowsSystem, probe: number): Promise<VolumeNotes> {
  const memory = await firstBytes(guest, hibernationFile);
  const pages = await fileSize(guest, pageFile);
  if (probe === 14 || sleeping.includes(memory)) throw hibernated(system, memory);
  if (probe !== 0) throw unclean(system, probeWords[probe] ?? `ntfs-3g.probe answers ${probe}`);
  return {
    verified: [
      `${placeOf(system.volume)}: clean and not hibernated`,
      pages === null ? 'no page file' : `page file of ${pages} bytes, which Windows makes anew`,
    ],
  };
}

/** Exit codes of ntfs-3g.probe(8). */
const probeWords: Readonly<Record<number, string>> = {
  12: 'no valid NTFS',
  13: 'inconsistent structures',
  15: 'changes in its journal: it was in use and not shut down',
};

async function readDirty(guest: Guestfish, device: string): Promise<boolean> {
  const boot = await guest.bytes('pread-device', [device, '512', '0']);
  const place = volumeRecordPlace(boot);
  if (place === null) return false;
  const sizeBytes = Number((await guest.ask('blockdev-getsize64', [device])).trim());
  if (place.offsetBytes + place.lengthBytes > sizeBytes) return false;
  const record = await guest.bytes('pread-device', [device, String(place.lengthBytes), String(place.offsetBytes)]);
  return isDirty(record) === true;
}

async function firstBytes(guest: Guestfish, path: string): Promise<string> {
  const real = await realPath(guest, path);
  if (real === null || (await guest.ask('is-file', [real])).trim() !== 'true') return '';
  return (await guest.bytes('pread', [real, '4', '0'])).toString('latin1');
}

async function fileSize(guest: Guestfish, path: string): Promise<string | null> {
  const real = await realPath(guest, path);
  return real === null ? null : (await guest.ask('filesize', [real])).trim();
}

const shutDown =
  'boot the source, shut it down fully (shutdown /s /f /t 0, which is no fast startup) and take a point of the stopped machine';

function hibernated(system: WindowsSystem, memory: string): OperatorError {
  return new OperatorError({
    what: `the Windows on ${placeOf(system.volume)} is hibernated and cannot be changed safely`,
    found: sleeping.includes(memory) ? `hiberfil.sys begins with ${memory}` : 'a hibernated volume',
    needed: 'a Windows that was shut down fully (fast startup is a hibernation too)',
    remedy: `Choose a point from a full shutdown; or ${shutDown}. To give up what was in its memory: ntfsfix and "rm /hiberfil.sys" in the overlay with guestfish, then retry.`,
  });
}

function unclean(system: WindowsSystem, found: string): OperatorError {
  return new OperatorError({
    what: `the Windows volume on ${placeOf(system.volume)} was not let go cleanly`,
    found,
    needed: 'a volume that Windows has closed',
    remedy: `Choose another point; or ${shutDown}. If Windows has the drivers of this hardware already, skip this step: Windows repairs its volume as it boots.`,
  });
}
