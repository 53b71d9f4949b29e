/** A recovery site in a folder of its own, with a source of two disks: GPT with ext4 and swap, and LUKS on the bare disk. */
import { mkdtemp, rm, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Replicas } from '../../../replication/contract';
import { checkpointPrefix } from '../../../replication/cycle';
import { placeOf, type ReplicaPlace } from '../../../replication/place';
import { createReplicas } from '../../../replication/replicas';
import { stopTargetServer } from '../../../replication/target-server';
import type { PointManifest } from '../../../model/replica';
import type { ServerSpec } from '../../../model/server';
import { createFileSource, type FileSource } from './file-source';
import { exitCodeOf, patched, same, sh, typeAt } from './tools';

const mebi = 1024 * 1024;

export interface Site {
  readonly folder: string;
  readonly server: ServerSpec;
  readonly source: FileSource;
  readonly replicas: Replicas;
  readonly place: ReplicaPlace;
  close(): Promise<void>;
}

export function serverSpec(keepPoints = 100): ServerSpec {
  const disk = { sizeBytes: 64 * mebi, controller: 'sata' as const };
  return {
    id: 'server-1',
    name: 'app01',
    tier: 1,
    os: { family: 'linux' },
    firmware: 'bios',
    cpuCount: 1,
    memoryBytes: 512 * mebi,
    disks: [
      { ...disk, id: 'disk0', index: 0, sourceDevice: 'sda' },
      { ...disk, id: 'disk1', index: 1, sourceDevice: 'sdb' },
    ],
    nics: [],
    objectives: { rpoMs: 60_000, rtoMs: 600_000 },
    source: { siteId: 'source', machineName: 'app01' },
    recoverySiteId: 'recovery',
    cadence: { pointEveryMs: 1000, freezeEveryMs: 0, keepPoints },
    probes: [],
  };
}

/** Built once per test file; every site's machine writes into overlays of its own. */
let built: Promise<Record<string, string>> | undefined;
let shared: string | undefined;

// In a test file; a process of its own that works on a site (keep-cycling.ts) builds nothing. Not at the process's exit:
// jest does not tell tests of that.
if (typeof afterAll === 'function') {
  afterAll(async () => {
    if (shared !== undefined) await rm(shared, { recursive: true, force: true });
  });
}

/** Builds the source's disks with the real tools. */
export async function buildDisks(folder: string): Promise<Record<string, string>> {
  const sda = join(folder, 'sda.raw');
  const sdb = join(folder, 'sdb.raw');
  const ext = join(folder, 'ext.raw');
  const swap = join(folder, 'swap.raw');
  await sh('truncate', '-s', '64M', sda, sdb);
  const table = 'label: gpt\nstart=2048,size=65536,type=L\nstart=67584,size=32768,type=S\n';
  await sh('bash', '-c', `printf '${table}' | sfdisk -q ${sda}`);
  await sh('truncate', '-s', '32M', ext);
  await sh('mke2fs', '-q', '-t', 'ext4', '-d', __dirname, ext);
  await sh('truncate', '-s', '16M', swap);
  await sh('mkswap', '-q', swap);
  await sh('dd', `if=${ext}`, `of=${sda}`, 'bs=1M', 'seek=1', 'conv=notrunc,sparse', 'status=none');
  await sh('dd', `if=${swap}`, `of=${sda}`, 'bs=1M', 'seek=33', 'conv=notrunc,sparse', 'status=none');
  // LUKS2 has two headers to take out.
  await sh(
    'bash',
    '-c',
    `printf secret | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 ${sdb} -`,
  );
  return { sda, sdb };
}

export async function openSite(keepPoints?: number): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-replica-'));
  await chmod(folder, 0o711);
  built ??= mkdtemp(join(tmpdir(), 'muster-disks-')).then(async (made) => buildDisks((shared = made)));
  return siteIn(folder, await built, keepPoints);
}

/** The same site from another process. */
export async function siteIn(folder: string, disks: Record<string, string>, keepPoints?: number): Promise<Site> {
  const server = serverSpec(keepPoints);
  const source = await createFileSource(join(folder, 'source'), disks);
  const runtimeFolder = join(folder, 'run');
  const settings = { folder: join(folder, 'replicas'), runtimeFolder, source, siteId: 'recovery', clock: Date.now };
  const replicas = createReplicas(settings);
  const place = placeOf(settings.folder, runtimeFolder, server.id);
  const close = async () => {
    await stopTargetServer(place);
    await rm(folder, { recursive: true, force: true });
  };
  return { folder, server, source, replicas, place, close };
}

/** What is wrong with a point, judged by independent tools; empty when it is byte for byte what the source held. */
export async function faultsOf(site: Site, point: PointManifest): Promise<string[]> {
  const faults: string[] = [];
  for (const disk of point.disks) {
    const name = `point ${point.sequence} ${disk.diskId}`;
    const layer = join(site.place.folder, disk.file);
    const raw = join(site.folder, `view-${point.sequence}-${disk.diskId}.raw`);
    await sh('qemu-img', 'convert', '-O', 'raw', layer, raw);
    if ((await exitCodeOf('qemu-img', 'check', '-q', layer)) !== 0) faults.push(`${name}: qemu-img check`);
    if (!(await sh('sha256sum', layer)).startsWith(disk.sha256)) faults.push(`${name}: digest`);
    for (const signature of disk.signatures) {
      const type = await typeAt(raw, signature.volumeOffsetBytes, signature.volumeSizeBytes);
      if (type !== '') faults.push(`${name}: volume ${signature.partition} is recognisable as ${type}`);
    }
    const whole = await patched(
      raw,
      disk.signatures.flatMap((signature) => signature.pieces),
    );
    const device = site.server.disks.find((spec) => spec.id === disk.diskId)!.sourceDevice;
    const truth = site.source.truth(device, checkpointPrefix(site.server.id) + point.pointId);
    if (!(await same(whole, 'raw', truth, 'raw'))) faults.push(`${name}: differs from the source`);
    await rm(raw);
    await rm(whole);
  }
  return faults;
}

export async function allFaults(site: Site): Promise<string[]> {
  const points = await site.replicas.points(site.server.id);
  return (await Promise.all(points.map((point) => faultsOf(site, point)))).flat();
}
