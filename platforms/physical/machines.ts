/** Finding, claiming and giving up physical machines. */
import { isMusterError, OperatorError, PermanentError } from '../../model/errors';
import { formatSize } from '../../model/durations';
import { diskControllerOf, nicModelOf } from './hardware';
import type { CallOptions, Machine, MachineRef, MachineSpec, PlatformHealth } from '../contract';
import { requireMachineName } from '../names';
import { isOwn, taken, type Claim } from './claims';
import { readDevice } from './device';
import type { PhysicalMachine } from './machine';
import { requireOff } from './power';
import { powerStateOf, requireMachine, type PhysicalSite } from './site';

/** Nothing is asked: every machine has its own controller, and one that is away says nothing about the others. */
export async function health(site: PhysicalSite, options: CallOptions = {}): Promise<PlatformHealth> {
  options.signal?.throwIfAborted();
  const nics = site.machines.flatMap((machine) => machine.nics);
  const names = [...new Set(nics.map((nic) => nic.network))];
  return {
    kind: 'physical',
    version: `${site.machines.length} configured`,
    acceleration: 'none',
    networks: names.map((name) => ({
      name,
      isolated: nics.filter((nic) => nic.network === name).every((nic) => nic.isolated),
    })),
    memoryFreeBytes: Math.max(0, ...site.machines.map((machine) => machine.memoryBytes)),
  };
}

/** A controller that does not answer hides nothing: its machine is listed as the claim knows it. `find` throws instead. */
export async function list(site: PhysicalSite, options: CallOptions = {}): Promise<Machine[]> {
  options.signal?.throwIfAborted();
  return Promise.all(
    site.machines.map(async (machine) => {
      const claim = await site.claims.read(machine.name);
      const power = await powerStateOf(site, machine, claim, options).catch((error: unknown) => {
        options.signal?.throwIfAborted();
        if (!isMusterError(error)) throw error;
        return claim?.power ?? 'off';
      });
      return describe(machine, claim, power);
    }),
  );
}

export async function find(site: PhysicalSite, name: string, options: CallOptions = {}): Promise<Machine | undefined> {
  options.signal?.throwIfAborted();
  const machine = site.machines.find((one) => one.name === name);
  if (machine === undefined) return undefined;
  const claim = await site.claims.read(name);
  const found = await describe(machine, claim, await powerStateOf(site, machine, claim, options));
  if (found.power !== 'on' || claim === undefined) return found;
  await site.consoles.listen(machine);
  const boots = await site.consoles.boots(machine, claim.consoleOffset);
  return { ...found, bootId: boots === null || boots === 0 ? null : `console-${boots}` };
}

async function describe(machine: PhysicalMachine, claim: Claim | undefined, power: Machine['power']): Promise<Machine> {
  const controller = diskControllerOf(machine.hardware);
  const disks = await Promise.all(
    (claim?.disks ?? []).map(async ({ index, path }) => {
      const device = machine.disks.find((one) => one.index === index)?.device ?? '';
      const sizeBytes = await readDevice(device).then(
        (facts) => facts.sizeBytes,
        () => 0,
      );
      return { index, path, format: 'raw' as const, sizeBytes, controller, device };
    }),
  );
  return {
    name: machine.name,
    uuid: claim?.uuid ?? '',
    owner: claim?.owner ?? null,
    power,
    cpuCount: machine.cpuCount,
    memoryBytes: machine.memoryBytes,
    firmware: machine.firmware,
    disks,
    nics: machine.nics.map(({ index, macAddress, network }) => ({
      ...{ index, macAddress, network },
      model: nicModelOf(machine.hardware),
    })),
    bootId: null,
    ...(machine.power.kind === 'person' ? { powerByPerson: machine.power.instructions } : {}),
  };
}

/** Claims the machine for the run. @throws OperatorError when it is not the one wanted, on, or another run's. */
export async function create(site: PhysicalSite, spec: MachineSpec, options: CallOptions = {}): Promise<Machine> {
  requireMachineName(spec.name);
  const machine = requireMachine(site, spec.name);
  assertFits(machine, spec);
  return site.claims.locked(
    spec.name,
    async () => {
      const claims = await site.claims.all();
      const there = claims.find((claim) => claim.machine === spec.name);
      if (there !== undefined && !isOwn(there, spec)) throw taken(there);
      const power = await powerStateOf(site, machine, there, options);
      if (there !== undefined) return describe(machine, there, power);
      assertFree(site, spec, { claims, power });
      await site.consoles.listen(machine);
      const consoleOffset = await site.consoles.length(machine);
      const claim: Claim = {
        ...{ format: 1, machine: spec.name, owner: spec.owner, uuid: spec.uuid, disks: [], power: 'off' },
        ...{ claimedAt: new Date(site.now()).toISOString(), poweredOnAt: null, consoleOffset },
      };
      await site.claims.write(claim);
      return describe(machine, claim, power);
    },
    options.signal,
  );
}

function assertFree(
  site: PhysicalSite,
  spec: MachineSpec,
  { claims, power }: { claims: readonly Claim[]; power: Machine['power'] },
): void {
  const twin = claims.find((claim) => claim.uuid === spec.uuid);
  if (twin !== undefined) {
    throw new OperatorError({
      what: `${spec.name} cannot be claimed`,
      found: `its uuid ${spec.uuid} on the claim of ${twin.machine}`,
      needed: 'one machine for a run',
      remedy: `Give ${twin.machine} up first (\`muster machines release ${twin.machine} --reason …\`), then retry.`,
    });
  }
  if (power === 'off') return;
  throw new OperatorError({
    what: `the machine ${spec.name} is ${power}, and no run has claimed it`,
    found: 'a machine that works for somebody',
    needed: 'a machine that is off',
    remedy: 'Look whose it is. Switch it off and retry, or choose another machine (provide machineName).',
  });
}

function assertFits(machine: PhysicalMachine, spec: MachineSpec): void {
  const differs = (found: string, needed: string): OperatorError =>
    new OperatorError({
      what: `${machine.name} is not the machine that the order describes`,
      found,
      needed,
      remedy:
        'Choose another machine (provide machineName), or start again with its hardware; correct the configuration if it is wrong.',
    });
  if (machine.hardware !== spec.hardware.id) throw differs(`hardware ${machine.hardware}`, spec.hardware.id);
  if (machine.firmware !== spec.firmware) throw differs(`firmware ${machine.firmware}`, spec.firmware);
  if (machine.memoryBytes < spec.memoryBytes) {
    throw differs(`${formatSize(machine.memoryBytes)} of memory`, `at least ${formatSize(spec.memoryBytes)}`);
  }
  const plugged = machine.nics.map((nic) => nic.network);
  const missing = spec.nics.find((nic) => !plugged.includes(nic.network));
  if (missing === undefined) return;
  throw new PermanentError({
    what: `NIC ${missing.index} of ${machine.name} cannot be connected`,
    found: `networks ${[...new Set(plugged)].join(', ') || 'none'}`,
    needed: `network ${missing.network}`,
    remedy: 'Map the network to one that the machine is plugged into (provide networks).',
  });
}

/** Gives the claim up; the disks stay as they are. @throws OperatorError while the machine is on. */
export async function remove(site: PhysicalSite, ref: MachineRef, options: CallOptions = {}): Promise<void> {
  options.signal?.throwIfAborted();
  const machine = site.machines.find((one) => one.name === ref.name);
  if (machine === undefined) return;
  await site.claims.locked(
    ref.name,
    async () => {
      const claim = await site.claims.read(ref.name);
      if (claim === undefined) return;
      if (!isOwn(claim, ref)) throw taken(claim);
      await requireOff(site, machine, claim, { what: `${ref.name} cannot be given up`, options });
      await site.claims.remove(ref.name);
    },
    options.signal,
  );
}
