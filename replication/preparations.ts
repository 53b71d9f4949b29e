/** Where inoculations are worked out ahead, and where they are kept. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import { imageOf } from '../disks/disk-address';
import { signaturePieces, writePieces } from '../disks/signatures';
import type { PointManifest, TakenDisk } from '../model/replica';
import type { ServerId, ServerSpec } from '../model/server';
import type { CallOptions } from '../platforms/contract';
import { readCommit } from './commit';
import { syncPath } from './durable';
import { readHold } from './hold';
import { createOverlay } from './layers';
import { layerPath, namesIn, readPoints } from './manifests';
import { placeOf, safeName, type ReplicaPlace } from './place';
import type { PreparationGround, Preparations } from './prepared-contract';
import { keepResults, markKeptOutdated, readEntries, readEntry, whyNoEntry } from './prepared-store';

export interface PreparationsSettings {
  /** The folder of replicas, as for createReplicas. */
  readonly folder: string;
  readonly runtimeFolder?: string;
  /** Milliseconds since 1970, UTC. */
  readonly clock: () => number;
}

export function createPreparations(settings: PreparationsSettings): Preparations {
  const at = (serverId: ServerId) => placeOf(settings.folder, settings.runtimeFolder ?? '/run/muster', serverId);
  const now = () => new Date(settings.clock()).toISOString();
  return {
    begin: (server, options) => begin(at(server.id), server, options),
    clear: async (serverId) => rm(at(serverId).preparing, { recursive: true, force: true }),
    end: async (serverId, id) => {
      await rm(join(at(serverId).preparing, safeName(id, 'preparation id')), { recursive: true, force: true });
    },
    keep: (serverId, ground, results) => keepResults(at(serverId), ground, results, now()),
    markOutdated: async (serverId, hardwareIds, because) => {
      for (const hardwareId of hardwareIds) await markKeptOutdated(at(serverId), hardwareId, because);
    },
    entries: (serverId) => readEntries(at(serverId)),
    find: async (serverId, hardwareId) => {
      const entry = await readEntry(at(serverId), hardwareId);
      if (entry === undefined) return { because: await whyNoEntry(at(serverId), hardwareId) };
      const { preparation, at: preparedAt, because } = entry;
      if (preparation === null || preparedAt === null) return { because: `it could not be prepared: ${because}` };
      return { ...preparation, preparedAt };
    },
  };
}

/** Whether overlays of a preparation stand on the points, also those of one that lost its worker. */
export async function isPreparing(place: ReplicaPlace): Promise<boolean> {
  return (await namesIn(place.preparing)).length > 0;
}

async function begin(
  place: ReplicaPlace,
  server: ServerSpec,
  options: CallOptions = {},
): Promise<PreparationGround | null> {
  await rm(place.preparing, { recursive: true, force: true });
  const { points, merge } = await readPoints(place);
  const point = points.at(-1);
  const busy = (await readHold(place)) !== undefined || (await readCommit(place)) !== undefined || merge !== undefined;
  if (point === undefined || busy) return null;
  const id = uuidv7();
  const ground = join(place.preparing, id);
  const folder = join(ground, 'files');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await syncPath(place.folder);
  const disks: TakenDisk[] = [];
  for (const [position, disk] of point.disks.entries()) {
    disks.push(await overlayOn(place, { ground, server, point, position }, disk, options));
  }
  disks.sort((a, b) => a.index - b.index);
  return { id, pointId: point.pointId, takenAt: point.takenAt, disks, folder };
}

async function overlayOn(
  place: ReplicaPlace,
  on: { ground: string; server: ServerSpec; point: PointManifest; position: number },
  { diskId, file, virtualSizeBytes, signatures }: PointManifest['disks'][number],
  options: CallOptions,
): Promise<TakenDisk> {
  const path = join(on.ground, `${safeName(diskId, 'disk id')}.qcow2`);
  await createOverlay(path, layerPath(place, file), options);
  const disk: TakenDisk = {
    ...{ diskId, pointId: on.point.pointId, virtualSizeBytes, path, format: 'qcow2', signatures },
    index: on.server.disks.find((spec) => spec.id === diskId)?.index ?? on.position,
    editUri: `file:${path}`,
  };
  await writePieces(imageOf(disk), signaturePieces(signatures), options);
  return disk;
}
