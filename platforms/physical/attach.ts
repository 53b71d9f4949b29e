/** The disks of a claimed machine: looked at, written, read back, made unbootable again. */
import { isMusterError, OperatorError, PermanentError } from '../../model/errors';
import { ProgramError, runProgram } from '../../programs/run';
import type { AttachOptions, CallOptions, DiskFinding, MachineDisk, MachineRef } from '../contract';
import { isOwn, requireClaim, taken, type Claim } from './claims';
import { judgeDisk, withdrawDisk, writeDisk } from './disks';
import { requireOff } from './power';
import { placeOf, requireMachine, requireSlot, type PhysicalSite } from './site';

export async function examine(
  site: PhysicalSite,
  ref: MachineRef,
  disks: readonly Pick<MachineDisk, 'diskId' | 'index' | 'sizeBytes'>[],
  options: AttachOptions = {},
): Promise<DiskFinding[]> {
  const machine = requireMachine(site, ref.name);
  const findings: DiskFinding[] = [];
  for (const { diskId, index, sizeBytes } of disks) {
    try {
      const place = placeOf(site, machine, requireSlot(machine, index), ref);
      const { ok, found, needed } = await judgeDisk(place, sizeBytes, options);
      findings.push({ diskId, ok, found, needed });
    } catch (error) {
      if (!isMusterError(error) || error.family !== 'OperatorError') throw error;
      const { what, found, needed } = error.facts;
      findings.push({ diskId, ok: false, found: [what, found].filter(Boolean).join(': '), needed: needed ?? 'a disk' });
    }
  }
  return findings;
}

/** Copies the run's disk onto the machine's own disk of that index; minutes to hours, with progress. */
export async function attachDisk(site: PhysicalSite, ref: MachineRef, disk: MachineDisk, options: AttachOptions = {}) {
  const machine = requireMachine(site, ref.name);
  await site.claims.locked(
    ref.name,
    async () => {
      const claim = await requireClaim(site.claims, ref);
      if (isAttached(claim, disk)) return;
      const what = `disk ${disk.index} of ${ref.name} cannot be attached`;
      await requireOff(site, machine, claim, { what, options });
      await writeDisk(placeOf(site, machine, requireSlot(machine, disk.index), ref), disk, options);
      const { diskId, index, path } = disk;
      const now = await requireClaim(site.claims, ref);
      await site.claims.write({ ...now, disks: [...now.disks, { diskId, index, path }] });
    },
    options.signal,
  );
}

/** @throws OperatorError when another disk has the place, or this one another place. */
function isAttached(claim: Claim, disk: MachineDisk): boolean {
  const there = claim.disks.find((other) => other.index === disk.index);
  if (there?.path === disk.path) return true;
  const elsewhere = claim.disks.find((other) => other.path === disk.path);
  if (there === undefined && elsewhere === undefined) return false;
  throw new OperatorError({
    what: `disk ${disk.index} of ${claim.machine} cannot be attached`,
    found: there ? `${there.path} at this place` : `${disk.path} at place ${elsewhere?.index}`,
    needed: `a free place for ${disk.path}`,
    remedy: 'Detach the other disk first, then retry.',
  });
}

/** Also of a copy that did not end. No claim on the machine: nothing of the run is there. */
export async function detachDisk(site: PhysicalSite, ref: MachineRef, disk: MachineDisk, options: CallOptions = {}) {
  options.signal?.throwIfAborted();
  const machine = site.machines.find((one) => one.name === ref.name);
  if (machine === undefined) return;
  await site.claims.locked(
    ref.name,
    async () => {
      const claim = await site.claims.read(ref.name);
      if (claim === undefined) return;
      if (!isOwn(claim, ref)) throw taken(claim);
      const slot = machine.disks.find((one) => one.index === disk.index);
      if (slot === undefined) return;
      const what = `disk ${disk.index} of ${ref.name} cannot be detached`;
      await requireOff(site, machine, claim, { what, options });
      await withdrawDisk(placeOf(site, machine, slot, ref), options);
      const now = await requireClaim(site.claims, ref);
      await site.claims.write({ ...now, disks: now.disks.filter(({ path }) => path !== disk.path) });
    },
    options.signal,
  );
}

/** Size and format as QEMU's own tool reads them: another reader than the one that looked before the copy. */
export async function registerDisk(site: PhysicalSite, ref: MachineRef, disk: MachineDisk, options: CallOptions = {}) {
  options.signal?.throwIfAborted();
  const machine = requireMachine(site, ref.name);
  const claim = await requireClaim(site.claims, ref);
  if (!claim.disks.some(({ path }) => path === disk.path)) {
    throw new OperatorError({
      what: `disk ${disk.index} of ${ref.name} cannot be registered`,
      found: `${disk.path} was not written to this machine`,
      needed: 'a disk that was handed over',
      remedy: 'Hand the disks over again: `muster retry RUN --from hand-over --reason …`.',
    });
  }
  const { device } = requireSlot(machine, disk.index);
  const args = ['info', '--force-share', '--output=json', '-f', 'raw', '--', device];
  try {
    const { stdout } = await runProgram('qemu-img', args, { timeoutMs: 60_000, signal: options.signal });
    return { sizeBytes: (JSON.parse(stdout) as { 'virtual-size': number })['virtual-size'], format: 'raw' };
  } catch (cause) {
    options.signal?.throwIfAborted();
    if (!(cause instanceof ProgramError)) throw cause;
    const found = cause.stderr.trim().split('\n').at(-1) ?? cause.shortMessage;
    throw new PermanentError({ what: `the disk ${device} cannot be read`, found, detail: cause.stderr }, { cause });
  }
}
