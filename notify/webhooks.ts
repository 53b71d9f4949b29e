/**
 * Webhooks: a POST of JSON, signed as Standard Webhooks has it (https://www.standardwebhooks.com, version 1.0): HMAC-SHA256 over
 * `id.timestamp.body` in the header `webhook-signature`.
 */
import { createHmac } from 'node:crypto';
import type { WebhookConfig } from '../config/notifications';
import { OperatorError, PermanentError, TransientError } from '../model/errors';
import type { Notice } from '../model/notify/notice';
import type { SecretRef } from '../model/secrets';
import { within } from '../programs/within';
import type { Parcel } from '../store/notifications-contract';
import type { Sender } from './message';

export interface WebhookDeps {
  readonly webhooks: readonly WebhookConfig[];
  readonly publicUrl: string | null;
  readonly secrets: (ref: SecretRef) => Promise<Buffer>;
  readonly clock: () => Date;
  /** Default: 10 s for the whole call. */
  readonly timeoutMs?: number;
}

/** Notices of one call; `count` says how many there are. With their texts cut (model/notify) a body stays below 512 KiB. */
const mostNotices = 100;

export function createWebhookSender(deps: WebhookDeps): Sender {
  return {
    async send(parcel, signal) {
      const webhook = deps.webhooks.find(({ name }) => name === parcel.to);
      if (webhook === undefined) throw unknown(parcel.to, deps.webhooks);
      const key = keyOf(webhook, await deps.secrets(webhook.secret));
      const now = deps.clock();
      const body = JSON.stringify(bodyOf(parcel, deps.publicUrl, now));
      const timestamp = String(Math.floor(now.getTime() / 1000));
      const headers = {
        'content-type': 'application/json',
        'user-agent': 'Muster',
        'webhook-id': parcel.parcelId,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${signatureOf(key, parcel.parcelId, timestamp, body)}`,
      };
      await within({ signals: [signal], ms: deps.timeoutMs ?? 10_000 }, (limit) =>
        post(webhook, { method: 'POST', redirect: 'manual', headers, body, signal: limit }),
      );
    },
  };
}

/** Base64, as the header has it after `v1,`. */
export function signatureOf(key: Buffer, id: string, timestamp: string, body: string): string {
  return createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
}

/** @throws OperatorError for what is no secret of Standard Webhooks. */
function keyOf({ name }: WebhookConfig, secret: Buffer): Buffer {
  const match = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret.toString('latin1').trim());
  const key = Buffer.from(match?.[1] ?? '', 'base64');
  if (key.length >= 24 && key.length <= 64) return key;
  throw new OperatorError({
    what: `the secret of webhook ${name} cannot be used`,
    found: match === null ? 'text of another form' : `${key.length} bytes`,
    needed: 'whsec_ and 24 to 64 random bytes in base64',
    remedy: 'Make one: echo "whsec_$(openssl rand -base64 32)". Give it to the receiver, too.',
  });
}

function bodyOf(parcel: Parcel, publicUrl: string | null, now: Date) {
  const { notices } = parcel;
  const occasions = new Set(notices.map(({ occasion }) => occasion));
  return {
    type: occasions.size === 1 ? `muster.${[...occasions][0]}` : 'muster.several',
    timestamp: now.toISOString(),
    data: {
      count: notices.length,
      notices: notices.slice(0, mostNotices).map((notice) => noticeOf(notice, publicUrl)),
    },
  };
}

function noticeOf({ key, epoch, occasion, stage, facts }: Notice, publicUrl: string | null) {
  const { name, run, step, item, since, cause, remedy, allowed, state, over } = facts;
  // Of what is no run nobody is reminded: a later stage is news.
  const reminder = stage > 0 && run !== null;
  const url = run === null || publicUrl === null ? null : `${publicUrl}/api/v1/runs/${run.runId}/report`;
  return { occasion, name, key, epoch, reminder, over, run, step, item, since, cause, remedy, allowed, state, url };
}

async function post({ name, url }: WebhookConfig, request: RequestInit): Promise<void> {
  const what = `webhook ${name} did not take it`;
  let response: Response;
  try {
    response = await fetch(url, request);
  } catch (error) {
    const cause = (error as Error).cause ?? error;
    const { code, message } = cause as NodeJS.ErrnoException;
    // A DOMException has a number there.
    const found = typeof code === 'string' ? code : String(message ?? cause);
    throw new TransientError({ what, found, remedy: 'Check its address; it is tried again by itself.' });
  }
  // What it says beside its status is not read: it may be endless.
  await response.body?.cancel().catch(() => undefined);
  if (response.status >= 200 && response.status < 300) return;
  const found = `status ${response.status}`;
  const needed = 'a status from 200 to 299';
  if (response.status === 410) {
    const remedy = 'The receiver is gone for good: take the webhook out of the configuration and the runbooks.';
    throw new PermanentError({ what, found, needed, remedy });
  }
  const isRedirect = response.status >= 300 && response.status < 400;
  const remedy = isRedirect ? 'Redirects are not followed: configure the address that it leads to.' : 'Ask its owner.';
  throw new TransientError({ what, found, needed, remedy });
}

const unknown = (name: string, known: readonly WebhookConfig[]) =>
  new OperatorError({
    what: `webhook ${name} cannot be called`,
    found: 'none of this name in the configuration',
    needed: known.length === 0 ? 'a list `webhooks`' : `one of ${known.map((one) => one.name).join(', ')}`,
    remedy: 'Name it in the configuration file (docs/notifications.md) and restart the API, or correct the runbook.',
  });
