/**
 * virt-v2v-in-place as an inoculator: what the built-in one does not know, and for virtio only, because that is what
 * virt-v2v converts to. It changes disks in place and without a way back, so it works on overlays of its own:
 *
 *   overlay per disk, on the disk as it is (NBD or file) ──> virt-v2v-in-place ──> our own look ──> qemu-img commit
 *
 * Killed before the commit, nothing of the disks has changed; killed in it, the next attempt does everything once more
 * (virt-v2v converts what it has converted already without harm). Needs package virt-v2v (2.2 was run).
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatDuration } from '../model/durations';
import { OperatorError, PermanentError, TransientError } from '../model/errors';
import { printableLines } from '../model/names';
import type { TakenDisk } from '../model/replica';
import type { HardwareProfile } from '../model/server';
import { childEnvironment } from '../programs/environment';
import { runGroup, type GroupEnd, type Kept } from '../programs/group';
import { limitsFor } from '../programs/limits';
import { ProgramError, runProgram } from '../programs/run';
import type { InoculateOptions, InoculationReport } from './contract';
import { printable } from './guestfish-words';
import type { V2vFindings } from './v2v-look';

export const v2vName = 'virt-v2v-in-place';
/** The one profile that virt-v2v converts to. */
export const v2vHardware = 'kvm-virtio';

/** A conversion took 87 s in an emulated appliance, most of it in the guest's own dracut or update-initramfs. */
const timeoutMs = 30 * 60_000;
const quickMs = 60_000;
/** A conversion was seen to stand still for half an hour (once, emulated). One at work said something every 18 s, beside another one. */
const stillForMs = 5 * 60_000;
/** With -v everything is told, about 1 MB for a Debian. */
const keepBytes = 4 * 1024 * 1024;
/** `[   33.653726] sd 2:0:0:0: [sda]` */
const ofTheKernel = /^\[ *\d+\.\d{6}\]/;
/** Linux says so every twenty seconds to two minutes of a processor or a task that does not go on. */
const ofAHang = /^\[ *\d+\.\d{6}\] .*(detected stalls|self-detected stall|soft lockup|blocked for more than)/;

export interface V2vRequest {
  readonly disks: readonly TakenDisk[];
  readonly hardware: HardwareProfile;
  /** An empty folder with room for what changes. */
  readonly scratch: string;
  readonly emulate: boolean;
  readonly stage: (label: string, done: number) => void;
  readonly options: Pick<InoculateOptions, 'signal' | 'unlockKeys'>;
  /** A look at the converted disks in an appliance of its own. */
  readonly look: (disks: readonly TakenDisk[]) => Promise<V2vFindings>;
  /** After so long without a word and without work it is ended as hung. Default: five minutes. */
  readonly stillForMs?: number;
}

/**
 * @throws OperatorError when virt-v2v is missing or does not convert this system, with its own words; PermanentError when
 * the converted system lacks a driver; TransientError when it did not come to an end. The disks are unchanged after each.
 */
export async function inoculateByV2v(request: V2vRequest): Promise<InoculationReport> {
  const { hardware, scratch, stage, options } = request;
  if (hardware.id !== v2vHardware) throw otherHardware(hardware);
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  const disks = await Promise.all(sorted(request.disks).map((disk) => overlayOn(disk, scratch, options.signal)));
  const description = join(scratch, 'machine.xml');
  await writeFile(description, machineXml(disks.map(({ path }) => path)), { mode: 0o600 });
  stage('converting with virt-v2v', 5);
  const warnings = await convert(description, request);
  stage('reading back what was converted', 80);
  const found = await request.look(disks);
  refuseLacking(found);
  stage('writing what was converted', 94);
  for (const { path } of disks) await commit(path, options.signal);
  stage('done', 100);
  return {
    inoculator: v2vName,
    operatingSystem: found.operatingSystem,
    kernels: found.kernels.map(({ release }) => ({ release, how: 'regenerated', modulesAdded: [] })),
    changes: ['converted by virt-v2v: initramfs, boot loader, device names and network drivers as it knows the system'],
    verified: found.verified,
    warnings: [...warnings, ...found.warnings],
    prepared: { used: false, because: 'virt-v2v works on the system as it is', preparedAt: null },
  };
}

const sorted = (disks: readonly TakenDisk[]) => [...disks].sort((a, b) => a.index - b.index);

async function overlayOn(disk: TakenDisk, scratch: string, signal: AbortSignal | undefined): Promise<TakenDisk> {
  const path = join(scratch, `disk${disk.index}.qcow2`);
  const on = disk.editUri.replace(/^file:(\/\/)?/, '');
  const format = disk.editUri.startsWith('nbd+unix:') ? 'raw' : disk.format;
  const args = ['create', '-q', '-f', 'qcow2', '-b', on, '-F', format, path];
  await tool('qemu-img', args, disk.diskId, signal, quickMs);
  return { ...disk, path, format: 'qcow2', editUri: `file:${path}` };
}

async function commit(path: string, signal: AbortSignal | undefined): Promise<void> {
  await tool('qemu-img', ['commit', '-q', '-f', 'qcow2', '-d', path], path, signal, timeoutMs);
}

async function tool(program: string, args: string[], about: string, signal: AbortSignal | undefined, limitMs: number) {
  try {
    await runProgram(program, args, { signal, timeoutMs: limitMs, limits: limitsFor.chain });
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof ProgramError)) throw error;
    const found = error.stderr.trim().split('\n').at(-1) || error.shortMessage;
    throw new TransientError({ what: `${program} ${args[0]} failed for ${about}`, found: printable(found) });
  }
}

/** The least that virt-v2v reads of a machine (virt-v2v-in-place(1), "Minimal XML"): where the disks are. */
export function machineXml(paths: readonly string[]): string {
  const disks = paths.map((path, index) => {
    const source = path.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll("'", '&apos;');
    const target = `sd${String.fromCharCode(97 + index)}`;
    return `    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${source}'/><target dev='${target}' bus='sata'/></disk>`;
  });
  return [
    "<domain type='kvm'>",
    '  <name>muster</name>',
    "  <memory unit='MiB'>1024</memory>",
    '  <vcpu>1</vcpu>',
    "  <os><type arch='x86_64'>hvm</type></os>",
    '  <devices>',
    ...disks,
    '  </devices>',
    '</domain>\n',
  ].join('\n');
}

/** Its warnings. Keys go through standard input, one a line. */
async function convert(description: string, request: V2vRequest): Promise<string[]> {
  const { options, emulate, scratch, stage } = request;
  const keys = (options.unlockKeys ?? []).map((key) => Buffer.from(key).toString('utf8'));
  const read = keys.length > 0 ? ['--keys-from-stdin'] : [];
  let [label, done] = ['starting', 5];
  // A group: it serves the disks with a qemu-nbd that outlives it when it is killed.
  const end = await runGroup(v2vName, ['-v', '-i', 'libvirtxml', '--root', 'single', ...read, description], {
    ...{ cwd: scratch, signal: options.signal, timeoutMs, limits: limitsFor.conversion, keepBytes },
    input: keys.map((key) => `${key}\n`).join(''),
    env: childEnvironment({
      LIBGUESTFS_BACKEND: 'direct',
      LIBGUESTFS_TMPDIR: scratch,
      ...(emulate ? { LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' } : {}),
    }),
    // `[  12.3] Converting the guest to run on KVM`
    onLine: (line) => {
      const said = /^\[\s*[\d.]+\] (.+)$/.exec(line)?.[1];
      if (said !== undefined) stage(`virt-v2v: ${(label = printable(said))}`, (done = Math.min(78, done + 9)));
    },
    still: { forMs: request.stillForMs ?? stillForMs, uncounted: ofTheKernel, complaint: ofAHang },
  });
  if (end.exitCode !== 0) throw explained(end, label);
  return [...`${text(end.stdout)}\n${text(end.stderr)}`.matchAll(/^virt-v2v-in-place: warning: (.+)$/gm)].map((m) =>
    printable(m[1]!),
  );
}

const text = ({ head, tail }: Kept) => `${head.toString('utf8')}${tail?.toString('utf8') ?? ''}`;

function explained(end: GroupEnd, label: string) {
  const stderr = text(end.stderr);
  if (end.timedOut || end.wasStill) {
    const found = end.wasStill
      ? 'it hangs (no more words; no work, or a kernel that complains)'
      : 'not done in its time';
    return new TransientError({
      what: 'virt-v2v did not come to an end',
      found: `${found}, at "${label}"`,
      needed: `a conversion within ${formatDuration(timeoutMs)} that is never still for ${formatDuration(stillForMs)}`,
      remedy: 'Retry; the disks are as they were. The detail has its last words.',
      detail: lastOf(stderr),
    });
  }
  // What setpriv and prlimit say when the program is not there.
  if (end.exitCode === 127) {
    return new OperatorError({
      what: 'virt-v2v-in-place cannot be started',
      needed: 'package virt-v2v on the worker’s host',
      remedy: 'Install it (apt-get install virt-v2v), then decide "retry".',
    });
  }
  const error = [...stderr.matchAll(/^virt-v2v-in-place: error: ([^\n]+(?:\n(?!\S*:|\[)[^\n]+)*)/gm)].at(-1);
  const last = stderr.trim().split('\n').at(-1) || `it ended with ${end.signal ?? `exit code ${end.exitCode}`}`;
  return new OperatorError({
    what: 'virt-v2v does not convert the system on these disks',
    found: printable((error?.[1] ?? last).replaceAll('\n', ' ')),
    needed: 'a system that virt-v2v knows, with its boot loader (virt-v2v-support(1))',
    remedy: 'Choose an earlier recovery point, or skip the step if the system boots on virtio by itself.',
    // After its error it tells how it cleans up.
    detail: lastOf(error === undefined ? stderr : stderr.slice(0, error.index + error[0].length)),
  });
}

const lastOf = (said: string) => printableLines(said).slice(-4096);

function refuseLacking({ kernels }: V2vFindings): void {
  const newest = kernels[0];
  if (newest === undefined || newest.missing.length === 0) return;
  throw new PermanentError({
    what: 'virt-v2v has converted the system, and it still lacks drivers',
    found: `kernel ${newest.release} starts without ${newest.missing.join(', ')}`,
    needed: 'an initramfs with the drivers of the hardware',
    remedy: 'Choose other hardware or an earlier recovery point. The disks are as they were.',
  });
}

const otherHardware = (hardware: HardwareProfile) =>
  new OperatorError({
    what: 'virt-v2v makes systems fit for virtio only',
    found: hardware.id,
    needed: v2vHardware,
    remedy: `Choose hardware ${v2vHardware}, if the site offers it.`,
  });
