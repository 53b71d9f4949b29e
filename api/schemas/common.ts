/** Pieces that several schemas share. Durations and sizes carry their unit in the name; times are UTC with milliseconds. */
import { z } from '@hono/zod-openapi';

export const time = z.iso.datetime().openapi({ example: '2026-01-31T03:04:05.678Z' });
export const milliseconds = z.int().nonnegative();

/** Names go into file names, libvirt domains and URLs; hence the narrow alphabet. */
export const machineName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'needs 1 to 63 of A-Z a-z 0-9 . _ - and starts with a letter or digit');
/** Disks of a physical machine that may be overwritten whatever they hold; each named in full, so that none is meant by mistake. */
export const overwriteDisks = z
  .array(z.string().regex(/^\/[^\0\n]{1,1023}$/, 'needs the whole path of a device or image file'))
  .max(64);
export const siteId = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'needs 1 to 63 of a-z 0-9 - and no leading dash');

/** Why somebody acts: part of the record, so never empty. */
export const reason = z
  .string()
  .trim()
  .min(1, 'is missing: the record says why somebody acted')
  .max(2000)
  .openapi({ example: 'Site A lost power' });

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    requestId: z.string(),
    issues: z.array(z.object({ at: z.string(), message: z.string() })).optional(),
    refusal: z.string().optional(),
    runId: z.string().optional(),
    near: z.array(z.string()).optional(),
  })
  .openapi('Problem');
export type ProblemDocument = z.infer<typeof problemSchema>;

export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  after: z.string().max(500).optional().openapi({ description: 'The `next` of the page before' }),
});
