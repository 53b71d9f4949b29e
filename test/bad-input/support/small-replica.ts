/**
 * A replica of three points and two disks of one mebibyte, made by qemu-img and the product's own manifests, without a
 * guest: quick enough to be damaged in many ways. Every test works on a copy of its own.
 */
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { OperatorError } from '../../../model/errors';
import type { PointManifest } from '../../../model/replica';
import type { Replicas, ReplicationSource } from '../../../replication/contract';
import { writeManifest } from '../../../replication/manifests';
import { createFolders, placeOf, type ReplicaPlace } from '../../../replication/place';
import { createReplicas } from '../../../replication/replicas';
import { stopTargetServer } from '../../../replication/target-server';
import { serverSpec } from '../../replication/support/site';
import { sh } from '../../replication/support/tools';

export const server = serverSpec();
export const diskIds = ['disk0', 'disk1'] as const;
export const pointId = (sequence: number): string => `point-${sequence}`;

export interface SmallReplica {
  readonly place: ReplicaPlace;
  readonly replicas: Replicas;
  readonly manifests: readonly PointManifest[];
  /** Paths of a point's manifest and of its layers. */
  manifestFile(sequence: number): string;
  layer(sequence: number, diskId: string): string;
  /** SHA-256 of everything in points/ and layers/ by name; links and pipes by what they are. */
  digests(): Promise<Record<string, string>>;
  close(): Promise<void>;
}

export interface SmallReplicaOptions {
  /** Milliseconds since 1970 of the recovery site's clock. */
  readonly clock?: () => number;
  /** The folder of replicas; without it one of its own. */
  readonly folder?: string;
}

/** Built once per test file. */
let template: Promise<string> | undefined;
if (typeof afterAll === 'function') {
  afterAll(async () => template && rm(dirname(await template), { recursive: true, force: true }));
}

export async function openSmallReplica(options: SmallReplicaOptions = {}): Promise<SmallReplica> {
  template ??= build();
  const own = await mkdtemp(join(tmpdir(), 'muster-bad-'));
  await sh('chmod', '711', own);
  const folder = options.folder ?? join(own, 'replicas');
  await cp(await template, join(folder, server.id), { recursive: true });
  const runtimeFolder = join(own, 'run');
  const place = placeOf(folder, runtimeFolder, server.id);
  const clock = options.clock ?? Date.now;
  const replicas = createReplicas({ folder, runtimeFolder, siteId: 'recovery', clock, source: fullCopies(clock) });
  const manifests = await replicas.points(server.id);
  return {
    place,
    replicas,
    manifests,
    manifestFile: (sequence) => join(place.points, `${number(sequence)}-${pointId(sequence)}.json`),
    layer: (sequence, diskId) => join(place.layers, layerName(sequence, diskId)),
    digests: async () => ({ ...(await digestsIn(place.points)), ...(await digestsIn(place.layers)) }),
    close: async () => {
      await stopTargetServer(place);
      await rm(own, { recursive: true, force: true });
    },
  };
}

const number = (sequence: number): string => String(sequence).padStart(8, '0');
const layerName = (sequence: number, diskId: string): string => `${number(sequence)}-${diskId}.qcow2`;

async function build(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-small-'));
  const place = { ...placeOf(folder, folder, server.id), socketFolder: join(folder, 'sockets') };
  await createFolders(place).catch(() => undefined); // mkdtemp's own folder is closed; nobody passes through it
  for (const sequence of [1, 2, 3]) {
    const disks = await Promise.all(diskIds.map((diskId) => buildLayer(place, sequence, diskId)));
    await writeManifest(place, {
      format: 1,
      pointId: pointId(sequence),
      serverId: server.id,
      sequence,
      parentPointId: sequence === 1 ? null : pointId(sequence - 1),
      takenAt: `2026-03-14T02:0${sequence}:00.000Z`,
      completedAt: `2026-03-14T02:0${sequence}:01.000Z`,
      clockSkewMs: 12,
      consistency: 'crash',
      origin: { siteId: 'source', machineName: server.name },
      codec: 'qcow2',
      keyRef: null,
      disks,
    });
  }
  await writeFile(place.server, JSON.stringify(server));
  return place.folder;
}

async function buildLayer(place: ReplicaPlace, sequence: number, diskId: string) {
  const path = join(place.layers, layerName(sequence, diskId));
  const on = sequence === 1 ? [] : ['-b', layerName(sequence - 1, diskId), '-F', 'qcow2'];
  await sh('qemu-img', 'create', '-q', '-f', 'qcow2', ...on, path, '1M');
  await sh('qemu-io', '-f', 'qcow2', '-c', `write -P ${sequence + diskIds.indexOf(diskId as 'disk0')} 64k 64k`, path);
  const { size, blocks } = await stat(path);
  const pieces = [{ offsetBytes: 1080, hex: '53ef' }];
  return {
    diskId,
    file: `layers/${basename(path)}`,
    virtualSizeBytes: 1024 * 1024,
    storedBytes: blocks * 512,
    fileBytes: size,
    sha256: createHash('sha256')
      .update(await readFile(path))
      .digest('hex'),
    signatures: [{ partition: 0, volumeOffsetBytes: 0, volumeSizeBytes: 1024 * 1024, type: 'ext4', pieces }],
  };
}

async function digestsIn(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { withFileTypes: true });
  const all = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name);
      const what = entry.isFile()
        ? createHash('sha256')
            .update(await readFile(path))
            .digest('hex')
        : `no file (${(await stat(path).catch(() => ({ mode: 0 }))).mode})`;
      return [`${basename(folder)}/${entry.name}`, what] as const;
    }),
  );
  return Object.fromEntries(all);
}

/** A source that knows no checkpoint: every cycle is a full copy of an empty disk with one pattern. */
function fullCopies(clock: () => number): ReplicationSource {
  return {
    discover: () => Promise.reject(new Error('not asked here')),
    checkpoints: () => Promise.resolve([]),
    deleteCheckpoint: () => Promise.resolve(),
    copy: async ({ disks, since }) => {
      if (since !== null) throw new OperatorError({ what: 'CheckpointLost: this source keeps none' });
      for (const { file } of disks) await sh('qemu-img', 'create', '-q', '-f', 'qcow2', file, '1M');
      const takenAt = new Date(clock()).toISOString();
      return { takenAt, clockSkewMs: 0, consistency: 'crash', copiedBytes: 0 };
    },
  };
}
