/** The Platform of a simulated site. What each method promises is written in ../contract.ts. */
import { OperatorError, PermanentError, TransientError } from '../../model/errors';
import { virtualProfiles } from '../../model/server';
import { withFileLock } from '../file-lock';
import type { CallOptions, GuestCommand, Machine, MachineRef, MachineSpec, Platform } from '../contract';
import { encodePng } from '../png';
import { bootIdOf, consoleText, isUp, runSimulated, writeServiceData } from './guest';
import { dropHold, holdDisk } from './holds';
import { bootOutcome } from './guest';
import { readCounter } from './disk-bytes';
import { changeMachine, readMachine, readMachines, reserveUuid, type MachineRecord } from './machines';
import { createNetwork, inventory, networks, readNetworks, removeNetwork } from './networks';
import { attachDisk, detachDisk, mergeDisk, registerDisk, unregisterDisk } from './platform-disks';
import { requireOwn, somebodyElses, unknownMachine } from './refusals';
import { sameOwner } from '../owners';
import { drawText } from './screen';
import { lockName, pause, reach, readSettings, type Site } from './site';

export function simulatedPlatform(site: Site): Platform {
  return {
    id: site.id,
    kind: 'simulated',
    capabilities: {
      guestAgent: true,
      screenshot: true,
      consoleText: true,
      liveMerge: true,
      isolatedNetworks: true,
      firmwares: ['bios', 'uefi'],
      hardware: virtualProfiles,
    },
    health: (options) => health(site, options),
    list: async (options) => {
      await reach(site, options);
      return (await readMachines(site)).map(asMachine);
    },
    find: async (name, options) => {
      await reach(site, options);
      const machine = await readMachine(site, name);
      return machine && asMachine(machine);
    },
    create: (spec, options) => create(site, spec, options),
    remove: (ref, options) => remove(site, ref, options),
    attachDisk: (ref, disk, options) => attachDisk(site, ref, disk, options),
    detachDisk: (ref, disk, options) => detachDisk(site, ref, disk, options),
    registerDisk: (ref, disk, options) => registerDisk(site, ref, disk, options),
    unregisterDisk: (ref, disk, options) => unregisterDisk(site, ref, disk, options),
    mergeDisk: (ref, disk, basePath, options) => mergeDisk(site, ref, disk, basePath, options),
    power: (ref, action, options) => power(site, ref, action, options),
    runInGuest: (name, command, options) => runInGuest(site, name, command, options),
    look: (name, options) => look(site, name, options),
    networks: (options) => networks(site, options),
    createNetwork: (ref, options) => createNetwork(site, ref, options),
    removeNetwork: (ref, options) => removeNetwork(site, ref, options),
    inventory: (options) => inventory(site, options),
  };
}

async function health(site: Site, options?: CallOptions) {
  await reach(site, options);
  const { networks: configured, memoryFreeBytes } = await readSettings(site);
  const basics = { kind: 'simulated' as const, version: '1', acceleration: 'none' as const };
  return { ...basics, networks: configured, memoryFreeBytes };
}

async function create(site: Site, spec: MachineSpec, options: CallOptions = {}): Promise<Machine> {
  await reach(site, options);
  const usable = await networksFor(site, spec.owner);
  const made = await changeMachine(
    site,
    spec.name,
    'platform.create',
    async (existing) => {
      if (existing && sameOwner(existing.owner, spec.owner)) return null;
      if (existing) throw somebodyElses(existing, 'name');
      for (const nic of spec.nics) {
        if (usable.includes(nic.network)) continue;
        throw new PermanentError({
          what: `NIC ${nic.index} of ${spec.name} cannot be connected`,
          found: `no network ${nic.network} at site ${site.id}`,
          needed: `one of ${usable.join(', ')}`,
          remedy: 'Map the source network to one of them (provide networks).',
        });
      }
      const holder = await withFileLock(lockName(site, `uuid ${spec.uuid}`), () =>
        reserveUuid(site, spec.uuid, spec.name),
      );
      if (holder !== spec.name) throw somebodyElses({ name: holder, owner: null }, 'uuid');
      return { next: fromSpec(spec) };
    },
    { ...options, owner: spec.owner },
  );
  return asMachine(made!);
}

/** Names of the configured networks, and of those that Muster made for the tenant. */
async function networksFor(site: Site, { tenantId }: MachineSpec['owner']): Promise<string[]> {
  const made = (await readNetworks(site)).filter(({ owner }) => owner.tenantId === tenantId);
  return [...(await readSettings(site)).networks, ...made].map(({ name }) => name);
}

function fromSpec(spec: MachineSpec): MachineRecord {
  const { name, uuid, owner, cpuCount, memoryBytes, firmware, hardware } = spec;
  const nics = spec.nics.map((nic) => ({ ...nic, model: hardware.nicModel }));
  return {
    ...{ name, uuid, owner, cpuCount, memoryBytes, firmware, hardware, nics },
    power: 'off',
    disks: [],
    registeredPaths: [],
    poweredOnAt: null,
    boots: 0,
    recoveredCounter: null,
    os: null,
    checkpoints: [],
  };
}

async function remove(site: Site, ref: MachineRef, options: CallOptions = {}): Promise<void> {
  await reach(site, options);
  await changeMachine(
    site,
    ref.name,
    'platform.remove',
    async (machine) => {
      if (!machine) return null;
      requireOwn(machine, ref);
      if (machine.power !== 'off') {
        throw new OperatorError({
          what: `${ref.name} cannot be removed`,
          found: `it is ${machine.power}`,
          needed: 'a machine that is off',
          remedy: 'Switch it off first, then retry.',
        });
      }
      for (const disk of machine.disks) await dropHold(disk.path, `machine:${ref.name}`);
      return { next: { ...machine, removed: true } };
    },
    { ...options, owner: ref.owner },
  );
}

async function power(
  site: Site,
  ref: MachineRef,
  action: 'on' | 'off' | 'shutdown',
  options: CallOptions & { deadlineMs?: number } = {},
): Promise<void> {
  await reach(site, options);
  if (action === 'shutdown') return shutDown(site, ref, options);
  await changeMachine(
    site,
    ref.name,
    action === 'on' ? 'platform.power-on' : 'platform.power-off',
    async (machine) => {
      if (!machine) throw unknownMachine(site, ref.name);
      requireOwn(machine, ref);
      if ((machine.power === 'on') === (action === 'on')) return null;
      return { next: action === 'on' ? await switchedOn(site, machine) : await switchedOff(site, machine) };
    },
    { ...options, owner: ref.owner },
  );
}

async function switchedOn(site: Site, machine: MachineRecord): Promise<MachineRecord> {
  const holder = `machine:${machine.name}` as const;
  const taken: string[] = [];
  try {
    for (const disk of machine.disks) {
      await holdDisk(disk.path, holder);
      taken.push(disk.path);
    }
  } catch (error) {
    for (const path of taken) await dropHold(path, holder);
    throw error;
  }
  const outcome = await bootOutcome(machine);
  const found = outcome.boots ? await readCounter(outcome.systemDisk) : null;
  const { taskMs } = await readSettings(site);
  return {
    ...machine,
    power: 'on',
    poweredOnAt: site.now() + taskMs,
    boots: machine.boots + 1,
    recoveredCounter: found?.counter ?? 0,
  };
}

async function switchedOff(site: Site, machine: MachineRecord): Promise<MachineRecord> {
  await writeServiceData(site, machine);
  for (const disk of machine.disks) await dropHold(disk.path, `machine:${machine.name}`);
  return { ...machine, power: 'off', poweredOnAt: null };
}

async function shutDown(site: Site, ref: MachineRef, options: CallOptions & { deadlineMs?: number }): Promise<void> {
  const machine = await readMachine(site, ref.name);
  if (!machine) throw unknownMachine(site, ref.name);
  requireOwn(machine, ref);
  if (machine.power === 'off') return;
  const { guestShutdownMs } = await readSettings(site);
  const deadlineMs = options.deadlineMs ?? 60_000;
  const listens = await isUp(site, machine);
  await pause(Math.min(listens ? guestShutdownMs : deadlineMs, deadlineMs), options.signal);
  if (!listens || guestShutdownMs > deadlineMs) {
    throw new TransientError({
      what: `${ref.name} does not shut down`,
      found: `still on after ${deadlineMs} ms`,
      needed: 'off',
      remedy: 'Look at its console; it can be switched off the hard way.',
    });
  }
  await power(site, ref, 'off', options);
}

async function runInGuest(site: Site, name: string, command: GuestCommand, options: CallOptions = {}) {
  await reach(site, options);
  const machine = await readMachine(site, name);
  if (!machine) throw unknownMachine(site, name);
  if (!(await isUp(site, machine))) {
    throw new TransientError({
      what: `the guest agent of ${name} does not answer`,
      found: machine.power === 'on' ? 'the machine is on, no agent connected' : `the machine is ${machine.power}`,
      needed: 'a booted guest with its agent running',
    });
  }
  return runSimulated(site, machine, command);
}

async function look(site: Site, name: string, options: CallOptions = {}) {
  await reach(site, options);
  const machine = await readMachine(site, name);
  if (!machine) throw unknownMachine(site, name);
  if (machine.power === 'off') return { png: null, consoleText: null };
  const text = await consoleText(site, machine);
  return { png: encodePng(drawText(text)), consoleText: text };
}

function asMachine(record: MachineRecord): Machine {
  const { name, uuid, owner, cpuCount, memoryBytes, firmware, nics, hardware } = record;
  return {
    ...{ name, uuid, owner, cpuCount, memoryBytes, firmware, nics },
    power: record.power,
    disks: [...record.disks]
      .sort((a, b) => a.index - b.index)
      .map(({ index, path, format, sizeBytes }) => ({
        ...{ index, path, format, sizeBytes },
        controller: hardware.diskController,
        device: deviceName(index),
      })),
    bootId: bootIdOf(record),
  };
}

/** `sda`, `sdb`, …, `sdaa`: how Linux and libvirt count. */
export function deviceName(index: number): string {
  const letter = String.fromCharCode(97 + (index % 26));
  return index < 26 ? `sd${letter}` : `${deviceName(Math.floor(index / 26) - 1)}${letter}`;
}
