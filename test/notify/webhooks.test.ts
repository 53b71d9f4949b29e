/** Webhooks against a real HTTP receiver on 127.0.0.1, whose signature is checked by the convention's own library. */
import type { OperatorError } from '../../model/errors';
import type { Notice } from '../../model/notify/notice';
import { createWebhookSender, type WebhookDeps } from '../../notify/webhooks';
import { whileCollecting } from '../support/garbage';
import { startReceiver, type TestReceiver } from './support/receiver';

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
let receiver: TestReceiver;
beforeEach(async () => (receiver = await startReceiver(secret)));
afterEach(() => receiver.stop());

const sender = (changes: Partial<WebhookDeps> = {}) =>
  createWebhookSender({
    webhooks: [{ name: 'chat', url: receiver.url, secret: { from: 'file', name: 'chat' } }],
    ...{ publicUrl: 'https://muster.example', clock: () => new Date() },
    ...{ secrets: () => Promise.resolve(Buffer.from(secret)) },
    ...changes,
  });

const notice = (name: string): Notice => ({
  ...{ key: `risk/${name}`, epoch: 1, occasion: 'risk', stage: 0 },
  facts: {
    ...{ name, run: null, step: null, item: null, since: '2026-01-01T00:00:00.000Z', cause: 'It lags.' },
    ...{ remedy: 'Look at it.', allowed: [], state: null, over: false },
  },
});
const parcel = (notices = [notice('app01')]) => ({ parcelId: 'p-1', channel: 'webhook' as const, to: 'chat', notices });
const never = new AbortController().signal;

test('a call carries id, time and a signature that an independent library verifies, and says what happened', async () => {
  await sender().send(parcel(), never);
  const [call] = receiver.calls;
  expect(call).toMatchObject({ verified: true, headers: { 'webhook-id': 'p-1', 'content-type': 'application/json' } });
  expect(JSON.parse(call!.text)).toMatchObject({
    type: 'muster.risk',
    data: { count: 1, notices: [{ name: 'app01', cause: 'It lags.', remedy: 'Look at it.', over: false }] },
  });
});

test('another secret does not verify', async () => {
  const other = Buffer.from(`whsec_${Buffer.alloc(32, 8).toString('base64')}`);
  await sender({ secrets: () => Promise.resolve(other) }).send(parcel(), never);
  expect(receiver.calls[0]!.verified).toBe(false);
});

test('thousands of notices are one call of bounded size that says how many there are', async () => {
  const long = 'é'.repeat(1_000);
  const many = Array.from({ length: 2_000 }, (_, i) => ({
    ...notice(`app${i}`),
    facts: { ...notice(`app${i}`).facts, cause: long },
  }));
  await sender().send(parcel(many), never);
  expect(receiver.calls[0]!.text.length).toBeLessThan(512 * 1024);
  expect(JSON.parse(receiver.calls[0]!.text).data).toMatchObject({ count: 2_000 });
});

test('a redirect is not followed', async () => {
  receiver.answer = { status: 302, headers: { location: receiver.url } };
  await expect(sender().send(parcel(), never)).rejects.toMatchObject({
    name: 'TransientError',
    message: expect.stringMatching(/status 302.*Redirects are not followed/),
  });
  expect(receiver.calls).toHaveLength(1);
});

test.each([
  [500, 'TransientError'],
  [404, 'TransientError'],
  [410, 'PermanentError'],
])('status %i is a %s', async (status, name) => {
  receiver.answer = { status };
  await expect(sender().send(parcel(), never)).rejects.toMatchObject({
    name,
    message: expect.stringContaining(`${status}`),
  });
});

test('a receiver that never answers, and one that is not there, are tried again later', async () => {
  receiver.answer = null;
  const sent = sender({ timeoutMs: 200 }).send(parcel(), never);
  await expect(whileCollecting(sent)).rejects.toMatchObject({
    name: 'TransientError',
    message: expect.stringContaining('found not done within 200 ms'),
  });
  // No connection to it is left over from before.
  const gone = await startReceiver(secret);
  await gone.stop();
  const webhooks = [{ name: 'chat', url: gone.url, secret: { from: 'file', name: 'chat' } as const }];
  await expect(sender({ webhooks }).send(parcel(), never)).rejects.toMatchObject({
    name: 'TransientError',
    message: expect.stringContaining('ECONNREFUSED'),
  });
});

test('an unknown webhook, and a secret that is none, say what to do and never the secret', async () => {
  await expect(sender({ webhooks: [] }).send(parcel(), never)).rejects.toMatchObject({ name: 'OperatorError' });
  const bad = sender({ secrets: () => Promise.resolve(Buffer.from('hunter2')) }).send(parcel(), never);
  const error = await bad.catch((caught: OperatorError) => caught);
  expect(String(error)).toContain('openssl rand -base64 32');
  expect(String(error)).not.toContain('hunter2');
  expect(receiver.calls).toEqual([]);
});
