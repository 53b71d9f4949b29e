/** Reading a simulated point: every point holds whole images, so a point stands on its own files alone. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PointId, PointManifest } from '../../model/replica';
import type { ServerId } from '../../model/server';
import type { Examination, LayerDamage } from '../../replication/contract';
import type { CallOptions } from '../contract';
import { completePoints, replicaFolder } from './replica-files';
import { reach, type Site } from './site';

export async function examine(
  site: Site,
  serverId: ServerId,
  pointId: PointId,
  options: CallOptions & { readonly limitBytes: number | null },
): Promise<Examination> {
  await reach(site, options);
  const points = await completePoints(site, serverId);
  const point = points.find((one) => one.pointId === pointId);
  const totalBytes = point?.disks.reduce((sum, disk) => sum + disk.storedBytes, 0) ?? 0;
  if (point === undefined || (options.limitBytes !== null && totalBytes > options.limitBytes)) {
    return { totalBytes, readBytes: 0, damage: [], standing: null };
  }
  const damage = await damageOf(site, point);
  const standing = damage.length === 0 ? point : await newestWhole(site, points);
  return { totalBytes, readBytes: totalBytes, damage, standing: standing?.pointId ?? null };
}

async function newestWhole(site: Site, points: readonly PointManifest[]): Promise<PointManifest | undefined> {
  for (const point of [...points].reverse()) if ((await damageOf(site, point)).length === 0) return point;
  return undefined;
}

async function damageOf(site: Site, { serverId, pointId, disks }: PointManifest): Promise<LayerDamage[]> {
  const damage: LayerDamage[] = [];
  for (const { diskId, file, sha256 } of disks) {
    const found = createHash('sha256')
      .update(await readFile(join(replicaFolder(site, serverId), file)))
      .digest('hex');
    if (found !== sha256) damage.push({ diskId, file, pointId, found, needed: sha256 });
  }
  return damage;
}
