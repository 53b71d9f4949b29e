/** Effects on the new machine: create, register disks, power. Under the lease of the run's machine. */
import { OperatorError } from '../model/errors';
import type { RecoveryOrder } from '../model/order';
import type { CallOptions, Platform } from '../platforms/contract';
import type { RecoveryActivities } from './contract';
import type { Attempt, EffectsOf } from './attempt';
import { asMachineDisk, callOptions, machineOf, workAt } from './common';

import { readIsolation } from './isolation';
import { releaseBootSlot, startsBooting } from './boot-slots';
import { askSource } from './source';
import { assertAsBuilt, isOutdated, machinesOf } from './machine-check';
import type { ActivityDeps, RecoverySite } from './site';
import { platformOf } from './site';

type MachineEffects = Pick<
  RecoveryActivities,
  | 'createMachine'
  | 'removeMachine'
  | 'registerDisk'
  | 'unregisterDisk'
  | 'judgePowerOn'
  | 'powerOnMachine'
  | 'powerOffMachine'
>;

export function createMachineEffects(deps: ActivityDeps): EffectsOf<MachineEffects> {
  return {
    async createMachine({ order }, attempt) {
      const { site, onMachine } = workAt(deps, order, attempt);
      return onMachine(async () => {
        // Only an earlier attempt, of an order that was corrected since, can have left one under another name.
        if (attempt.effect.attempt > 1) await removeMachines(order, site, attempt, order.target.machineName);
        const { cpuCount, memoryBytes, firmware, hardware, networks } = order.target;
        const nics = order.server.nics.map(({ index, macAddress, network }) => ({
          index,
          macAddress,
          network: networks[network] ?? network,
        }));
        const spec = { ...machineOf(order), cpuCount, memoryBytes, firmware, hardware, nics };
        const platform = platformOf(site, order);
        // create() returns what is there: one that an earlier attempt built before the order was corrected goes first.
        const there = platform.given === undefined ? await platform.find(spec.name, callOptions(attempt)) : undefined;
        if (there !== undefined && isOutdated(there, spec))
          await platform.remove(machineOf(order), callOptions(attempt));
        const { name, uuid } = await platform.create(spec, callOptions(attempt));
        return { name, uuid };
      });
    },

    async removeMachine({ order }, attempt) {
      const { site, onMachine } = workAt(deps, order, attempt);
      await onMachine(() => removeMachines(order, site, attempt, null));
    },

    async registerDisk({ order, disk }, attempt) {
      const { site, onMachine } = workAt(deps, order, attempt);
      const platform = platformOf(site, order);
      return onMachine(async () => {
        const seen = await platform.registerDisk(machineOf(order), asMachineDisk(disk), callOptions(attempt));
        // A machine's own disk may be larger than what is written to it.
        const fits = platform.given !== undefined && seen.sizeBytes >= disk.virtualSizeBytes;
        if (fits || seen.sizeBytes === disk.virtualSizeBytes) return seen;
        throw new OperatorError({
          what: `the platform reads another size from ${disk.diskId} than the recovery point has`,
          found: `${seen.sizeBytes} bytes (${seen.format})`,
          needed: `${disk.virtualSizeBytes} bytes`,
          remedy: 'The overlay was changed from outside or is damaged: abort and recover again.',
        });
      });
    },

    async unregisterDisk({ order, disk }, attempt) {
      const { site, onMachine } = workAt(deps, order, attempt);
      await onMachine(() =>
        platformOf(site, order).unregisterDisk(machineOf(order), asMachineDisk(disk), callOptions(attempt)),
      );
    },

    async judgePowerOn({ order }, attempt) {
      const { site } = workAt(deps, order, attempt);
      const platform = platformOf(site, order);
      if (order.mode === 'rehearsal') await readIsolation(order, platform, machineOf(order), callOptions(attempt));
      const reason = await whyAsk(deps, order, attempt);
      if (platform.given === undefined) return { because: reason };
      const { machineName } = order.target;
      const hand = (await platform.find(machineName, callOptions(attempt)))?.powerByPerson;
      return hand === undefined ? { because: reason } : askPerson(machineName, hand, reason);
    },

    async powerOnMachine({ order }, attempt) {
      const { site, onMachine } = workAt(deps, order, attempt);
      const start = () => onMachine(() => powerOn(order, platformOf(site, order), callOptions(attempt)));
      return { waitedForPlaceMs: await startsBooting(deps, order, attempt, start) };
    },

    async powerOffMachine({ order }, attempt) {
      const { site, onMachine } = workAt(deps, order, attempt);
      await onMachine(async () => {
        const machine = machineOf(order);
        const platform = platformOf(site, order);
        const there = await platform.find(machine.name, callOptions(attempt));
        // A given machine that this run holds no claim on was never switched on by it.
        if (there === undefined || (platform.given !== undefined && there.owner === null)) return;
        await platform.power(machine, 'off', callOptions(attempt));
      });
      await releaseBootSlot(deps, order, attempt);
    },
  };
}

/** As it was built, and in a rehearsal still isolated: since the gate was opened hours may have passed, and a place was waited for. */
async function powerOn(order: RecoveryOrder, platform: Platform, options: CallOptions): Promise<void> {
  await assertAsBuilt(order, platform, options);
  if (order.mode === 'rehearsal') await readIsolation(order, platform, machineOf(order), options);
  await platform.power(machineOf(order), 'on', options);
}

/** What speaks against power-on without a decision; null: nothing. */
async function whyAsk(deps: ActivityDeps, order: RecoveryOrder, attempt: Attempt): Promise<string | null> {
  const { machineName, siteId } = order.server.source;
  if (order.mode === 'recovery' && (await askSource(deps, order, attempt)) === 'on') {
    return `${machineName} still runs at site ${siteId}: two machines would answer to one name and address.`;
  }
  return order.powerOn === 'decision' ? 'The order asks for a decision before power-on.' : null;
}

/** Only a person can press the button; why they may not yet, if anything is against it, comes first. */
function askPerson(
  machine: string,
  instructions: string,
  reason: string | null,
): { because: string; question: string } {
  const hand = `Only a person can switch ${machine} on: ${instructions}`;
  return {
    because: reason === null ? hand : `${reason} ${hand}`,
    question: `${reason === null ? '' : 'Make sure that the source is down or cut off. '}Switch ${machine} on, then approve: your word is recorded as the proof that it is on; or abort.`,
  };
}

/** Every machine of this run but the one to keep: a corrected name leaves the one of the old name behind. */
async function removeMachines(
  order: RecoveryOrder,
  site: RecoverySite,
  attempt: Attempt,
  keep: string | null,
): Promise<void> {
  const platform = platformOf(site, order);
  for (const machine of await machinesOf(order, platform, callOptions(attempt))) {
    if (machine.name === keep) continue;
    const ref = { name: machine.name, owner: machine.owner };
    if (machine.power !== 'off') await platform.power(ref, 'off', callOptions(attempt));
    await platform.remove(ref, callOptions(attempt));
  }
}
