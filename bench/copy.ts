/**
 * Taking a server's disks, at several disk sizes, in one run and taking turns:
 *
 *   convert             `qemu-img convert -O qcow2` of each disk of the same point, and fsync: the least that a copy can be
 *   convert-unsynced    the same as people run it: its default cache mode never waits for the storage, so that a loss of
 *                       power may take what was reported as copied
 *   copy-and-recover    Replicas.take with that option: in a target server, resumable, verified
 *   backup-and-recover  Replicas.take with that option: an overlay
 *
 *   npx tsx bench/copy.ts [rounds=5] [GiB of data …=1 4]
 *
 * Each server has one disk of twice that size on a chain of eleven points, and a second one of 64 MiB, nearly empty. Prints
 * a table and one line of JSON. Aims: copying at most 1.05 times convert; the overlay much quicker than either. The
 * page cache is warm for all of them; what convert-unsynced leaves to be written is written before the next begins.
 */
import { chmod, mkdtemp, open, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import Table from 'cli-table3';
import type { PointManifest, RecoveryOption } from '../model/replica';
import { runProgram } from '../programs/run';
import type { ReplicationSource } from '../replication/contract';
import { placeOf } from '../replication/place';
import { createReplicas } from '../replication/replicas';
import { stopTargetServer } from '../replication/target-server';
import { serverSpec, type Site as TestSite } from '../test/replication/support/site';

const rounds = Number(process.argv[2] ?? 5);
const sizesGibi = process.argv.length > 3 ? process.argv.slice(3).map(Number) : [1, 4];
const increments = 10;
const aim = 1.05;
const forms = ['convert', 'convert-unsynced', 'copy-and-recover', 'backup-and-recover'] as const;
type Form = (typeof forms)[number];
type Site = Omit<TestSite, 'source'>;
type Times = Record<Form, number[]>;

const run = (file: string, ...args: string[]) => runProgram(file, args, { timeoutMs: 3_600_000 });

async function main(): Promise<void> {
  const all = new Map<number, Times>();
  for (const gibi of sizesGibi) all.set(gibi, await measure(gibi));
  report(all);
}

async function measure(gibi: number): Promise<Times> {
  const site = await openSite(gibi);
  try {
    const point = await buildChain(site);
    const times: Times = { convert: [], 'convert-unsynced': [], 'copy-and-recover': [], 'backup-and-recover': [] };
    // The first round warms up caches for all of them.
    for (let round = 0; round <= rounds; round += 1) {
      for (const form of forms) {
        // What the one before wrote or removed is not to be paid for by the next.
        await run('sync', '-f', site.folder);
        const tookMs = await timed(form, site, point);
        if (round > 0) times[form].push(tookMs);
      }
      process.stderr.write(`${gibi} GiB: round ${round} of ${rounds} done\n`);
    }
    return times;
  } finally {
    await site.close();
  }
}

/** A server whose first copy is so many bytes that nothing can shorten, and of which every increment is 40 half mebibytes. */
function sourceOf(folder: string, gibi: number): ReplicationSource {
  const nothing = async () => undefined;
  let round = 0;
  return {
    discover: () => Promise.reject(new Error('nothing to discover')),
    checkpoints: async () => [],
    deleteCheckpoint: nothing,
    async copy({ since, disks }) {
      round += 1;
      const [big, small] = disks;
      if (since === null)
        await run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', join(folder, 'data.raw'), big!.file);
      else await increment(big!.file, gibi, round);
      await run('qemu-img', 'create', '-q', '-f', 'qcow2', small!.file, '64M');
      await run('qemu-io', '-f', 'qcow2', '-c', `write -q -P ${round} ${round}M 512k`, small!.file);
      return { takenAt: new Date().toISOString(), clockSkewMs: 0, consistency: 'crash', copiedBytes: 0 };
    },
  };
}

async function increment(file: string, gibi: number, round: number): Promise<void> {
  await run('qemu-img', 'create', '-q', '-f', 'qcow2', file, `${gibi * 2}G`);
  const from = 100 + Math.floor((gibi * 1000 * round) / (increments + 2));
  const writes = Array.from({ length: 40 }, (_, at) => ['-c', `write -q -P ${round + at} ${from + at * 2}M 512k`]);
  await run('qemu-io', '-f', 'qcow2', ...writes.flat(), file);
}

async function openSite(gibi: number): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-bench-'));
  await chmod(folder, 0o711);
  const data = join(folder, 'data.raw');
  await run('truncate', '-s', `${gibi * 2}G`, data);
  const bytes = ['if=/dev/urandom', `of=${data}`, 'bs=1M', `count=${gibi * 1024}`, 'seek=100'];
  await run('dd', ...bytes, 'conv=notrunc', 'status=none');
  const [kept, runtimeFolder] = [join(folder, 'replicas'), join(folder, 'run')];
  const source = sourceOf(folder, gibi);
  const server = serverSpec();
  const replicas = createReplicas({ folder: kept, runtimeFolder, source, siteId: 'recovery', clock: Date.now });
  const place = placeOf(kept, runtimeFolder, server.id);
  const close = async () => {
    await replicas.drop(server.id, 'bench');
    await stopTargetServer(place);
    await rm(folder, { recursive: true, force: true });
  };
  return { folder, server, replicas, place, close };
}

async function buildChain({ server, replicas }: Site): Promise<PointManifest> {
  await replicas.prepare(server);
  let { manifest } = await replicas.cycle(server);
  for (let at = 0; at < increments; at += 1) ({ manifest } = await replicas.cycle(server));
  return manifest;
}

function timed(form: Form, site: Site, point: PointManifest): Promise<number> {
  switch (form) {
    case 'convert':
      return convert(site, point, true);
    case 'convert-unsynced':
      return convert(site, point, false);
    default:
      return take(site, point, form);
  }
}

async function convert(site: Site, point: PointManifest, synced: boolean): Promise<number> {
  const targets = point.disks.map(({ diskId }) => join(site.folder, `${diskId}.convert.qcow2`));
  const before = performance.now();
  for (const [at, { file }] of point.disks.entries()) {
    await run('qemu-img', 'convert', '-f', 'qcow2', '-O', 'qcow2', join(site.place.folder, file), targets[at]!);
    if (!synced) continue;
    const target = await open(targets[at]!, 'r');
    await target.sync();
    await target.close();
  }
  const tookMs = performance.now() - before;
  await Promise.all(targets.map((target) => rm(target)));
  return tookMs;
}

async function take(site: Site, point: PointManifest, option: RecoveryOption): Promise<number> {
  const before = performance.now();
  await site.replicas.take(site.server, point.pointId, option, 'bench');
  const tookMs = performance.now() - before;
  await site.replicas.drop(site.server.id, 'bench');
  return tookMs;
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!;
const seconds = (ms: number) => (ms / 1000).toFixed(2);

function report(all: ReadonlyMap<number, Times>): void {
  const table = new Table({ head: ['data', 'way', 'median s', 'min', 'max', 'against convert'] });
  const results = [...all].map(([gibi, times]) => {
    const base = median(times.convert);
    for (const form of forms) {
      const values = times[form];
      const against = `${(median(values) / base).toFixed(2)}×`;
      const range = [Math.min(...values), Math.max(...values)].map(seconds);
      table.push([`${gibi} GiB`, form, seconds(median(values)), ...range, against]);
    }
    const copyAgainstConvert = median(times['copy-and-recover']) / base;
    const copyAgainstUnsynced = median(times['copy-and-recover']) / median(times['convert-unsynced']);
    const copyAgainstBackup = median(times['copy-and-recover']) / median(times['backup-and-recover']);
    return { gibi, copyAgainstConvert, copyAgainstUnsynced, copyAgainstBackup, met: copyAgainstConvert <= aim, times };
  });
  console.log(table.toString());
  const machine = { cpus: cpus().length, load: loadavg()[0] };
  console.log(JSON.stringify({ bench: 'copy', rounds, aim, results, machine }));
}

void main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
