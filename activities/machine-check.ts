/** A last look before power-on: is the machine still the one that this run built, with every disk that it was handed? */
import { OperatorError } from '../model/errors';
import type { RecoveryOrder } from '../model/order';
import type { CallOptions, Machine, MachineSpec, Platform } from '../platforms/contract';
import { sameOwner } from '../platforms/owners';
import { allMachines } from './all-machines';

/**
 * Between hand-over and power-on hours may pass at a gate, and somebody may help.
 *
 * @throws OperatorError when the machine is gone, has another name, or lacks a disk
 */
export async function assertAsBuilt(order: RecoveryOrder, platform: Platform, options: CallOptions): Promise<void> {
  const { machineName } = order.target;
  const machine = await platform.find(machineName, options);
  if (machine === undefined || !sameOwner(order, machine.owner))
    throw missing(machineName, await machinesOf(order, platform, options));
  const there = new Set(machine.disks.map(({ index }) => index));
  const lacking = order.server.disks.filter(({ index }) => !there.has(index));
  if (lacking.length === 0) return;
  throw new OperatorError({
    what: `${machineName} is not as this run built it`,
    found: `without ${lacking.map(({ id }) => id).join(', ')}: somebody detached it`,
    needed: 'every disk that was handed over',
    remedy: 'Hand the disks over again: `muster retry RUN --from hand-over --reason …`.',
  });
}

/** Every machine of the run, whatever its name is now. Reads all of the platform's: not for what each of many servers does. */
export async function machinesOf(order: RecoveryOrder, platform: Platform, options: CallOptions): Promise<Machine[]> {
  return (await allMachines(platform, options)).filter((machine) => sameOwner(order, machine.owner));
}

/** Whether this run built the machine otherwise than the order says now; only one that is off can be built anew. */
export function isOutdated(machine: Machine, spec: MachineSpec): boolean {
  if (!sameOwner(spec.owner, machine.owner) || machine.power !== 'off') return false;
  const network = (index: number) => machine.nics.find((nic) => nic.index === index)?.network;
  return (
    machine.cpuCount !== spec.cpuCount ||
    machine.memoryBytes !== spec.memoryBytes ||
    machine.firmware !== spec.firmware ||
    spec.nics.some((nic) => network(nic.index) !== nic.network)
  );
}

function missing(machineName: string, ours: readonly Machine[]): OperatorError {
  const [renamed] = ours;
  if (renamed === undefined) {
    return new OperatorError({
      what: `${machineName} cannot be started`,
      found: 'no such machine: somebody removed it',
      needed: 'the machine that this run created',
      remedy: 'Build it again from the same disks: `muster retry RUN --from create-machine --reason …`.',
    });
  }
  return new OperatorError({
    what: `${machineName} cannot be started`,
    found: `this run's machine under the name ${renamed.name}: somebody renamed it`,
    needed: machineName,
    remedy: `Give it its name back and retry; or accept the other one: \`muster retry RUN --from create-machine --set machineName=${renamed.name} --reason …\`.`,
  });
}
