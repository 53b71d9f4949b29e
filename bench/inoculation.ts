/**
 * Inoculation against other ways, in one run on overlays of the same guest, taking turns:
 *
 *   not prepared       createDiskEditor().inoculate: looks, rewrites names, appends drivers, reads everything back
 *   prepared           the same with what prepareInoculation worked out before
 *   virt-v2v-in-place  the same editor's other inoculator, for virtio: converts, our own look, commit
 *   update-initramfs   one guestfish that extends /etc/initramfs-tools/modules and runs update-initramfs; nothing verified
 *
 *   npx tsx bench/inoculation.ts [runs] [ways]    default 3 and all four; ways: comma-separated, of the names above
 *
 * Prints a table and JSON. The appliance's start is part of each and shown apart (of virt-v2v's it is not known).
 * Aims: at most a third of virt-v2v-in-place; beyond the appliance's start 2 s when prepared.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import Table from 'cli-table3';
import type { InoculateOptions, KeptPreparation } from '../disks/contract';
import { createDiskEditor } from '../disks/editor';
import { startGuestfish } from '../disks/guestfish';
import type { TakenDisk } from '../model/replica';
import { hardwareProfiles, type HardwareProfile } from '../model/server';
import { demoGuest, type DemoGuest } from '../tools/demo-guest/build.mjs';

interface Sample {
  readonly totalMs: number;
  /** Until the appliance answered; null where that is not seen. */
  readonly startMs: number | null;
}

const names = ['not prepared', 'prepared', 'virt-v2v-in-place', 'update-initramfs'] as const;
type Way = (typeof names)[number];

const hardware = hardwareProfiles['vmware-pvscsi']!;
const virtio = hardwareProfiles['kvm-virtio']!;
const aims = { againstV2v: 1 / 3, preparedBeyondStartMs: 2_000 };

async function main(): Promise<void> {
  const runs = Number(process.argv[2] ?? 3);
  if (!Number.isInteger(runs) || runs < 1)
    throw new Error(`runs: found ${process.argv[2]}, needed a whole number from 1`);
  const ways =
    process.argv[3] === undefined ? names : names.filter((name) => process.argv[3]!.split(',').includes(name));
  const guest = await demoGuest();
  const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'));
  try {
    const samples = new Map<Way, Sample[]>(ways.map((way) => [way, []]));
    // The host's libguestfs builds its appliance on first use; that is nobody's inoculation.
    await usualWay(guest, newOverlay(guest, folder, 'warm-up'), folder, { startOnly: true });
    const prepared = ways.includes('prepared') ? await prepare(guest, folder) : undefined;
    const measure: Record<Way, (overlay: string) => Promise<Sample>> = {
      'not prepared': (overlay) => ourWay(overlay, guest, folder, hardware, {}),
      prepared: (overlay) => ourWay(overlay, guest, folder, hardware, { prepared: prepared! }),
      'virt-v2v-in-place': async (overlay) => {
        const sample = await ourWay(overlay, guest, folder, virtio, { inoculator: 'virt-v2v-in-place' });
        return { ...sample, startMs: null };
      },
      'update-initramfs': (overlay) => usualWay(guest, overlay, folder),
    };
    for (let run = 0; run < runs; run += 1) {
      for (const way of ways) {
        samples.get(way)!.push(await measure[way](newOverlay(guest, folder, `${way.replaceAll(' ', '-')}-${run}`)));
      }
      process.stderr.write(`run ${run + 1} of ${runs} done\n`);
    }
    print(samples);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function newOverlay(guest: DemoGuest, folder: string, name: string): string {
  const path = join(folder, `${name}.qcow2`);
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', guest.imagePath, '-F', 'qcow2', path]);
  return path;
}

const diskOf = (overlay: string, guest: DemoGuest): TakenDisk => ({
  ...{ diskId: 'disk0', index: 0, pointId: 'bench', virtualSizeBytes: guest.sizeBytes, signatures: [] },
  ...{ path: overlay, format: 'qcow2', editUri: `file:${overlay}` },
});

async function prepare(guest: DemoGuest, folder: string): Promise<KeptPreparation> {
  const files = join(folder, 'prepared');
  mkdirSync(files);
  const disk = diskOf(newOverlay(guest, folder, 'ground'), guest);
  const editor = createDiskEditor({ scratchFolder: join(folder, 'scratch') });
  const [result] = await editor.prepareInoculation([disk], [hardware], { folder: files });
  if (result === undefined || !('prepared' in result)) throw new Error(JSON.stringify(result));
  return { ...result.prepared, preparedAt: new Date().toISOString() };
}

async function ourWay(
  overlay: string,
  guest: DemoGuest,
  folder: string,
  profile: HardwareProfile,
  options: Pick<InoculateOptions, 'prepared' | 'inoculator'>,
): Promise<Sample> {
  const started = performance.now();
  let startMs = 0;
  const editor = createDiskEditor({ scratchFolder: join(folder, 'scratch') });
  const report = await editor.inoculate([diskOf(overlay, guest)], profile, {
    ...options,
    onProgress: ({ done }) => void (startMs ||= done > 0 ? performance.now() - started : 0),
  });
  const expected = options.inoculator === undefined ? 'archive-appended' : 'regenerated';
  const used = report.prepared?.used === (options.prepared !== undefined);
  if (!used || report.kernels.some(({ how }) => how !== expected)) throw new Error(JSON.stringify(report));
  return { totalMs: performance.now() - started, startMs };
}

async function usualWay(
  guest: DemoGuest,
  overlay: string,
  folder: string,
  options: { startOnly?: boolean } = {},
): Promise<Sample> {
  const modules = join(folder, 'modules');
  writeFileSync(modules, hardware.linuxModules.map((name) => `${name}\n`).join(''));
  const started = performance.now();
  const appliance = startGuestfish({ temporaryFolder: folder });
  try {
    await appliance.ask('add-drive', [overlay, 'format:qcow2']);
    await appliance.ask('run', [], 600_000);
    const startMs = performance.now() - started;
    if (options.startOnly !== true) {
      await appliance.ask('mount', ['/dev/sda1', '/']);
      await appliance.ask('upload', [modules, '/etc/initramfs-tools/modules']);
      await appliance.ask('command', [`/usr/sbin/update-initramfs -u -k ${guest.kernelRelease}`], 1_800_000);
    }
    await appliance.close();
    return { totalMs: performance.now() - started, startMs };
  } catch (error) {
    await appliance.kill();
    throw error;
  }
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!;
const seconds = (ms: number) => (ms / 1000).toFixed(1);

const beyondStart = (samples: readonly Sample[]) => median(samples.map(({ totalMs, startMs }) => totalMs - startMs!));

function print(samples: ReadonlyMap<Way, Sample[]>): void {
  const rows = [...samples].map(([name, all]) => ({
    name,
    medianMs: Math.round(median(all.map(({ totalMs }) => totalMs))),
    beyondStartMs: all[0]!.startMs === null ? null : Math.round(beyondStart(all)),
    allMs: all.map(({ totalMs }) => Math.round(totalMs)),
  }));
  const head = ['way', 'median s', 'beyond the start of the appliance s', 'each run s'];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const { name, medianMs, beyondStartMs, allMs } of rows) {
    const beyond = beyondStartMs === null ? 'not known' : seconds(beyondStartMs);
    table.push([name, seconds(medianMs), beyond, allMs.map(seconds).join(' ')]);
  }
  console.log(table.toString());
  const medianOf = (name: Way) => rows.find((row) => row.name === name)?.medianMs;
  const ratio = (a: Way, b: Way) => (medianOf(a) && medianOf(b) ? medianOf(a)! / medianOf(b)! : null);
  const results = {
    againstV2v: ratio('not prepared', 'virt-v2v-in-place'),
    preparedAgainstV2v: ratio('prepared', 'virt-v2v-in-place'),
    preparedAgainstNot: ratio('prepared', 'not prepared'),
    againstUpdateInitramfs: ratio('not prepared', 'update-initramfs'),
    preparedBeyondStartMs: rows.find(({ name }) => name === 'prepared')?.beyondStartMs ?? null,
  };
  const machine = { cpus: cpus().length, load: loadavg()[0] };
  console.log(JSON.stringify({ bench: 'inoculation', rows, results, aims, machine }));
}

void main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
