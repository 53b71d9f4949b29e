/** Pieces that several schemas share. Durations and sizes carry their unit in the name; times are UTC with milliseconds. */
import { z } from '@hono/zod-openapi';
import { isPrintable } from '../../model/names';
import { secretRefPattern } from '../../model/secrets';

export const time = z.iso.datetime().openapi({ example: '2026-01-31T03:04:05.678Z' });
/** A longer timer fires at once instead (Node, setTimeout). */
const longestTimerMs = 2 ** 31 - 1;
export const milliseconds = z.int().nonnegative().max(longestTimerMs);
export const positiveMilliseconds = z.int().positive().max(longestTimerMs);
/** More than any machine has; what a site has free is asked in the preflight. */
export const memoryBytes = z
  .int()
  .min(64 * 1024 * 1024)
  .max(64 * 1024 ** 4);
export const cpuCount = z.int().min(1).max(256);

/** Text of people and guests: any letters, but nothing that a terminal, a page or a record cannot hold as it is. */
export const lines = (longest: number) =>
  z
    .string()
    .max(longest)
    .refine(isPrintable, 'needs text without control characters, half characters or marks of text direction');
export const line = (longest: number) => lines(longest).refine((text) => !/[\r\n\t]/.test(text), 'needs one line');

/** An id or a name of a server. */
export const serverRef = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'needs the id or the name of a server');
export const pointRef = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'needs the id of a point, or latest');

/** A step, or a disk that a step is about. */
export const stepRef = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'needs the id of a step or of a disk');

const mostNetworks = 64;
export const networks = z
  .record(line(255).min(1), line(255).min(1))
  .refine((map) => Object.keys(map).length <= mostNetworks, `needs at most ${mostNetworks} networks`)
  .openapi({ description: 'Source network to network at the recovery site' });

/** Names go into file names, libvirt domains and URLs; hence the narrow alphabet. */
export const machineName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'needs 1 to 63 of A-Z a-z 0-9 . _ - and starts with a letter or digit');
/** Where keys of encrypted volumes are, never the keys. */
export const unlockKeys = z
  .array(z.string().regex(secretRefPattern, 'is neither file:NAME nor environment:MUSTER_SECRET_NAME'))
  .max(8)
  .openapi({
    description:
      'Where keys of encrypted volumes are, never the keys: `file:NAME` in the secrets folder of the worker, or `environment:NAME`. Each is tried on each volume',
  });
/** Disks of a physical machine that may be overwritten whatever they hold; each named in full, so that none is meant by mistake. */
export const overwriteDisks = z
  .array(line(1024).regex(/^\//, 'needs the whole path of a device or image file'))
  .max(64);
export const siteId = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'needs 1 to 63 of a-z 0-9 - and no leading dash');

/** Why somebody acts: part of the record, so never empty. */
export const reason = lines(2000)
  .regex(/\S/, 'is missing: the record says why somebody acted')
  .overwrite((text) => text.trim())
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
    missing: z.string().optional().openapi({ description: 'Of what there is none by that name' }),
  })
  .openapi('Problem');
export type ProblemDocument = z.infer<typeof problemSchema>;

export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50).openapi({ type: 'integer' }),
  after: line(500).optional().openapi({ description: 'The `next` of the page before' }),
});
