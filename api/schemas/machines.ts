import { z } from '@hono/zod-openapi';
import { runStates } from '../../model/steps';
import { machineName, reason, siteId, time } from './common';

const heldBySchema = z.object({
  runId: z.string(),
  since: time,
  poweredOnAt: time.nullable(),
  live: z.boolean().nullable().openapi({ description: 'Whether the run still goes on; null: nobody could say' }),
  serverName: z
    .string()
    .nullable()
    .openapi({ description: 'What was recovered onto it; null: the run is unknown here' }),
  runState: z.enum(runStates).nullable(),
});

export const machineSchema = z
  .object({
    siteId: z.string(),
    name: z.string(),
    hardware: z.string().nullable().openapi({ description: 'null: no longer configured, only its claim is left' }),
    switchedBy: z.enum(['controller', 'person']),
    power: z
      .enum(['off', 'on', 'paused', 'crashed'])
      .nullable()
      .openapi({ description: 'null: its controller did not tell. Switched by a person: what their last word was' }),
    devices: z.array(z.string()),
    heldBy: heldBySchema.nullable().openapi({ description: 'null: free' }),
  })
  .openapi('Machine');
export type MachineDocument = z.infer<typeof machineSchema>;

export const machinesSchema = z
  .object({
    items: z.array(machineSchema),
    unavailable: z
      .array(z.object({ siteId: z.string(), because: z.string() }))
      .openapi({ description: 'Sites whose worker did not answer: their machines are missing here' }),
  })
  .openapi('Machines');
export type MachinesDocument = z.infer<typeof machinesSchema>;

export const machineParam = z.object({ machine: machineName.openapi({ param: { name: 'machine', in: 'path' } }) });

export const releaseSchema = z
  .strictObject({
    reason,
    siteId: siteId.optional().openapi({ description: 'Needed where machines of several sites have that name' }),
    switchedOff: z
      .boolean()
      .default(false)
      .openapi({ description: 'Your word that it is off, for a machine that no program can ask' }),
  })
  .openapi('MachineRelease');
export type ReleaseInput = z.input<typeof releaseSchema>;
export type Release = z.output<typeof releaseSchema>;

export const releasedSchema = z
  .object({
    siteId: z.string(),
    machine: z.string(),
    released: z.boolean().openapi({ description: 'false: it was free already' }),
    runId: z.string().nullable().openapi({ description: 'The run that had it' }),
  })
  .openapi('MachineReleased');
export type ReleasedDocument = z.infer<typeof releasedSchema>;
