/** What all methods of the physical platform share: the configured machines, their claims, consoles and controllers. */
import { OperatorError, PermanentError } from '../../model/errors';
import type { CallOptions, MachineRef, PowerState } from '../contract';
import { openClaims, type Claim, type Claims } from './claims';
import { openConsoles, type Consoles } from './console';
import type { DiskPlace } from './disks';
import type { MachineDevice, PhysicalMachine, PhysicalOptions } from './machine';
import { openRedfish, type Redfish } from './redfish';

export interface PhysicalSite {
  readonly id: string;
  readonly folder: string;
  readonly machines: readonly PhysicalMachine[];
  readonly claims: Claims;
  readonly consoles: Consoles;
  readonly now: () => number;
  /** Questions to a person that this process has asked and not had answered (power.ts). */
  readonly asked: Set<string>;
  /** Null where a person switches the machine. */
  redfish(machine: PhysicalMachine): Redfish | null;
}

export function openPhysicalSite(options: PhysicalOptions): PhysicalSite {
  const { id, folder, machines, secret, clock, answerTimeoutMs = 15_000, pollMs = 1_000 } = options;
  return {
    ...{ id, folder, machines, now: clock, asked: new Set<string>() },
    claims: openClaims(folder),
    consoles: openConsoles(folder),
    redfish: ({ name, power }) =>
      power.kind === 'redfish'
        ? openRedfish({ machine: name, power: power.redfish, secret, answerTimeoutMs, pollMs })
        : null,
  };
}

/** @throws OperatorError naming the machines that the site has. */
export function requireMachine(site: PhysicalSite, name: string): PhysicalMachine {
  const machine = site.machines.find((one) => one.name === name);
  if (machine !== undefined) return machine;
  throw new OperatorError({
    what: `there is no machine ${name} at site ${site.id}`,
    found: site.machines.map((one) => one.name).join(', ') || 'no physical machine at all',
    needed: 'a machine of the configuration',
    remedy: 'Choose one of them (provide machineName), or add it to the configuration and restart the worker.',
  });
}

/** @throws OperatorError when the machine has no disk of that index. */
export function requireSlot(machine: PhysicalMachine, index: number): MachineDevice {
  const slot = machine.disks.find((one) => one.index === index);
  if (slot !== undefined) return slot;
  throw new OperatorError({
    what: `${machine.name} has no disk at place ${index}`,
    found: `${machine.disks.length} ${machine.disks.length === 1 ? 'disk' : 'disks'} in its configuration`,
    needed: 'a disk for each disk of the server',
    remedy: 'Choose a machine with more disks (provide machineName), or add the disk to the configuration.',
  });
}

export function placeOf(site: PhysicalSite, machine: PhysicalMachine, slot: MachineDevice, ref: MachineRef): DiskPlace {
  return { folder: site.folder, machine, slot, owner: ref.owner, now: site.now };
}

/** What the controller says; of a machine that a person switches, what the last word of one was. */
export async function powerStateOf(
  site: PhysicalSite,
  machine: PhysicalMachine,
  claim: Claim | undefined,
  options: CallOptions,
): Promise<PowerState> {
  const redfish = site.redfish(machine);
  if (redfish === null) return claim?.power ?? 'off';
  const state = await redfish.state(options);
  switch (state) {
    case 'On':
    case 'PoweringOn':
    case 'PoweringOff':
      return 'on';
    case 'Off':
      return 'off';
    case 'Paused':
      return 'paused';
    default:
      throw new PermanentError({
        what: `the controller of ${machine.name} tells a power state that Muster does not know`,
        found: state,
        needed: 'On, Off, PoweringOn, PoweringOff or Paused',
        remedy: 'Look at the machine; let a person switch it (power: person) if its controller cannot be relied on.',
      });
  }
}
