/** The documents that say what the layers are: a point's manifest, and the record of a merge under way. */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { z } from 'zod';
import type { PointManifest } from '../model/replica';

export const manifestFormat = 1;

/** One file name and nothing else: it becomes part of paths, sockets' exports and checkpoints' names. */
const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'needs 1 to 100 of A-Z a-z 0-9 . _ -');
/** A path out of the layers' folder would let a manifest name, and a merge overwrite, any file. */
const layerFile = z.string().regex(/^layers\/[A-Za-z0-9][A-Za-z0-9._-]*$/, 'needs a file in layers/');
const bytes = z.number().int().nonnegative();

const piece = z.object({
  offsetBytes: bytes,
  hex: z
    .string()
    .max(2 * 64 * 1024)
    .regex(/^([0-9a-f]{2})+$/),
});
const signature = z.object({
  partition: bytes,
  volumeOffsetBytes: bytes,
  volumeSizeBytes: bytes.positive(),
  type: z.string().max(100),
  pieces: z.array(piece).max(64),
});
const disk = z
  .object({
    diskId: name,
    file: layerFile,
    virtualSizeBytes: bytes.positive(),
    storedBytes: bytes,
    fileBytes: bytes.positive().optional(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    signatures: z.array(signature).max(1024),
  })
  .refine(
    ({ virtualSizeBytes, signatures }) =>
      signatures
        .flatMap(({ pieces }) => pieces)
        .every(({ offsetBytes, hex }) => offsetBytes + hex.length / 2 <= virtualSizeBytes),
    { path: ['signatures'], message: 'a signature lies beyond the end of the disk' },
  );
export const manifestDocument = z.object({
  format: z.literal(manifestFormat),
  pointId: name,
  serverId: name,
  sequence: z.number().int().positive(),
  parentPointId: name.nullable(),
  takenAt: z.iso.datetime(),
  completedAt: z.iso.datetime(),
  clockSkewMs: z.number().nullable(),
  consistency: z.enum(['application', 'file-system', 'crash']),
  origin: z.object({ siteId: z.string(), machineName: z.string(), withoutAgentIn: z.string().optional() }),
  codec: z.enum(['qcow2', 'raw']),
  keyRef: z.string().nullable(),
  disks: z
    .array(disk)
    .min(1)
    .max(256)
    .refine((disks) => distinct(disks.map(({ diskId }) => diskId)), 'two disks have one id')
    .refine((disks) => distinct(disks.map(({ file }) => file)), 'two disks have one layer'),
}) satisfies z.ZodType<PointManifest>;

/**
 * SHA-256 over the manifest's RFC 8785 form without `digest` itself: one flipped bit in a signature's bytes would else be
 * written into the recovered disk. Manifests of earlier versions have none and are taken as they are.
 */
export function manifestDigest(document: object): string {
  const content: Record<string, unknown> = { ...document };
  delete content['digest'];
  return createHash('sha256')
    .update(canonicalize(content) ?? '')
    .digest('hex');
}

/** What is wrong with a manifest's digest, in words; undefined: nothing, or it has none. */
export function digestProblem(document: unknown): string | undefined {
  if (typeof document !== 'object' || document === null || !('digest' in document)) return undefined;
  const actual = manifestDigest(document);
  if (document.digest === actual) return undefined;
  return `its content has the digest ${actual.slice(0, 12)}…, not the one that it was written with`;
}

const distinct = (values: readonly string[]) => new Set(values).size === values.length;

/** A merge under way: `from`'s file takes in `into`'s layer and then its name (merge.ts). */
export const mergeRecord = z.object({
  format: z.literal(1),
  from: name,
  into: name,
  disks: z.array(z.object({ diskId: name, fromFile: layerFile, intoFile: layerFile })),
});
export type MergeRecord = z.infer<typeof mergeRecord>;
