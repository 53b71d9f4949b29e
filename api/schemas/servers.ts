import { z } from '@hono/zod-openapi';
import { diskControllers, firmwares, nicModels } from '../../model/server';
import { sessionStates, consistencies } from '../../model/replica';
import {
  line,
  lines,
  machineName,
  milliseconds,
  positiveMilliseconds,
  reason,
  siteId,
  time,
  unlockKeys,
} from './common';
import { preparedSchema, prepareForSchema } from './prepared';

export const probeSchema = z
  .object({
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$/, 'needs 1 to 63 of A-Z a-z 0-9 . _ - and spaces'),
    command: z
      .array(lines(4096))
      .min(1)
      .max(64)
      .refine((words) => words[0] !== '', { path: [0], message: 'needs the path of a program' })
      .openapi({ description: 'Argument list, run in the guest; no shell' }),
    expectExitCode: z.int().min(0).max(255).default(0),
    expectOutput: line(500)
      .refine(isRegularExpression, 'is not a regular expression')
      .optional()
      .openapi({ description: 'Regular expression that standard output must match' }),
    timeoutMs: z.int().min(1000).max(600_000).default(30_000),
  })
  .openapi('Probe');

export const cadenceSchema = z.object({
  pointEveryMs: positiveMilliseconds.min(1000),
  freezeEveryMs: milliseconds.openapi({ description: '0: never' }),
  keepPoints: z.int().min(1).max(1000),
});

export const newServerSchema = z
  .strictObject({
    name: machineName,
    source: z.strictObject({ siteId, machineName }),
    recoverySiteId: siteId,
    tier: z.int().min(0).max(9).default(1),
    objectives: z.strictObject({ rpoMs: positiveMilliseconds, rtoMs: positiveMilliseconds }),
    cadence: cadenceSchema.partial().default({}),
    probes: z
      .array(probeSchema)
      .max(20)
      .refine((probes) => new Set(probes.map(({ name }) => name)).size === probes.length, 'needs a name for each probe')
      .default([]),
    unlockKeys: unlockKeys.optional(),
    prepareFor: prepareForSchema.optional(),
  })
  .openapi('NewServer');
export type NewServer = z.infer<typeof newServerSchema>;
export type NewServerInput = z.input<typeof newServerSchema>;

export const serverSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    tier: z.int(),
    os: z.object({
      family: z.enum(['linux', 'windows', 'unknown']),
      distribution: z.string().optional(),
      version: z.string().optional(),
      prettyName: z.string().optional(),
      kernelRelease: z.string().optional(),
    }),
    firmware: z.enum(firmwares),
    cpuCount: z.int(),
    memoryBytes: z.int(),
    disks: z.array(
      z.object({
        id: z.string(),
        index: z.int(),
        sizeBytes: z.int(),
        controller: z.enum(diskControllers),
        sourceDevice: z.string(),
      }),
    ),
    nics: z.array(z.object({ index: z.int(), macAddress: z.string(), model: z.enum(nicModels), network: z.string() })),
    objectives: z.object({ rpoMs: z.int(), rtoMs: z.int() }),
    source: z.object({ siteId: z.string(), machineName: z.string() }),
    recoverySiteId: z.string(),
    cadence: cadenceSchema,
    probes: z.array(probeSchema),
    unlockKeys: unlockKeys.optional(),
    prepareFor: prepareForSchema.optional(),
  })
  .openapi('Server');
export type ServerDocument = z.infer<typeof serverSchema>;

export const serversSchema = z.object({ items: z.array(serverSchema) }).openapi('Servers');

export const reasonSchema = z.strictObject({ reason }).openapi('Reason');

export const sessionSchema = z
  .object({
    serverId: z.string(),
    state: z.enum(sessionStates),
    heldBy: z.string().nullable().openapi({ description: 'Run that holds the replica' }),
    lastError: z.string().nullable(),
    since: time,
  })
  .openapi('Session');

export const replicaSchema = z
  .object({
    serverId: z.string(),
    serverName: z.string(),
    state: z.enum(sessionStates),
    heldBy: z.string().nullable(),
    points: z.array(
      z.object({ pointId: z.string(), takenAt: time, consistency: z.enum(consistencies), storedBytes: z.int() }),
    ),
    lagMs: z.number().nullable().openapi({ description: 'Age of the last complete point' }),
    storedBytes: z.int(),
    lastError: z.string().nullable(),
    prepared: preparedSchema.optional(),
    orphans: z
      .array(z.object({ pointId: z.string().nullable(), file: z.string(), because: z.string(), storedBytes: z.int() }))
      .optional()
      .openapi({ description: 'What lies there as a point and cannot be recovered from; it goes with the replica' }),
  })
  .openapi('Replica');
export type ReplicaDocument = z.infer<typeof replicaSchema>;

export const replicasSchema = z
  .object({
    items: z.array(replicaSchema),
    unavailable: z
      .array(z.object({ siteId: z.string(), because: z.string() }))
      .openapi({ description: 'Sites whose worker did not answer: their replicas are missing here' }),
  })
  .openapi('Replicas');
export type ReplicasDocument = z.infer<typeof replicasSchema>;

function isRegularExpression(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}
