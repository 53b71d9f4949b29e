/**
 * Replication of a guest that writes all the time.
 *
 *   1. Lag (now minus the moment of the newest point) and the guest's own throughput at cadences of 1, 5 and 10 s, against the
 *      same guest unprotected, taking turns. Aims: lag at most the cadence plus 2 s; throughput at least 0.9 times.
 *   2. What a chain of 1, 10 and 100 points costs: reading the newest point from end to end against the same bytes in
 *      one file; and merging the oldest point (`qemu-img` sees the files, the target server merges).
 *
 *   npx tsx bench/replication.ts [seconds per measurement=30] [rounds=2]
 *
 * Prints two tables and one line of JSON.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Table from 'cli-table3';
import { runProgram } from '../programs/run';
import { demoGuest } from '../tools/demo-guest/build.mjs';
import { newMachineName, startDemoMachine, virsh } from '../test/replication/support/demo-machine';
import { openSite } from '../test/replication/support/site';
import { eventually, manifests, openSystem, type System } from '../test/system/support/system';
import { elapsedMs, median, percentile, seconds } from './shared';

const measureSeconds = Number(process.argv[2] ?? 30);
const rounds = Number(process.argv[3] ?? 2);
const cadences = [1, 5, 10];
const chainLengths = [1, 10, 100];
const sampleEveryMs = 100;

/** Writes 64 KiB at random places of a 64 MiB file, each synced; prints how many it managed. */
const workload = `
import os, random, time
f = os.open("/var/lib/counter/load", os.O_RDWR | os.O_CREAT)
os.ftruncate(f, 64 << 20)
block, count, end = os.urandom(65536), 0, time.time() + ${measureSeconds}
while time.time() < end:
    os.pwrite(f, block, random.randrange(1024) << 16)
    os.fdatasync(f)
    count += 1
print(count)
`;

interface Busy {
  readonly cadence: number | null;
  readonly writesPerSecond: number;
  readonly lagsMs: readonly number[];
}

async function main(): Promise<void> {
  const busy = await measureBusyGuest();
  const chains = await measureChains();
  reportBusy(busy);
  reportChains(chains);
  console.log(JSON.stringify({ bench: 'replication', measureSeconds, rounds, busy: busy.map(summary), chains }));
}

async function measureBusyGuest(): Promise<Busy[]> {
  const name = newMachineName();
  const system = await openSystem(name);
  try {
    const { imagePath } = await demoGuest();
    const [source] = await Promise.all([startDemoMachine(system.folder, imagePath, name), system.up()]);
    await source.started();
    await runWorkload(name);
    const all: Busy[] = [];
    for (let round = 0; round < rounds; round += 1) {
      all.push({ cadence: null, writesPerSecond: await runWorkload(name), lagsMs: [] });
      for (const cadence of cadences) all.push(await protectedAt(system, name, cadence));
    }
    await source.close();
    return all;
  } finally {
    await system.close();
  }
}

async function protectedAt(system: System, name: string, cadence: number): Promise<Busy> {
  const { id } = await system.json<{ id: string }>(
    ...['servers', 'add', name, '--source-site', 'production', '--site', 'recovery', '--rpo', '15s', '--rto', '10m'],
    ...['--point-every', `${cadence}s`, '--freeze-every', '0s', '--keep', '20'],
  );
  await system.muster(['protect', name]);
  const newest = (): number => {
    try {
      return Date.parse(manifests(system.replica(id)).at(-1)!.takenAt);
    } catch {
      return NaN;
    }
  };
  const first = await eventually('there is a point', 120_000, () => newest() || undefined);
  await eventually('there is a second one', 120_000, () => newest() > first || undefined);
  const lagsMs: number[] = [];
  const running = runWorkload(name);
  let over = false;
  void running.finally(() => (over = true)).catch(() => undefined);
  while (!over) {
    // NaN: a merge took the file away between its listing and its reading.
    const lag = Date.now() - newest();
    if (!Number.isNaN(lag)) lagsMs.push(lag);
    await sleep(sampleEveryMs);
  }
  const writesPerSecond = await running;
  await system.muster(['protect', name, '--remove', '--reason', 'measured']);
  await eventually('the replica is gone', 120_000, async () => {
    const { items } = await system.json<{ items: unknown[] }>('replicas');
    return items.length === 0 || undefined;
  });
  await system.muster(['servers', 'remove', name]);
  return { cadence, writesPerSecond, lagsMs };
}

/** Runs the workload in the guest, through its agent; writes per second. */
async function runWorkload(name: string): Promise<number> {
  const ask = async <T>(execute: string, args: object): Promise<T> =>
    (JSON.parse(await virsh('qemu-agent-command', name, JSON.stringify({ execute, arguments: args }))) as { return: T })
      .return;
  const { pid } = await ask<{ pid: number }>('guest-exec', {
    path: '/usr/bin/python3',
    arg: ['-c', workload],
    'capture-output': true,
  });
  await sleep(measureSeconds * 1000);
  for (;;) {
    const status = await ask<{ exited: boolean; 'out-data'?: string; 'err-data'?: string }>('guest-exec-status', {
      pid,
    });
    if (status.exited) {
      const count = Number(Buffer.from(status['out-data'] ?? '', 'base64').toString());
      if (!(count > 0)) throw new Error(Buffer.from(status['err-data'] ?? '', 'base64').toString());
      return count / measureSeconds;
    }
    await sleep(200);
  }
}

interface Chain {
  readonly points: number;
  readonly readMs: number;
  readonly flatMs: number;
  readonly mergeMs: number;
}

/** Chains of real points of two small disks, each point with about 4 MiB of changes. */
async function measureChains(): Promise<Chain[]> {
  const scratch = mkdtempSync(join(tmpdir(), 'muster-bench-'));
  const chains: Chain[] = [];
  try {
    for (const points of chainLengths) {
      const site = await openSite(10_000);
      try {
        await site.replicas.prepare(site.server);
        for (let point = 0; point < points; point += 1) {
          await changeDisk(await site.source.live('sda'), point);
          await site.replicas.cycle(site.server);
        }
        const last = (await site.replicas.points(site.server.id)).at(-1)!;
        const layer = join(site.place.folder, last.disks[0]!.file);
        const flat = join(scratch, `flat-${points}.qcow2`);
        await runProgram('qemu-img', ['convert', '-U', '-O', 'qcow2', layer, flat]);
        const read = (image: string) =>
          elapsedMs(() => runProgram('qemu-img', ['convert', '-U', '-O', 'raw', image, join(scratch, 'out.raw')]));
        const times: { chain: number; flat: number }[] = [];
        for (let round = 0; round < 5; round += 1) times.push({ chain: await read(layer), flat: await read(flat) });
        const merging = { ...site.server, cadence: { ...site.server.cadence, keepPoints: Math.max(1, points - 1) } };
        const before = await elapsedMs(() => site.replicas.cycle(site.server));
        const withMerge = await elapsedMs(() => site.replicas.cycle(merging));
        chains.push({
          points,
          readMs: median(times.map(({ chain }) => chain)),
          flatMs: median(times.map((one) => one.flat)),
          mergeMs: withMerge - before,
        });
      } finally {
        await site.close();
      }
    }
    return chains;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** 64 clusters of 64 KiB, spread over the disk so that the next points write elsewhere. */
async function changeDisk(image: string, point: number): Promise<void> {
  const writes = Array.from({ length: 64 }, (_, write) => ((point * 61 + write * 13) % 960) * 64);
  const commands = writes.flatMap((offsetKiB) => ['-c', `write -q -P ${(point % 255) + 1} ${offsetKiB + 1024}k 64k`]);
  await runProgram('qemu-io', ['-f', 'qcow2', ...commands, image]);
}

const summary = ({ lagsMs, ...rest }: Busy) => ({
  ...rest,
  ...(lagsMs.length === 0
    ? {}
    : { lagMs: { median: median(lagsMs), p95: percentile(lagsMs, 0.95), max: Math.max(...lagsMs) } }),
});

function reportBusy(all: readonly Busy[]): void {
  const table = new Table({
    head: ['cadence', 'lag median s', 'p95 s', 'max s', 'aim s', 'writes/s', 'against unprotected'],
  });
  const rate = (cadence: number | null) =>
    median(all.filter((one) => one.cadence === cadence).map(({ writesPerSecond }) => writesPerSecond));
  for (const cadence of [null, ...cadences]) {
    const lags = all.filter((one) => one.cadence === cadence).flatMap(({ lagsMs }) => lagsMs);
    const words =
      cadence === null
        ? ['unprotected', '', '', '', '']
        : [
            `${cadence} s`,
            seconds(median(lags)),
            seconds(percentile(lags, 0.95)),
            seconds(Math.max(...lags)),
            String(cadence + 2),
          ];
    table.push([...words, rate(cadence).toFixed(1), `${(rate(cadence) / rate(null)).toFixed(2)}×`]);
  }
  console.log(table.toString());
}

function reportChains(chains: readonly Chain[]): void {
  const table = new Table({
    head: ['points in the chain', 'read ms', 'one file ms', 'ratio', 'merge of the oldest ms'],
  });
  for (const { points, readMs, flatMs, mergeMs } of chains) {
    table.push([points, readMs.toFixed(0), flatMs.toFixed(0), `${(readMs / flatMs).toFixed(2)}×`, mergeMs.toFixed(0)]);
  }
  console.log(table.toString());
}

void main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
