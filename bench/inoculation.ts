/**
 * Inoculation against the usual way, in one run on overlays of the same guest:
 *
 *   muster             createDiskEditor().inoculate: looks, rewrites names, appends drivers, reads everything back
 *   update-initramfs   one guestfish that extends /etc/initramfs-tools/modules and runs update-initramfs; nothing verified
 *
 *   npx tsx bench/inoculation.ts [runs]      default 3; prints a table and JSON; the appliance's start is part of both
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import Table from 'cli-table3';
import { createDiskEditor } from '../disks/editor';
import { startGuestfish } from '../disks/guestfish';
import type { TakenDisk } from '../model/replica';
import { hardwareProfiles } from '../model/server';
import { demoGuest, type DemoGuest } from '../tools/demo-guest/build.mjs';

interface Sample {
  readonly totalMs: number;
  /** Until the appliance answered. */
  readonly startMs: number;
}

const hardware = hardwareProfiles['vmware-pvscsi']!;
const aim = 0.25;

async function main(): Promise<void> {
  const runs = Number(process.argv[2] ?? 3);
  if (!Number.isInteger(runs) || runs < 1)
    throw new Error(`runs: found ${process.argv[2]}, needed a whole number from 1`);
  const guest = await demoGuest();
  const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'));
  try {
    const samples: { muster: Sample[]; usual: Sample[] } = { muster: [], usual: [] };
    // The host's libguestfs builds its appliance on first use; that is nobody's inoculation.
    await usualWay(guest, newOverlay(guest, folder, 'warm-up'), folder, { startOnly: true });
    for (let run = 0; run < runs; run += 1) {
      samples.muster.push(await ourWay(newOverlay(guest, folder, `muster-${run}`), guest, folder));
      samples.usual.push(await usualWay(guest, newOverlay(guest, folder, `usual-${run}`), folder));
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

async function ourWay(overlay: string, guest: DemoGuest, folder: string): Promise<Sample> {
  const disk: TakenDisk = {
    ...{ diskId: 'disk0', index: 0, pointId: 'bench', virtualSizeBytes: guest.sizeBytes, signatures: [] },
    ...{ path: overlay, format: 'qcow2', editUri: `file:${overlay}` },
  };
  const started = performance.now();
  let startMs = 0;
  const report = await createDiskEditor({ scratchFolder: join(folder, 'scratch') }).inoculate([disk], hardware, {
    onProgress: ({ done }) => void (startMs ||= done > 0 ? performance.now() - started : 0),
  });
  if (report.kernels.some(({ how }) => how !== 'archive-appended')) throw new Error(JSON.stringify(report.kernels));
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

function print(samples: { muster: Sample[]; usual: Sample[] }): void {
  const rows = Object.entries({ muster: samples.muster, 'update-initramfs': samples.usual }).map(([name, all]) => ({
    name,
    medianMs: Math.round(median(all.map(({ totalMs }) => totalMs))),
    startMs: Math.round(median(all.map(({ startMs }) => startMs))),
    allMs: all.map(({ totalMs }) => Math.round(totalMs)),
  }));
  const ratio = rows[0]!.medianMs / rows[1]!.medianMs;
  const withoutStart = (rows[0]!.medianMs - rows[0]!.startMs) / (rows[1]!.medianMs - rows[1]!.startMs);
  const head = ['way', 'median s', 'of it appliance start s', 'each run s'];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const row of rows)
    table.push([row.name, seconds(row.medianMs), seconds(row.startMs), row.allMs.map(seconds).join(' ')]);
  console.log(table.toString());
  console.log(
    `ratio ${ratio.toFixed(2)} (aim: at most ${aim}); without the appliance's start ${withoutStart.toFixed(2)}`,
  );
  const machine = { cpus: cpus().length, load: loadavg()[0] };
  console.log(JSON.stringify({ bench: 'inoculation', rows, ratio, withoutStart, aim, met: ratio <= aim, machine }));
}

void main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
