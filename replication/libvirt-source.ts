/**
 * A libvirt host as the source of points: push-mode backups of a running machine, each leaving a checkpoint (a dirty
 * bitmap) behind that the next one starts from. Nothing is installed in the guest; its agent, where there is one, gives
 * frozen filesystems, the operating system and the clock.
 */
import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallOptions } from '../platforms/contract';
import { isMusterError, OperatorError } from '../model/errors';
import { guestWord } from '../model/names';
import type { OperatingSystem } from '../model/server';
import { withScratch } from '../disks/signatures-image';
import { refuseBeforeAgent } from './agent-to-come';
import type { CopyRequest, CopyResult, DiscoveredServer, ReplicationSource } from './contract';
import { backupXml, checkpointXml } from './libvirt-backup-xml';
import { parseDomain, type Domain } from './libvirt-domain';
import { endLeftoverJob, waitForBackup } from './libvirt-job';
import { agent, thawLeftover, whileFrozen } from './libvirt-freeze';
import { stoppedHow, whileHeldStill } from './libvirt-stopped';
import { virshOn, type Virsh } from './virsh';

export interface LibvirtSourceSettings {
  readonly uri: string;
  /** Milliseconds since 1970, UTC, of the recovery site. */
  readonly clock: () => number;
  /** Milliseconds for durations. Default: the process's own, which nobody sets. */
  readonly elapsed?: () => number;
}

interface Host {
  readonly virsh: Virsh;
  readonly uri: string;
  readonly clock: () => number;
  readonly elapsed: () => number;
  /** When this process last knew that a machine is not frozen. */
  readonly thawedAt: Map<string, number>;
}

/** Meanwhile no other worker can have had the machine: a session goes to another one after 10 s without a heartbeat. */
const trustedMs = 10_000;

export function createLibvirtSource({ uri, clock, elapsed }: LibvirtSourceSettings): ReplicationSource {
  const host: Host = { virsh: virshOn(uri), uri, clock, elapsed: elapsed ?? performanceNow, thawedAt: new Map() };
  return {
    discover: (machine, options) => discover(host, machine, options),
    copy: (request, options) => copy(host, request, options),
    checkpoints: (machine, options) => checkpoints(host, machine, options),
    deleteCheckpoint: (machine, name, options) => deleteCheckpoint(host, machine, name, options),
  };
}

const look = async (virsh: Virsh, machine: string, signal?: AbortSignal): Promise<Domain> =>
  parseDomain(await virsh(['dumpxml', machine], { signal }));

async function discover({ virsh }: Host, machine: string, { signal }: CallOptions = {}): Promise<DiscoveredServer> {
  const { disks: found, nics, firmware, cpuCount, memoryBytes } = await look(virsh, machine, signal);
  const disks = [];
  for (const disk of found) {
    const info = await virsh(['domblkinfo', machine, disk.sourceDevice], { signal });
    disks.push({ ...disk, sizeBytes: Number(/^Capacity:\s+(\d+)/m.exec(info)?.[1]) });
  }
  return { firmware, cpuCount, memoryBytes, nics, disks, os: await operatingSystem(virsh, machine, signal) };
}

async function operatingSystem(virsh: Virsh, machine: string, signal?: AbortSignal): Promise<OperatingSystem> {
  return systemOf(await agent<unknown>(virsh, machine, 'guest-get-osinfo', signal));
}

/** What guest-get-osinfo says. The guest chooses every word of it: what is no word is left out, a long one is cut. */
export function systemOf(info: unknown): OperatingSystem {
  if (typeof info !== 'object' || info === null) return { family: 'unknown' };
  const said = (key: string): string | undefined => guestWord((info as Record<string, unknown>)[key]);
  const words = {
    distribution: said('id'),
    version: said('version-id'),
    prettyName: said('pretty-name'),
    kernelRelease: said('kernel-release'),
  };
  const known = Object.entries(words).filter(([, word]) => word !== undefined);
  return { family: words.distribution === 'mswindows' ? 'windows' : 'linux', ...Object.fromEntries(known) };
}

async function copy(host: Host, request: CopyRequest, options: CallOptions = {}): Promise<CopyResult> {
  const { virsh, uri } = host;
  const { machineName } = request;
  const how = request.ofStoppedMachine === true ? await stoppedHow(virsh, machineName, options.signal) : null;
  if (how === null) return copyRunning(host, request, options);
  const uuid = await virsh(['domuuid', machineName], { signal: options.signal });
  const machine = { uri, virsh, uuid, name: machineName };
  const still = { ...request, freezeFilesystems: false, agentFirst: undefined };
  const copied = await whileHeldStill(machine, () => copyRunning(host, still, options), options.signal);
  return { ...copied, consistency: how === 'clean' ? 'application' : 'crash', withoutAgentIn: null };
}

async function copyRunning(host: Host, request: CopyRequest, options: CallOptions): Promise<CopyResult> {
  const { virsh } = host;
  const { machineName } = request;
  const domain = await look(virsh, machineName, options.signal);
  await prepareMachine(host, request, domain, options);
  const wanted = new Set(request.disks.map((disk) => disk.device));
  const others = domain.disks.map((disk) => disk.sourceDevice).filter((device) => !wanted.has(device));
  const clockSkewMs = await clockSkew(host, machineName, options.signal);
  const begin = () => beginBackup(host, request, others, options);
  if (request.freezeFilesystems) host.thawedAt.delete(machineName);
  const {
    result: takenAt,
    frozen,
    leftFrozen,
  } = request.freezeFilesystems
    ? await whileFrozen(virsh, host.uri, machineName, begin, { signal: options.signal })
    : { result: await begin(), frozen: false, leftFrozen: false };
  await waitForBackup(host, machineName, options);
  const isThawed = request.freezeFilesystems ? !leftFrozen : host.thawedAt.has(machineName);
  if (isThawed) host.thawedAt.set(machineName, host.elapsed());
  const sizes = await Promise.all(request.disks.map(async ({ file }) => (await stat(file)).blocks * 512));
  return {
    takenAt: new Date(takenAt).toISOString(),
    clockSkewMs,
    consistency: frozen ? 'file-system' : 'crash',
    copiedBytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
    withoutAgentIn: domain.agent === 'disconnected' ? domain.start : null,
  };
}

/** Clears what an attempt that was cut short left: its job, its checkpoint, its files, a frozen guest. */
async function prepareMachine(host: Host, request: CopyRequest, domain: Domain, options: CallOptions): Promise<void> {
  const { machineName, checkpoint, since } = request;
  await thawIfUnknown(host, machineName, domain, options);
  await endLeftoverJob(host, machineName, options.signal);
  refuseBeforeAgent(machineName, domain, request.agentFirst);
  const known = await checkpoints(host, machineName, options);
  if (known.includes(checkpoint)) await deleteCheckpoint(host, machineName, checkpoint, options);
  for (const { file } of request.disks) await rm(file, { force: true });
  if (since !== null && !known.includes(since)) throw checkpointLost(since, 'no such checkpoint at the source');
}

/** A worker that had the machine since may have been killed while it was frozen, and its watchdog with it. */
async function thawIfUnknown(host: Host, machine: string, domain: Domain, { signal }: CallOptions): Promise<void> {
  const knownAt = host.thawedAt.get(machine);
  if (knownAt !== undefined && host.elapsed() - knownAt < trustedMs) return;
  const thawed = await thawLeftover(host.virsh, machine, signal);
  if (thawed || domain.agent === null) host.thawedAt.set(machine, host.elapsed());
  else host.thawedAt.delete(machine);
}

const performanceNow = (): number => performance.now();

/** Returns the moment of the point: libvirt takes all disks' bitmaps and starts all copies in one transaction. */
async function beginBackup(
  host: Host,
  request: CopyRequest,
  others: readonly string[],
  { signal }: CallOptions,
): Promise<number> {
  return withScratch(async (folder) => {
    const backup = join(folder, 'backup.xml');
    const checkpoint = join(folder, 'checkpoint.xml');
    await writeFile(backup, backupXml(request, others));
    await writeFile(checkpoint, checkpointXml(request, others));
    const takenAt = host.clock();
    try {
      await host.virsh(['backup-begin', request.machineName, backup, checkpoint], { signal });
    } catch (error) {
      if (request.since !== null && isMusterError(error) && /bitmap|checkpoint/i.test(error.facts.found ?? '')) {
        throw checkpointLost(request.since, error.facts.found!);
      }
      throw error;
    }
    return takenAt;
  });
}

/** Source clock minus ours, seen in the middle of the question; null without an agent. */
async function clockSkew({ virsh, clock }: Host, machine: string, signal?: AbortSignal): Promise<number | null> {
  const before = clock();
  const answer = await agent<unknown>(virsh, machine, 'guest-get-time', signal);
  return skewOf(answer, (before + clock()) / 2);
}

/** `answer`: of guest-get-time, in nanoseconds; null for what is no time. */
export function skewOf(answer: unknown, nowMs: number): number | null {
  const skewMs = typeof answer === 'number' ? Math.round(answer / 1e6 - nowMs) : NaN;
  return Number.isFinite(skewMs) ? skewMs : null;
}

async function checkpoints({ virsh }: Host, machine: string, { signal }: CallOptions = {}): Promise<string[]> {
  const names = await virsh(['checkpoint-list', machine, '--name', '--topological'], { signal });
  return names
    .split('\n')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** A checkpoint whose bitmap went with a crashed machine has only its description left; that is removed then. */
async function deleteCheckpoint(host: Host, machine: string, name: string, options: CallOptions = {}): Promise<void> {
  if (!(await checkpoints(host, machine, options)).includes(name)) return;
  const { signal } = options;
  try {
    await host.virsh(['checkpoint-delete', machine, name], { signal });
  } catch (error) {
    if (!isMusterError(error) || !/bitmap|inactive|not (active|running)/i.test(error.facts.found ?? '')) throw error;
    await host.virsh(['checkpoint-delete', machine, name, '--metadata'], { signal });
  }
}

function checkpointLost(name: string, found: string): OperatorError {
  return new OperatorError({
    what: `CheckpointLost: the source cannot say what changed since ${name}`,
    found,
    needed: 'the checkpoint of the newest point',
    remedy: 'A full copy begins a new chain; the points so far stay.',
  });
}
