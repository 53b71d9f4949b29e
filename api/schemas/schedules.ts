import { z } from '@hono/zod-openapi';
import { reason, time } from './common';

export const scheduleActs = ['pause', 'resume', 'run-now'] as const;

export const scheduleSchema = z
  .object({
    runbook: z.string(),
    paused: z.boolean(),
    note: z.string().nullable().openapi({ description: 'What was said when it was paused or let go on' }),
    next: z.array(time).openapi({ description: 'The next times, at most three' }),
    missed: z.int().openapi({ description: 'Times that were over before they could be caught up' }),
    last: z
      .object({
        at: time,
        runId: z.string().nullable(),
        skipped: z.string().nullable().openapi({ description: 'Why no rehearsal was started' }),
      })
      .nullable()
      .openapi({
        description: 'What became of the last one, by its time or by a person; neither: it is being decided',
      }),
  })
  .openapi('Schedule');
export type ScheduleDocument = z.infer<typeof scheduleSchema>;

export const schedulesSchema = z.object({ items: z.array(scheduleSchema) }).openapi('Schedules');
export type SchedulesDocument = z.infer<typeof schedulesSchema>;

export const scheduleActParam = z.object({
  name: z
    .string()
    .min(1)
    .max(200)
    .openapi({ param: { name: 'name', in: 'path' }, description: 'The runbook' }),
});

export const scheduleActSchema = z.strictObject({ act: z.enum(scheduleActs), reason }).openapi('ScheduleAct');
export type ScheduleActInput = z.input<typeof scheduleActSchema>;
