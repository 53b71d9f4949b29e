/** Notifications of the API's process: what sends them, started with it and stopped with it. */
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { createSecrets } from '../activities/secrets';
import type { Messenger } from '../api/deps';
import type { Configuration } from '../config/configuration';
import type { Channel } from '../model/notify/notice';
import { startDispatcher, type Dispatcher } from '../notify/dispatcher';
import { createMailSender } from '../notify/mail';
import type { Sender } from '../notify/message';
import { createWebhookSender } from '../notify/webhooks';
import { takeSecretVariables } from '../programs/environment';
import type { Store } from '../store/contract';

export interface Notifying extends Dispatcher {
  /** Sends one message now, past the outbox: for people who try their configuration. */
  readonly messenger: Messenger;
}

const testTimeoutMs = 20_000;

export function startNotifying(configuration: Configuration, store: Store, log: Logger): Notifying {
  const { mail, webhooks, rules, publicUrl, giveUpMs } = configuration.notifications;
  const secrets = createSecrets({ folder: configuration.secretsFolder, environment: takeSecretVariables() });
  const clock = (): Date => new Date();
  const senders: Record<Channel, Sender> = {
    mail: createMailSender({ server: mail, publicUrl, secrets, clock }),
    webhook: createWebhookSender({ webhooks, publicUrl, secrets, clock }),
  };
  const actor = { kind: 'worker' as const, id: `notifications@${hostname()}:${process.pid}`, name: 'notifications' };
  const by = { actor, authMethod: 'internal', requestId: '', address: '' };
  const dispatcher = startDispatcher({ store, senders, defaults: rules, giveUpMs, log, by });
  return { ...dispatcher, messenger: messengerOf(senders, clock) };
}

export function messengerOf(senders: Readonly<Record<Channel, Sender>>, clock: () => Date): Messenger {
  return {
    async test(channel, to, by) {
      const at = clock().toISOString();
      const facts = {
        ...{ name: 'Muster', run: null, step: null, item: null, since: at, cause: `A test that ${by} asked for.` },
        ...{ remedy: 'Nothing: this way works.', allowed: [], state: null, over: false },
      };
      const notice = { key: 'test', epoch: 0, occasion: 'risk' as const, stage: 0, facts };
      const parcel = { parcelId: uuidv7(), channel, to, notices: [notice] };
      await senders[channel].send(parcel, AbortSignal.timeout(testTimeoutMs));
    },
  };
}
