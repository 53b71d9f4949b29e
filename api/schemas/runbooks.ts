/** Runbooks: their texts, what is wrong with them, and the versions that were imported. */
import { z } from '@hono/zod-openapi';
import { longestText } from '../../model/schema/read-runbook';
import { time } from './common';

export const runbookName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'needs the name of a runbook')
  .openapi({ example: 'shop' });
export const runbookParam = z.object({ name: runbookName });
export const versionQuery = z.object({
  version: z.coerce.number().int().min(1).optional().openapi({ type: 'integer', description: 'Default: the newest' }),
});

/** A text that is too long is told so with all else that is wrong with it, not refused as a request. */
export const runbookTextSchema = z
  .strictObject({
    text: z.string().openapi({ description: `The runbook as it was written, YAML; at most ${longestText} characters` }),
  })
  .openapi('RunbookText');
export type RunbookTextInput = z.infer<typeof runbookTextSchema>;

export const runbookProblemSchema = z
  .object({
    severity: z.enum(['error', 'warning']),
    line: z.int().openapi({ description: 'From 1' }),
    column: z.int().openapi({ description: 'From 1' }),
    at: z.array(z.union([z.string(), z.int()])).openapi({ description: 'Keys and indexes from the top' }),
    found: z.string(),
    needed: z.string(),
    remedy: z.string().nullable(),
  })
  .openapi('RunbookProblem');
export type RunbookProblemDocument = z.infer<typeof runbookProblemSchema>;

export const runbookCheckSchema = z
  .object({
    ok: z.boolean().openapi({ description: 'No errors; there may be warnings' }),
    name: z.string().nullable(),
    problems: z.array(runbookProblemSchema),
    notChecked: z
      .array(z.string())
      .openapi({ description: 'What could not be asked, and is therefore neither right nor wrong' }),
  })
  .openapi('RunbookCheck');
export type RunbookCheckDocument = z.infer<typeof runbookCheckSchema>;

export const runbookSummarySchema = z
  .object({
    name: z.string(),
    version: z.int(),
    sha256: z.string(),
    title: z.string(),
    tier: z.int(),
    includes: z.array(z.string()),
    importedBy: z.string(),
    importedAt: time,
  })
  .openapi('RunbookSummary');
export type RunbookSummary = z.infer<typeof runbookSummarySchema>;
export const runbooksSchema = z.object({ items: z.array(runbookSummarySchema) }).openapi('Runbooks');
export type RunbooksDocument = z.infer<typeof runbooksSchema>;

export const runbookSchema = runbookSummarySchema
  .extend({
    text: z.string(),
    versions: z
      .array(runbookSummarySchema.pick({ version: true, sha256: true, importedBy: true, importedAt: true }))
      .openapi({ description: 'All of them, newest first' }),
  })
  .openapi('Runbook');
export type RunbookDocument = z.infer<typeof runbookSchema>;

export const importedSchema = runbookSummarySchema
  .extend({
    seenBefore: z.boolean().openapi({ description: 'This very text is the newest version already; nothing was added' }),
    sameAs: z.int().nullable().openapi({ description: 'Of a new version: the last earlier one with this very text' }),
    warnings: z.array(runbookProblemSchema),
    notChecked: z.array(z.string()),
    notScheduled: z.string().nullable().openapi({
      description:
        'Why its rehearsals do not start by themselves as the text says; null: they do, or it has no schedule',
    }),
  })
  .openapi('ImportedRunbook');
export type ImportedDocument = z.infer<typeof importedSchema>;

export const evacuationSchema = z
  .object({
    site: z.string(),
    text: z
      .string()
      .openapi({ description: 'A runbook that includes them all, YAML, to be read, changed and imported' }),
    includes: z
      .array(z.object({ runbook: z.string(), tier: z.int(), after: z.array(z.string()) }))
      .openapi({ description: 'In the order in which they run' }),
    leftOut: z.array(z.string()).openapi({ description: 'Servers of the site that no runbook recovers' }),
    unreadable: z
      .array(z.string())
      .openapi({ description: 'Runbooks that this version of Muster does not read any more' }),
  })
  .openapi('Evacuation');
export type EvacuationDocument = z.infer<typeof evacuationSchema>;
