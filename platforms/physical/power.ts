/**
 * Switching a physical machine. Where only a person can, their word is taken: for `on` the decision at the gate before
 * power-on; for `off` the repetition of a call that asked them, in the same process. A repetition by another process asks
 * again: it may come from a lost worker and not from a person.
 */
import { OperatorError } from '../../model/errors';
import type { CallOptions, MachineRef } from '../contract';
import { requireClaim, type Claim } from './claims';
import { noteStarted } from './disks';
import type { PhysicalMachine } from './machine';
import type { WaitOptions } from './redfish';
import { placeOf, powerStateOf, requireMachine, requireSlot, type PhysicalSite } from './site';

export async function power(
  site: PhysicalSite,
  ref: MachineRef,
  action: 'on' | 'off' | 'shutdown',
  options: WaitOptions = {},
): Promise<void> {
  options.signal?.throwIfAborted();
  const machine = requireMachine(site, ref.name);
  const redfish = site.redfish(machine);
  if (action === 'shutdown' && redfish !== null) {
    // Without the lock: cutting the power stays possible while the guest takes its time.
    await requireClaim(site.claims, ref);
    return redfish.shutdown(options);
  }
  await site.claims.locked(
    ref.name,
    async () => {
      const claim = await requireClaim(site.claims, ref);
      if (action === 'on') return switchOn(site, machine, claim, ref, options);
      if (redfish === null) return takePersonsWord(site, machine, claim);
      await redfish.off(options);
    },
    options.signal,
  );
}

/** Recorded before it is done: from here on the disks hold a system of their own, and the console speaks of this boot. */
async function switchOn(
  site: PhysicalSite,
  machine: PhysicalMachine,
  claim: Claim,
  ref: MachineRef,
  options: WaitOptions,
): Promise<void> {
  const redfish = site.redfish(machine);
  await site.consoles.listen(machine);
  const wasOff = (await powerStateOf(site, machine, claim, options)) === 'off';
  for (const { index } of claim.disks) {
    await noteStarted(placeOf(site, machine, requireSlot(machine, index), ref), options);
  }
  if (wasOff || claim.poweredOnAt === null) {
    // A person may have pressed the button before they said so: then the console has spoken since the claim.
    const consoleOffset = redfish === null ? claim.consoleOffset : await site.consoles.length(machine);
    const poweredOnAt = new Date(site.now()).toISOString();
    await site.claims.write({ ...claim, power: 'on', poweredOnAt, consoleOffset });
  }
  await redfish?.on(options);
}

/** @throws OperatorError the first time, with what to do; called again, the person has done it. */
async function takePersonsWord(site: PhysicalSite, machine: PhysicalMachine, claim: Claim): Promise<void> {
  if (claim.power === 'off' || machine.power.kind !== 'person') return;
  const question = `${machine.name} ${claim.owner.runId} ${claim.poweredOnAt ?? ''}`;
  if (!site.asked.delete(question)) {
    site.asked.add(question);
    throw new OperatorError({
      what: `${machine.name} has to be switched off by a person: it is on, as far as Muster was told`,
      found: 'a machine that no program can switch',
      needed: 'somebody who switches it off and says so',
      remedy: `${machine.power.instructions} Then retry: your decision is taken as word that it is off.`,
    });
  }
  const consoleOffset = await site.consoles.length(machine);
  await site.claims.write({ ...claim, power: 'off', consoleOffset });
}

/** @throws OperatorError when the machine is on; of one that a person switches, only until they have said otherwise. */
export async function requireOff(
  site: PhysicalSite,
  machine: PhysicalMachine,
  claim: Claim,
  facts: { readonly what: string; readonly options: CallOptions },
): Promise<void> {
  if (machine.power.kind === 'person') return takePersonsWord(site, machine, claim);
  const state = await powerStateOf(site, machine, claim, facts.options);
  if (state === 'off') return;
  throw new OperatorError({
    what: facts.what,
    found: `the machine is ${state}`,
    needed: 'a machine that is off',
    remedy: 'Switch it off first, then retry.',
  });
}
