import { z } from '@hono/zod-openapi';
import { riskKinds, severities, subjectKinds } from '../../model/readiness/risks';
import { verificationStates } from '../../model/readiness/verified';
import { time } from './common';

export const riskSchema = z
  .object({
    id: z.string().openapi({ description: 'Stable while it lasts, and the same when it comes back' }),
    kind: z.enum(riskKinds),
    severity: z.enum(severities).openapi({
      description:
        'critical: a recovery would fail, or lose more than its objective. warning: it may. info: worth knowing',
    }),
    subject: z.object({ kind: z.enum(subjectKinds), name: z.string() }),
    found: z.string(),
    needed: z.string(),
    remedy: z.string(),
    since: time,
    seenAt: time.openapi({ description: 'When it was found last' }),
    goneAt: time.nullable().openapi({ description: 'null: it is there' }),
  })
  .openapi('Risk');
export type RiskDocument = z.infer<typeof riskSchema>;

export const verificationSchema = z
  .object({
    state: z.enum(verificationStates),
    because: z.array(z.string()).openapi({ description: 'Why it is not verified, item by item' }),
    rehearsal: z
      .object({ runId: z.string(), version: z.int(), at: time })
      .nullable()
      .openapi({ description: 'The rehearsal that it is measured against; null: none succeeded' }),
    until: time.nullable().openapi({ description: 'When its age ends it' }),
  })
  .openapi('Verification');

export const readinessSchema = z
  .object({
    askedAt: time.nullable().openapi({ description: 'When everything was asked last; null: not yet' }),
    sites: z
      .array(
        z.object({
          siteId: z.string(),
          askedAt: time,
          answeredAt: time.nullable(),
          because: z.string().nullable().openapi({ description: 'Why it did not answer the last time; null: it did' }),
        }),
      )
      .openapi({ description: 'A site that did not answer: its risks are shown as they were' }),
    runbooks: z.array(z.object({ name: z.string(), version: z.int(), verification: verificationSchema })),
    items: z.array(riskSchema).openapi({ description: 'Worst first' }),
  })
  .openapi('Readiness');
export type ReadinessDocument = z.infer<typeof readinessSchema>;

export const readinessQuery = z.strictObject({
  of: z.string().min(1).max(200).optional().openapi({ description: 'Runbook or server: what concerns it' }),
  severity: z.enum(severities).optional().openapi({ description: 'At least so bad' }),
  kind: z.enum(riskKinds).optional(),
  goneSince: z.iso.datetime().optional().openapi({ description: 'With those that went since then' }),
});
export type ReadinessQuery = z.infer<typeof readinessQuery>;
export const roundQuery = readinessQuery.pick({ of: true });
export const runbookReadinessQuery = readinessQuery.omit({ of: true });

export const runbookReadinessParam = z.object({
  name: z
    .string()
    .min(1)
    .max(200)
    .openapi({ param: { name: 'name', in: 'path' } }),
});

export const roundSchema = z
  .object({
    appeared: z.int(),
    gone: z.int(),
    silent: z.array(z.string()).openapi({ description: 'Sites that did not answer' }),
  })
  .openapi('ReadinessRound');
export type RoundDocument = z.infer<typeof roundSchema>;
