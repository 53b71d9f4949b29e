/** The preview of a runbook: when what runs, what makes it long, and what will ask whom. */
import { z } from '@hono/zod-openapi';
import { sureness } from '../../model/estimate/expected';
import { modes } from '../../model/order';
import { roles } from '../../model/people';
import { runbookCheckSchema, runbookName } from './runbooks';

export const planRunbookSchema = z
  .strictObject({
    text: z.string().optional().openapi({ description: 'A text that need not be imported' }),
    name: runbookName.optional().openapi({ description: 'In place of a text: an imported runbook' }),
    version: z.int().min(1).optional().openapi({ description: 'Of the imported one; default: the newest' }),
    mode: z.enum(modes).default('recovery'),
  })
  .refine(({ text, name }) => (text === undefined) !== (name === undefined), 'needs either `text` or `name`')
  .openapi('PlanRunbook');
export type PlanRunbookInput = z.infer<typeof planRunbookSchema>;

const span = {
  startsMs: z.number().openapi({ description: 'From the start of the whole; people are taken to answer at once' }),
  endsMs: z.number(),
  atLeast: z.boolean().openapi({ description: 'Something in it, or before it, never ran here' }),
};
const cause = z.object({ kind: z.enum(['after', 'limit', 'boot']), name: z.string() });
const sure = z.enum(sureness);
export const expectedSchema = z
  .object({
    ...{ medianMs: z.number(), lowMs: z.number(), highMs: z.number() },
    runs: z.int().openapi({ description: 'How many past runs stand behind it' }),
    from: z.enum(['this server', 'servers of similar size']),
    sure,
  })
  .openapi('Expected');

const server = z.object({
  ...{ name: z.string(), machineName: z.string(), siteId: z.string(), hardware: z.string(), option: z.string() },
  ...span,
  because: cause.nullable().openapi({ description: 'What its start waited for' }),
  expected: expectedSchema.nullable().openapi({ description: 'To its proof; null: unknown, it never ran here' }),
});
const wave = z.object({
  ...{ name: z.string(), title: z.string(), after: z.array(z.string()), gate: z.string().nullable() },
  ...span,
  servers: z.array(server),
});
const runbook = z.object({
  path: z.array(z.string()).openapi({ description: 'From the outermost runbook to this one' }),
  title: z.string(),
  version: z.int().openapi({ description: '0: a text that is not imported' }),
  sha256: z.string(),
  ...span,
  waves: z.array(wave),
});
const ask = z.object({
  kind: z.enum(['gate', 'power-on', 'power-off', 'try-out', 'commit']),
  runbook: z.string(),
  of: z.string().nullable().openapi({ description: 'The wave or server' }),
  question: z.string(),
  who: z.object({ roles: z.array(z.enum(roles)), people: z.array(z.string()) }),
  approvals: z.int(),
  otherwise: z.string().nullable(),
  withinMs: z.number().nullable(),
  atMs: z.number(),
});
const reach = z.object({
  objective: z.enum(['rto', 'rpo']),
  of: z.object({ kind: z.enum(['tier', 'server']), name: z.string() }).nullable(),
  ...{ targetMs: z.number(), expectedMs: z.number(), atLeast: z.boolean() },
  verdict: z.enum(['in reach', 'out of reach', 'unknown']),
});

export const runbookPlanSchema = runbookCheckSchema
  .extend({
    mode: z.enum(modes),
    plan: z
      .object({
        mode: z.enum(modes),
        ...span,
        sure: sure.nullable(),
        unknown: z.array(z.string()).openapi({ description: 'Servers that never ran here, nor any like them' }),
        runbooks: z.array(runbook),
        limitedBy: z
          .array(
            z.object({ name: z.string(), kind: z.enum(['server', 'runbook']), ...span, because: cause.nullable() }),
          )
          .openapi({ description: 'What makes it as long as it is, from start to end' }),
        asks: z.array(ask),
        objectives: z.array(reach),
      })
      .nullable()
      .openapi({ description: 'null while there are errors' }),
  })
  .openapi('RunbookPlan');
export type RunbookPlanDocument = z.infer<typeof runbookPlanSchema>;
export type PreviewDocument = NonNullable<RunbookPlanDocument['plan']>;
