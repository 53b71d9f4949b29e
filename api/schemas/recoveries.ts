import { z } from '@hono/zod-openapi';
import { recoveryOptions } from '../../model/replica';
import { hardwareProfiles, firmwares } from '../../model/server';
import { intents, modes, verifications } from '../../model/order';
import {
  cpuCount,
  machineName,
  memoryBytes,
  milliseconds,
  networks,
  overwriteDisks,
  pointRef,
  positiveMilliseconds,
  reason,
  serverRef,
  time,
} from './common';

const hardwareIds = Object.keys(hardwareProfiles) as [string, ...string[]];

/** What a person asks for; everything left out is filled from the server and from Muster's defaults. */
export const newRecoverySchema = z
  .strictObject({
    server: serverRef.openapi({ description: 'Id or name' }),
    reason,
    mode: z.enum(modes).default('recovery'),
    intent: z.enum(intents).default('disaster'),
    option: z.enum(recoveryOptions).default('backup-and-recover'),
    point: pointRef.default('latest'),
    finalCycle: z.enum(['auto', 'never']).optional(),
    verify: z.enum(verifications).default('auto').openapi({
      description:
        'Compare the layers of the point with their digests. auto: always in a rehearsal or a planned recovery, up to 8 GiB in a disaster',
    }),
    hardware: z.enum(hardwareIds),
    firmware: z.enum(firmwares).optional(),
    machineName: machineName.optional(),
    cpuCount: cpuCount.optional(),
    memoryBytes: memoryBytes.optional(),
    networks: networks.default({}),
    overwriteDisks: overwriteDisks.optional().openapi({
      description: 'Disks of a physical machine, by device, that may be overwritten whatever they hold',
    }),
    inoculate: z.boolean().default(true),
    powerOn: z.enum(['automatic', 'decision']).default('automatic'),
    lostAt: time.optional().openapi({ description: 'When the server was lost; the RPO is measured from it' }),
    sourceDeadlineMs: milliseconds.optional(),
    reminderMs: positiveMilliseconds.min(1000).optional(),
    proof: z
      .strictObject({
        heartbeatTimeoutMs: positiveMilliseconds.min(1000),
        stableForMs: milliseconds,
        screenshot: z.boolean(),
      })
      .partial()
      .optional(),
    giveUpAfterMs: positiveMilliseconds.min(1000).optional().openapi({
      description:
        'Rehearsals: waiting for people for longer than this (default: 4 hours), it is cleaned up and has failed',
    }),
    tryOut: z
      .strictObject({ title: z.string().min(1).max(200), question: z.string().min(1).max(2000) })
      .optional()
      .openapi({ description: 'Rehearsals: a person is asked this before everything is cleaned up' }),
    retry: z
      .strictObject({
        maxAttempts: z.int().min(1).max(100),
        firstDelayMs: milliseconds,
        factor: z.number().min(1).max(10),
        maxDelayMs: milliseconds,
      })
      .partial()
      .optional(),
  })
  .openapi('NewRecovery');
export type NewRecovery = z.infer<typeof newRecoverySchema>;
export type NewRecoveryInput = z.input<typeof newRecoverySchema>;

export const cleanUpSchema = z.strictObject({ reason }).openapi('CleanUp');

export const startedRecoverySchema = z
  .object({
    runId: z.string(),
    serverId: z.string(),
    serverName: z.string(),
    machineName: z.string(),
    seenBefore: z.boolean().openapi({ description: 'The same idempotency key had started this run already' }),
  })
  .openapi('StartedRecovery');
export type StartedRecovery = z.infer<typeof startedRecoverySchema>;

export const startedCleanUpSchema = startedRecoverySchema
  .extend({
    runs: z
      .array(z.object({ runId: z.string(), serverName: z.string(), rehearsal: z.string() }))
      .optional()
      .openapi({ description: 'Of a plan: each begins when the one before has ended; the first is the one above' }),
  })
  .openapi('StartedCleanUp');
export type StartedCleanUp = z.infer<typeof startedCleanUpSchema>;

export const idempotencyHeader = z.object({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{8,200}$/, 'needs 8 to 200 printable characters, a new one for each recovery wanted')
    .openapi({ description: 'The same key returns the same run' }),
});
