/** The registry of a simulated Windows: one note beside the system on its disk, of the hardware it was made fit for. */
import { OperatorError } from '../../model/errors';
import type { TakenDisk } from '../../model/replica';
import type { HardwareProfile } from '../../model/server';
import type { RegistryReport } from '../../disks/contract';
import { readOs, readPartitions, writeOs } from './disk-bytes';

/** Writes the note where it is not there; `changed` is told of each disk that was written to. */
export async function updateRegistryNote(
  disks: readonly TakenDisk[],
  hardware: HardwareProfile,
  changed: (disk: TakenDisk) => Promise<void>,
): Promise<RegistryReport> {
  const drivers = hardware.windowsDrivers.map(({ service }) => service);
  for (const disk of disks) {
    const recognised = (await readPartitions(disk.path)).some((volume) => volume.type !== null);
    const os = recognised ? await readOs(disk.path) : null;
    if (os === null) continue;
    const lacking = drivers.filter((driver) => !(os.registry ?? []).includes(driver));
    if (lacking.length > 0) {
      await writeOs(disk.path, { ...os, registry: [...(os.registry ?? []), ...lacking] });
      await changed(disk);
    }
    return {
      operatingSystem: os.distribution,
      controlSets: ['ControlSet001'],
      changes: lacking.map((driver) => `ControlSet001\\Services\\${driver}: Start = 0`),
      verified: [`registry read back: ${drivers.join(', ')}`],
      warnings: [],
    };
  }
  throw new OperatorError({
    what: 'no Windows is found on the disks',
    found: disks.map((disk) => disk.diskId).join(', ') || 'no disks',
    needed: 'a recognised volume with an operating system',
    remedy: 'Look whether the signatures are in (step apply-signature) and whether all disks were taken.',
  });
}
