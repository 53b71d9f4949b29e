/** What is kept of an inoculation that was worked out ahead: what it was made from, and what is to be written. */
import { z } from 'zod';
import { version } from '../../package.json';
import type { HardwareProfile, NicSpec } from '../../model/server';
import type { InoculationReport } from '../contract';
import type { LabelledVolume, LinuxSystem } from './find-system';
import { digestOf, seenSchema } from './seen-files';

const absolutePath = z.string().regex(/^\/[^\0]*$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const schema = z.object({
  format: z.literal(1),
  /** Everything that decides what is written and is not on the disks (see basisOf). */
  basis: sha256,
  /** What blkid said of every volume. */
  volumes: sha256,
  /** The LinuxSystem; its maps are written as lists under `$map`. */
  system: z.unknown(),
  seen: z.array(seenSchema).min(1),
  texts: z.array(z.object({ path: absolutePath, text: z.string() })),
  copies: z.array(z.object({ from: absolutePath, to: absolutePath })).default([]),
  archives: z.array(
    z.object({
      release: z.string(),
      initramfsPath: absolutePath,
      beforeBytes: z.number().int().nonnegative(),
      /** Name of its file. */
      file: z.string().regex(/^[A-Za-z0-9._+~-]+$/),
      sizeBytes: z.number().int().positive(),
      sha256,
    }),
  ),
  report: z.custom<InoculationReport>((value) => typeof value === 'object' && value !== null && 'kernels' in value),
});
export type PreparedRecord = z.infer<typeof schema>;

/** Null for what another version wrote or what is damaged: then it is not used. */
export function readRecord(record: unknown): PreparedRecord | null {
  const read = schema.safeParse(record);
  return read.success ? read.data : null;
}

/** A newer Muster may write something else for the same disks, and so may another card or another list of drivers. */
export function basisOf(hardware: HardwareProfile, nics: readonly NicSpec[] | undefined, diskCount: number): string {
  return digestOf([version, hardware, nics ?? null, diskCount]);
}

export const volumesDigest = (volumes: readonly LabelledVolume[]): string => digestOf(volumes);

export function packSystem(system: LinuxSystem): unknown {
  return JSON.parse(
    JSON.stringify(system, (_key, value: unknown) => (value instanceof Map ? { $map: [...value] } : value)),
  );
}

export function unpackSystem(packed: unknown): LinuxSystem {
  return JSON.parse(JSON.stringify(packed), (_key, value: unknown) => {
    const list = typeof value === 'object' && value !== null && '$map' in value ? value.$map : undefined;
    return Array.isArray(list) ? new Map(list as [unknown, unknown][]) : value;
  }) as LinuxSystem;
}
