import { z } from '@hono/zod-openapi';
import { channels } from '../../model/notify/notice';
import { occasions } from '../../model/runbook/runbook';
import { notificationStates } from '../../store/notifications-contract';
import { time } from './common';

export const notificationSchema = z
  .object({
    notificationId: z.string(),
    runId: z.string().nullable().openapi({ description: 'null: of no run' }),
    key: z.string().openapi({ description: 'What it is about: a run, or `site/…`, `risk/…`' }),
    epoch: z.int(),
    occasion: z.enum(occasions),
    stage: z.int().openapi({ description: '0: the first; from 1: reminders, or that it is over' }),
    name: z.string(),
    channel: z.enum(channels),
    to: z.string().openapi({ description: 'Mail address, or name of a webhook' }),
    state: z
      .enum(notificationStates)
      .openapi({ description: 'settled: decided before it was told; failed: given up, `error` says why' }),
    madeAt: time,
    endedAt: time.nullable(),
    attempts: z.int(),
    error: z.string().nullable(),
  })
  .openapi('Notification');
export const notificationsSchema = z.object({ items: z.array(notificationSchema) }).openapi('Notifications');
export type NotificationsDocument = z.infer<typeof notificationsSchema>;

export const notificationsQuery = z.object({
  state: z.enum(notificationStates).optional(),
  run: z.uuid().optional().openapi({ description: 'Only of this run' }),
  limit: z.coerce.number().int().min(1).max(500).default(50),
});

export const testMessageSchema = z
  .union([z.strictObject({ mail: z.email() }), z.strictObject({ webhook: z.string().min(1).max(100) })])
  .openapi('TestMessage');
export const sentSchema = z.object({ sent: z.literal(true) }).openapi('TestMessageSent');
