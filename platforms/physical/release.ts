/** What holds each machine, and giving a claim up by a person's decision: the run that made it is over. */
import { isMusterError, OperatorError } from '../../model/errors';
import type { MachineHolding } from '../../model/machine-holding';
import type { CallOptions, MachineRef, Owner, PowerState } from '../contract';
import { requireMachineName } from '../names';
import { isOwn, type Claim } from './claims';
import type { PhysicalMachine } from './machine';
import { powerStateOf, type PhysicalSite } from './site';

export async function holdings(site: PhysicalSite, options: CallOptions = {}): Promise<MachineHolding[]> {
  options.signal?.throwIfAborted();
  const claims = await site.claims.all();
  const configured = await Promise.all(
    site.machines.map(async (machine): Promise<MachineHolding> => {
      const claim = claims.find((one) => one.machine === machine.name);
      return {
        name: machine.name,
        hardware: machine.hardware,
        switchedBy: machine.power.kind === 'person' ? 'person' : 'controller',
        power: await powerIfTold(site, machine, claim, options),
        claim: claim === undefined ? null : shown(claim),
        devices: machine.disks.map(({ device }) => device),
      };
    }),
  );
  const left = claims.filter((claim) => !site.machines.some(({ name }) => name === claim.machine));
  return [
    ...configured,
    ...left.map((claim): MachineHolding => {
      const known = { hardware: null, switchedBy: 'person', power: null, devices: [] } as const;
      return { name: claim.machine, ...known, claim: shown(claim) };
    }),
  ];
}

const shown = ({ owner, claimedAt, poweredOnAt }: Claim): MachineHolding['claim'] => ({
  tenantId: owner.tenantId,
  runId: owner.runId,
  claimedAt,
  poweredOnAt,
});

/** A controller that is away hides nothing but the power. */
async function powerIfTold(
  site: PhysicalSite,
  machine: PhysicalMachine,
  claim: Claim | undefined,
  options: CallOptions,
): Promise<PowerState | null> {
  return powerStateOf(site, machine, claim, options).catch((error: unknown) => {
    options.signal?.throwIfAborted();
    if (!isMusterError(error)) throw error;
    return null;
  });
}

/** What is on the disks keeps its own protection: a system that was started is overwritten only by an order that names it. */
export async function release(
  site: PhysicalSite,
  ref: MachineRef & { readonly owner: Owner },
  { switchedOff }: { readonly switchedOff: boolean },
  options: CallOptions = {},
): Promise<{ released: boolean }> {
  requireMachineName(ref.name);
  return site.claims.locked(
    ref.name,
    async () => {
      const claim = await site.claims.read(ref.name);
      if (claim === undefined) return { released: false };
      if (!isOwn(claim, ref)) throw changedHands(claim, ref.owner);
      const machine = site.machines.find(({ name }) => name === ref.name);
      if (machine !== undefined) await requireReleasable(site, machine, { claim, switchedOff }, options);
      await site.claims.remove(ref.name);
      return { released: true };
    },
    options.signal,
  );
}

function changedHands(claim: Claim, seen: Owner): OperatorError {
  return new OperatorError({
    what: `the machine ${claim.machine} is not released`,
    found: `claimed by run ${claim.owner.runId} on ${claim.claimedAt}`,
    needed: `the claim of run ${seen.runId}, for which it was asked`,
    remedy: 'Look at `muster machines`, and ask again if that claim is to go, too.',
  });
}

/** A free machine is taken for one that is off: where nobody can ask it, somebody has to say so. */
async function requireReleasable(
  site: PhysicalSite,
  machine: PhysicalMachine,
  { claim, switchedOff }: { readonly claim: Claim; readonly switchedOff: boolean },
  options: CallOptions,
): Promise<void> {
  if (machine.power.kind === 'person') {
    if (claim.power === 'off' || switchedOff) return;
    throw new OperatorError({
      what: `the machine ${machine.name} is not released`,
      found: 'it is on, as far as Muster was told, and no program can ask it',
      needed: 'the word of a person that it is off',
      remedy: `${machine.power.instructions} Then say so: \`muster machines release ${machine.name} --switched-off --reason …\`.`,
    });
  }
  const state = await powerStateOf(site, machine, claim, options);
  if (state === 'off') return;
  throw new OperatorError({
    what: `the machine ${machine.name} is not released`,
    found: `it is ${state}`,
    needed: 'a machine that is off',
    remedy: 'Switch it off, then release it again. One that is gone for good is taken out of the configuration first.',
  });
}
