/** Disks of a simulated machine: definition, storage inventory, merging. */
import { copyFile, rename } from 'node:fs/promises';
import { OperatorError, PermanentError } from '../../model/errors';
import type { CallOptions, MachineDisk, MachineRef } from '../contract';
import { requireSpace } from './capacity';
import { fileSizeBytes } from './disk-bytes';
import { dropHold, holdDisk } from './holds';
import { changeMachine, type MachineRecord } from './machines';
import { requireOwn, unknownMachine } from './refusals';
import { reach, type Site } from './site';

export async function attachDisk(site: Site, ref: MachineRef, disk: MachineDisk, options: CallOptions = {}) {
  await change(site, ref, disk, 'platform.attach-disk', options, async (machine) => {
    const there = machine.disks.find((other) => other.index === disk.index);
    if (there?.path === disk.path) return null;
    const elsewhere = machine.disks.find((other) => other.path === disk.path);
    if (there || elsewhere) {
      throw new OperatorError({
        what: `disk ${disk.index} of ${ref.name} cannot be attached`,
        found: there ? `${there.path} at this place` : `${disk.path} at place ${elsewhere?.index}`,
        needed: `a free place for ${disk.path}`,
        remedy: 'Detach the other disk first, then retry.',
      });
    }
    await requireFile(disk.path);
    if (machine.power !== 'off') await holdDisk(disk.path, `machine:${ref.name}`);
    return { next: { ...machine, disks: [...machine.disks, disk] } };
  });
}

export async function detachDisk(site: Site, ref: MachineRef, disk: MachineDisk, options: CallOptions = {}) {
  await change(site, ref, disk, 'platform.detach-disk', options, async (machine) => {
    if (!machine.disks.some((other) => other.path === disk.path)) return null;
    if (machine.power !== 'off') {
      throw new OperatorError({
        what: `disk ${disk.index} of ${ref.name} cannot be detached`,
        found: `the machine is ${machine.power}`,
        needed: 'a machine that is off',
        remedy: 'Switch it off first, then retry.',
      });
    }
    await dropHold(disk.path, `machine:${ref.name}`);
    return { next: { ...machine, disks: machine.disks.filter((other) => other.path !== disk.path) } };
  });
}

export async function registerDisk(site: Site, ref: MachineRef, disk: MachineDisk, options: CallOptions = {}) {
  await reach(site, options);
  const sizeBytes = await requireFile(disk.path);
  await change(site, ref, disk, 'platform.register-disk', options, (machine) =>
    machine.registeredPaths.includes(disk.path)
      ? null
      : { next: { ...machine, registeredPaths: [...machine.registeredPaths, disk.path] } },
  );
  return { sizeBytes, format: 'raw' };
}

export async function unregisterDisk(site: Site, ref: MachineRef, disk: MachineDisk, options: CallOptions = {}) {
  await change(site, ref, disk, 'platform.unregister-disk', options, (machine) =>
    machine.registeredPaths.includes(disk.path)
      ? { next: { ...machine, registeredPaths: machine.registeredPaths.filter((path) => path !== disk.path) } }
      : null,
  );
}

/** The disk's bytes become the base's, in one rename; the machine then stands on the base. */
export async function mergeDisk(
  site: Site,
  ref: MachineRef,
  disk: MachineDisk,
  basePath: string,
  options: CallOptions = {},
) {
  await change(site, ref, disk, 'platform.merge-disk', options, async (machine) => {
    const there = machine.disks.find((other) => other.index === disk.index);
    if (there?.path === basePath) return null;
    if (there?.path !== disk.path) {
      throw new OperatorError({
        what: `disk ${disk.index} of ${ref.name} cannot be merged`,
        found: there ? `it stands on ${there.path}` : 'no disk at this place',
        needed: disk.path,
        remedy: 'Look at the machine: somebody changed its disks.',
      });
    }
    await requireFile(basePath);
    await requireSpace(site, 0);
    const holder = `machine:${ref.name}` as const;
    if (machine.power !== 'off') await holdDisk(basePath, holder);
    await copyFile(disk.path, `${basePath}.merging`);
    await rename(`${basePath}.merging`, basePath);
    await dropHold(disk.path, holder);
    const disks = machine.disks.map((other) => (other === there ? { ...there, path: basePath } : other));
    const registeredPaths = machine.registeredPaths.map((path) => (path === disk.path ? basePath : path));
    return { next: { ...machine, disks, registeredPaths } };
  });
  options.onProgress?.({
    label: `merge ${disk.diskId}`,
    ...{ done: disk.sizeBytes, total: disk.sizeBytes, unit: 'bytes', ratePerSecond: null, timeLeftMs: 0 },
  });
}

/** One change of a machine's own record; absence of the machine counts as done for what takes something away. */
async function change(
  site: Site,
  ref: MachineRef,
  disk: MachineDisk,
  what: string,
  options: CallOptions,
  decide: (machine: MachineRecord) => Promise<{ next: MachineRecord } | null> | { next: MachineRecord } | null,
): Promise<void> {
  await reach(site, options);
  const absenceIsDone = what === 'platform.detach-disk' || what === 'platform.unregister-disk';
  await changeMachine(
    site,
    ref.name,
    what,
    (machine) => {
      if (!machine && absenceIsDone) return null;
      if (!machine) throw unknownMachine(site, ref.name);
      requireOwn(machine, ref);
      return decide(machine);
    },
    { ...options, owner: ref.owner, disk: disk.diskId },
  );
}

async function requireFile(path: string): Promise<number> {
  const sizeBytes = await fileSizeBytes(path);
  if (sizeBytes !== undefined) return sizeBytes;
  throw new PermanentError({
    what: `disk ${path} cannot be used`,
    found: 'no such file',
    needed: 'the file that the replica handed over',
    remedy: 'Go back to the step that takes the disks.',
  });
}
