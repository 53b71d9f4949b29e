/**
 * Machines of a simulated site: one JSON file each, changed under the machine's lock.
 *
 * A change runs as a task: it is written into the machine's file together with the moment it ends, and whoever reads the
 * machine after that moment settles it. So a task goes on when the process that started it dies, as a hypervisor's does.
 * The effect's log line waits in the file (`outbox`) until it is in the log, so that each effect is logged exactly once.
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { fewAtOnce } from '../../model/few-at-once';
import type { HardwareProfile, NicSpec, OperatingSystem } from '../../model/server';
import type { MachineDisk, Owner, PowerState } from '../contract';
import type { Firmware } from '../../model/server';
import { withFileLock } from '../file-lock';
import { filesAtOnce, readJson, writeJson } from '../json-file';
import { requireMachineName } from '../names';
import { logEffects, missingEffects, newEffect, type SiteEffect } from './effects';
import { fileNameFor, lockName, pause, readSettings, type Site } from './site';

export interface MachineTask {
  readonly id: string;
  readonly what: string;
  readonly startedAt: number;
  readonly endsAt: number;
}

export interface Checkpoint {
  readonly name: string;
  /** disk id -> digest of every block at that moment. */
  readonly blocks: Readonly<Record<string, readonly string[]>>;
}

export interface MachineRecord {
  readonly name: string;
  readonly uuid: string;
  readonly owner: Owner | null;
  readonly power: PowerState;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly firmware: Firmware;
  readonly hardware: HardwareProfile;
  readonly nics: readonly NicSpec[];
  readonly disks: readonly MachineDisk[];
  readonly registeredPaths: readonly string[];
  /** Since when it is powered on, milliseconds since 1970. */
  readonly poweredOnAt: number | null;
  readonly boots: number;
  /** The service's counter as it stood on the disk at power-on. */
  readonly recoveredCounter: number | null;
  /** Known for seeded machines; what `discover` finds inside. */
  readonly os: OperatingSystem | null;
  readonly checkpoints: readonly Checkpoint[];
  readonly removed?: boolean;
}

interface MachineFile {
  readonly machine: MachineRecord;
  readonly task: { readonly task: MachineTask; readonly then: MachineRecord; readonly effect: SiteEffect } | null;
  readonly lastTask: MachineTask | null;
  readonly outbox: readonly SiteEffect[];
}

/** What a change decides, looking at the machine under its lock: nothing to do, or the next state. */
export type Change = { readonly next: MachineRecord; readonly takesMs?: number } | null;

/** The machine as it is now, or undefined. */
export async function readMachine(site: Site, name: string): Promise<MachineRecord | undefined> {
  const file = await readJson<MachineFile>(machineFile(site, name));
  if (!file) return undefined;
  const settled = settle(site, file);
  return settled.machine.removed ? undefined : settled.machine;
}

/** All machines. What a process that died did not finish writing down is finished here: nobody asks for a removed one by name. */
export async function readMachines(site: Site): Promise<MachineRecord[]> {
  const names = await readdir(machinesFolder(site)).catch(() => [] as string[]);
  const files = names.filter((name) => name.endsWith('.json')).sort();
  const found = await fewAtOnce(files, filesAtOnce, (name) => readJson<MachineFile>(join(machinesFolder(site), name)));
  const settled = found.filter((file) => file !== undefined).map((file) => settle(site, file));
  for (const { machine, outbox } of settled) {
    if (outbox.length === 0) continue;
    await withFileLock(lockName(site, `machine ${machine.name}`), () => settleOnDisk(site, machine.name));
  }
  return settled.map(({ machine }) => machine).filter((machine) => !machine.removed);
}

/** The task that changes the machine now, and the one before it. */
export async function lookUpTasks(
  site: Site,
  name: string,
): Promise<{ running: MachineTask | null; last: MachineTask | null }> {
  const file = await readJson<MachineFile>(machineFile(site, name));
  const settled = file && settle(site, file);
  return { running: settled?.task?.task ?? null, last: settled?.lastTask ?? null };
}

/**
 * Changes one machine by a task and waits for its end. `decide` sees the machine when no other task runs on it and returns
 * null when everything is so already; it may throw to refuse. An abort ends the wait; the task goes on.
 */
export async function changeMachine(
  site: Site,
  name: string,
  what: string,
  decide: (machine: MachineRecord | undefined) => Promise<Change> | Change,
  options: { signal?: AbortSignal; owner?: Owner | null; disk?: string } = {},
): Promise<MachineRecord | undefined> {
  requireMachineName(name);
  for (;;) {
    const step = await withFileLock(
      lockName(site, `machine ${name}`),
      () => startTask(site, name, what, decide, options),
      options.signal,
    );
    if (step.done) return step.machine?.removed ? undefined : step.machine;
    await pause(Math.min(Math.max(step.waitMs, 1), 50), options.signal);
  }
}

type Step = { done: true; machine: MachineRecord | undefined } | { done: false; waitMs: number };

async function startTask(
  site: Site,
  name: string,
  what: string,
  decide: (machine: MachineRecord | undefined) => Promise<Change> | Change,
  options: { owner?: Owner | null; disk?: string },
): Promise<Step> {
  const file = await settleOnDisk(site, name);
  if (file?.task) return { done: false, waitMs: file.task.task.endsAt - site.now() };
  const machine = file?.machine.removed ? undefined : file?.machine;
  const change = await decide(machine);
  if (!change) return { done: true, machine };
  const startedAt = site.now();
  const takesMs = change.takesMs ?? (await readSettings(site)).taskMs;
  const task: MachineTask = { id: randomUUID(), what, startedAt, endsAt: startedAt + takesMs };
  const effect = newEffect(site, what, name, options);
  const started: MachineFile = {
    machine: machine ?? { ...change.next, removed: true },
    task: { task, then: change.next, effect },
    lastTask: file?.lastTask ?? null,
    outbox: [],
  };
  await writeJson(machineFile(site, name), started, { alone: true });
  if (takesMs > 0) return { done: false, waitMs: takesMs };
  await settleOnDisk(site, name);
  return { done: true, machine: change.next };
}

/** What the file says once tasks that have ended are counted in. */
function settle(site: Site, file: MachineFile): MachineFile {
  if (!file.task || site.now() < file.task.task.endsAt) return file;
  const effect = { ...file.task.effect, at: new Date(file.task.task.endsAt).toISOString() };
  return { machine: file.task.then, task: null, lastTask: file.task.task, outbox: [...file.outbox, effect] };
}

/** Under the machine's lock: writes down what has ended, logs it, and forgets a removed machine. */
async function settleOnDisk(site: Site, name: string): Promise<MachineFile | undefined> {
  const path = machineFile(site, name);
  const found = await readJson<MachineFile>(path);
  if (!found) return undefined;
  const settled = settle(site, found);
  if (settled !== found) await writeJson(path, settled, { alone: true });
  if (settled.outbox.length > 0) {
    // Written by this call: certainly not logged yet. Found in the file: its writer died, before or after its log line.
    const unlogged = found.outbox.length === 0 ? settled.outbox : await missingEffects(site, settled.outbox);
    await logEffects(site, unlogged);
    if (!settled.machine.removed) await writeJson(path, { ...settled, outbox: [] }, { alone: true });
  }
  if (settled.machine.removed && !settled.task) {
    await rm(uuidFile(site, settled.machine.uuid), { force: true });
    await rm(path, { force: true });
    return undefined;
  }
  return { ...settled, outbox: [] };
}

export function uuidFile(site: Site, uuid: string): string {
  return join(site.folder, 'uuids', fileNameFor(uuid));
}

/** Reserves the uuid for the machine; returns the name of the machine that has it. */
export async function reserveUuid(site: Site, uuid: string, name: string): Promise<string> {
  const path = uuidFile(site, uuid);
  await mkdir(join(site.folder, 'uuids'), { recursive: true });
  const holder = await readJson<{ name: string }>(path);
  if (holder && (holder.name === name || (await readMachine(site, holder.name))?.uuid === uuid)) return holder.name;
  await writeJson(path, { name }, { alone: true });
  return name;
}

function machinesFolder(site: Site): string {
  return join(site.folder, 'machines');
}

function machineFile(site: Site, name: string): string {
  return join(machinesFolder(site), `${fileNameFor(name)}.json`);
}
