/** What people were told, what could not be delivered, and a test of either way. */
import type { ApiDeps } from '../deps';
import { Problem } from '../problems';
import { body, json, plain, type Register } from '../register';
import {
  notificationsQuery,
  notificationsSchema,
  sentSchema,
  testMessageSchema,
  type NotificationsDocument,
} from '../schemas/notifications';
import { within } from '../within';

export function notificationRoutes(register: Register, deps: ApiDeps): void {
  const { store, config, messenger } = deps;
  register(
    'listNotifications',
    {
      method: 'get',
      path: '/notifications',
      summary: 'What people were or will be told, newest first',
      request: { query: notificationsQuery },
      responses: { 200: json(notificationsSchema, 'Notifications') },
    },
    async (c) => {
      const { state, run, limit } = c.req.valid('query');
      const filter = { limit, ...(state === undefined ? {} : { state }), ...(run === undefined ? {} : { runId: run }) };
      const items = await within(config.storeDeadlineMs, store.notifications.list(filter));
      return c.json(plain<NotificationsDocument>({ items }), 200);
    },
  );

  register(
    'testNotification',
    {
      method: 'post',
      path: '/notifications/test',
      summary: 'Send one test message now, to a mail address or a webhook',
      description: 'Answers when the mail server or the receiver has taken it, with its own words when it has not.',
      request: { body: body(testMessageSchema) },
      responses: { 200: json(sentSchema, 'It was taken') },
    },
    async (c) => {
      const asked = c.req.valid('json');
      if (messenger === undefined) throw new Problem('part-unavailable', 'This process of the API sends nothing');
      const [channel, to] = 'mail' in asked ? (['mail', asked.mail] as const) : (['webhook', asked.webhook] as const);
      await messenger.test(channel, to, c.get('person').name);
      return c.json({ sent: true as const }, 200);
    },
  );
}
