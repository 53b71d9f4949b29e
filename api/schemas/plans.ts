/** Runs of runbooks: how they are asked for, and people's holds on them. */
import { z } from '@hono/zod-openapi';
import { intents, modes } from '../../model/order';
import { pointRef, reason, serverRef, time } from './common';

export const newPlanRunSchema = z
  .strictObject({
    mode: z.enum(modes).openapi({ description: 'Never assumed: a recovery by mistake is a disaster of its own' }),
    intent: z.enum(intents).default('disaster').openapi({
      description: 'planned: the sources are stopped first. A failback is always planned; a rehearsal stops nothing',
    }),
    reason,
    version: z.int().min(1).optional().openapi({ description: 'Default: the newest' }),
    text: z.string().min(1).optional().openapi({
      description:
        'The text itself instead of an imported version: it runs pinned by its hash, with Postgres down, too',
    }),
    points: z
      .record(serverRef, pointRef)
      .default({})
      .openapi({ description: 'Recovery points by server; the others take their latest' }),
    lostAt: time.optional().openapi({ description: 'When the site was lost; the RPO is measured from it' }),
  })
  .refine(({ text, version }) => text === undefined || version === undefined, {
    path: ['version'],
    message: 'cannot stand beside text: a text is what it is',
  })
  .openapi('NewPlanRun');
export type NewPlanRun = z.infer<typeof newPlanRunSchema>;
export type NewPlanRunInput = z.input<typeof newPlanRunSchema>;

export const startedPlanSchema = z
  .object({
    runId: z.string(),
    runbook: z.object({
      name: z.string(),
      version: z.int().openapi({ description: '0: of no imported version' }),
      sha256: z.string(),
    }),
    servers: z.int().openapi({ description: 'With those of included runbooks' }),
    seenBefore: z.boolean().openapi({ description: 'The same idempotency key had started this run already' }),
    notices: z.array(z.string()).openapi({
      description: 'What was taken as it was last read because Postgres did not answer, in sentences; empty: nothing',
    }),
  })
  .openapi('StartedPlan');
export type StartedPlan = z.infer<typeof startedPlanSchema>;

export const holdSchema = z
  .strictObject({
    wave: z.string().min(1).max(63).optional().openapi({ description: 'Only this wave' }),
    server: serverRef.optional().openapi({ description: 'Only this server' }),
    reason,
  })
  .refine(({ wave, server }) => wave === undefined || server === undefined, {
    path: ['server'],
    message: 'cannot stand beside wave: hold one place at a time',
  })
  .openapi('Hold', { description: 'Without wave and server: the whole plan' });
export type HoldInput = z.input<typeof holdSchema>;
