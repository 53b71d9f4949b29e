import { z } from '@hono/zod-openapi';
import { modes } from '../../model/order';
import { roles } from '../../model/people';
import { decisionKinds } from '../../model/steps';
import { line, pageQuery, siteId, time } from './common';

const who = z.object({ id: z.string(), name: z.string() });
const people = z.object({ roles: z.array(z.enum(roles)), people: z.array(z.string()) });
const approval = z.object({ by: who, at: time, reason: z.string() });

export const stuckItemSchema = z
  .object({
    runId: z.string(),
    planRunId: z.string().nullable(),
    procedure: z.string(),
    mode: z.enum(modes),
    serverName: z.string().openapi({ description: 'Of a plan: the name of its runbook' }),
    tier: z.int(),
    sites: z.array(z.string()),
    runbooks: z.array(z.string()),
    epoch: z.int().openapi({ description: 'Names this waiting in its run; 0: the run itself' }),
    step: z.string().nullable(),
    item: z.string().nullable(),
    kind: z
      .enum(['stuck', 'gate', 'second-eyes'])
      .openapi({ description: 'second-eyes: an abort that a second person has to want, too' }),
    undo: z.boolean(),
    since: time,
    waitingMs: z.number().openapi({ description: 'How long people have been waited for' }),
    reminders: z.int(),
    cause: z.string(),
    remedy: z.string(),
    allowed: z.array(z.enum(decisionKinds)),
    told: z.array(z.object({ to: z.string(), at: time })).openapi({ description: 'Who was told, and when first' }),
    claimedBy: who.nullable().openapi({ description: 'Who has taken it' }),
    claimedAt: time.nullable(),
    gate: z
      .object({
        name: z.string(),
        approvers: people,
        needed: z.int(),
        until: time.nullable(),
        otherwise: z.enum(['wait', 'escalate', 'abort', 'go-on']),
        escalateTo: people,
      })
      .nullable(),
    approvals: z.array(approval),
    half: approval
      .extend({ decision: z.enum(decisionKinds), from: z.string().nullable(), input: z.unknown() })
      .nullable()
      .openapi({ description: 'A decision that waits for a second pair of eyes' }),
  })
  .openapi('StuckItem');

export const stuckSchema = z
  .object({
    items: z.array(stuckItemSchema),
    total: z.int().openapi({ description: 'On all pages' }),
    next: z.string().optional(),
    source: z.enum(['store', 'live']),
    notice: z.string().nullable().openapi({ description: 'What a reader should know about this answer' }),
  })
  .openapi('Stuck', { description: 'Most urgent first; `next` is absent on the last page' });
export type StuckDocument = z.infer<typeof stuckSchema>;

const flag = z.enum(['true', 'false']).optional();
export const stuckQuery = pageQuery.extend({
  site: siteId.optional(),
  runbook: line(100).optional(),
  mode: z.enum(modes).optional(),
  mine: flag.openapi({ description: 'Only what you have taken' }),
  unclaimed: flag.openapi({ description: 'Only what nobody has taken' }),
});
