/** What an auditor and an administrator reach of notifications: through the API and the command line, to a real mail server and receiver. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serveApi, type ServedApi } from '../../api/server';
import { createMailSender } from '../../notify/mail';
import { createWebhookSender } from '../../notify/webhooks';
import { examine } from '../../stack/doctor/doctor';
import { messengerOf } from '../../stack/notifying';
import { caller, openTestStack, type Call, type TestStack } from '../api/stack';
import { muster } from '../cli/muster';
import { batch, event, newRunId, opened } from '../store/run-events';
import { testTemporalAddress } from '../support/temporal';
import { startReceiver, type TestReceiver } from './support/receiver';
import { startSmtp, type TestSmtp } from './support/smtp';

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
let stack: TestStack;
let call: Call;
let served: ServedApi;
let smtp: TestSmtp;
let receiver: TestReceiver;

beforeAll(async () => {
  stack = await openTestStack();
  smtp = await startSmtp();
  receiver = await startReceiver(secret);
  const clock = (): Date => new Date();
  const common = { publicUrl: null, clock, secrets: () => Promise.resolve(Buffer.from(secret)) };
  const server = { host: '127.0.0.1', port: smtp.port, security: 'none', user: null, password: null } as const;
  const webhooks = [{ name: 'chat', url: receiver.url, secret: { from: 'file', name: 'chat' } as const }];
  const senders = {
    mail: createMailSender({ ...common, server: { ...server, from: 'muster@dr.example' } }),
    webhook: createWebhookSender({ ...common, webhooks }),
  };
  const deps = { ...stack.deps, messenger: messengerOf(senders, clock) };
  call = caller({ ...stack, deps });
  served = await serveApi(deps, { host: '127.0.0.1', port: 0 });
}, 60_000);
afterAll(async () => {
  await served?.stop();
  await smtp?.stop();
  await receiver?.stop();
  await stack?.close();
});

const env = (token: string) => ({ MUSTER_URL: served.url, MUSTER_TOKEN: token });

test('a test message goes to the address and the webhook that an administrator names, and says when it is not taken', async () => {
  const mail = await muster(['notify', 'test', '--mail', 'you@dr.example'], env(stack.tokens.admin));
  expect(mail).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('Sent to you@dr.example') });
  expect(smtp.received).toMatchObject([{ to: ['you@dr.example'], mail: { text: expect.stringContaining('A test') } }]);
  await muster(['notify', 'test', '--webhook', 'chat'], env(stack.tokens.admin));
  expect(receiver.calls).toMatchObject([{ verified: true }]);
  receiver.answer = { status: 500 };
  const refused = await muster(['notify', 'test', '--webhook', 'chat'], env(stack.tokens.admin));
  expect(refused.exitCode).not.toBe(0);
  expect(refused.stderr).toContain('status 500');
  const unknown = await call('POST', '/notifications/test', { body: { webhook: 'pager' } });
  expect(unknown.body.detail).toMatch(/found none of this name in the configuration, needed one of chat/);
  const operator = await call('POST', '/notifications/test', {
    token: stack.tokens.operator,
    body: { webhook: 'chat' },
  });
  expect(operator.status).toBe(403);
}, 60_000);

test('an auditor lists what could not be delivered and why, by run; the open door says how many and no address', async () => {
  const runId = newRunId();
  const failure = { family: 'OperatorError' as const, message: 'no space', remedy: null, detail: null };
  const data = { epoch: 1, undo: false, failure, allowed: ['retry' as const], remedy: 'Free some.' };
  await stack.store.journal.append(batch(runId, 1, [opened(runId), event('parked', data, { step: 'create-machine' })]));
  const defaults = [{ on: ['stuck' as const], mail: ['oncall@dr.example'], webhooks: [] }];
  const { notifications } = stack.store;
  await notifications.address({ defaults, windowMs: 0, quietMs: 0 });
  const parcel = await notifications.take('mail', 60_000);
  const actor = { kind: 'worker' as const, id: 'test', name: 'test' };
  const by = { actor, authMethod: 'internal', requestId: '', address: '' };
  await notifications.failed(parcel!, by, { error: 'mailbox unavailable', forGood: true, giveUpMs: 1 });
  const shown = ['notifications', '--state', 'failed', '--run', runId];
  const listed = await muster(shown, env(stack.tokens.auditor));
  expect(listed.stdout.replace(/\s+/g, ' ')).toMatch(/failed.*stuck.*app01.*oncall@dr\.example.*mailbox unavailable/);
  const report = await call('GET', `/runs/${runId}/report?format=json`);
  const told = { occasion: 'stuck', about: 'create-machine', to: 'oncall@dr.example', state: 'failed' };
  expect(report.body.told).toMatchObject([{ ...told, error: 'mailbox unavailable' }]);
  expect((await call('GET', '/notifications', { token: stack.tokens.viewer })).status).toBe(403);
  const ready = await call('GET', '/ready', { token: null });
  const part = ready.body.parts.find(({ name }: { name: string }) => name === 'notifications');
  expect([ready.status, part.ok, part.detail]).toEqual([
    200,
    false,
    '1 could not be delivered in the last 24 hours (muster notifications)',
  ]);
  const folder = await mkdtemp(join(tmpdir(), 'muster-door-'));
  try {
    await writeFile(join(folder, 'muster.yaml'), 'sites: [{ id: dr, kind: simulated }]\n');
    const { checks } = await examine({
      env: {
        ...{ PATH: process.env['PATH'], MUSTER_URL: served.url, MUSTER_TEMPORAL_ADDRESS: testTemporalAddress() },
        ...{ MUSTER_CONFIG: join(folder, 'muster.yaml'), MUSTER_DATA_FOLDER: join(folder, 'data') },
      },
    });
    expect(checks.find(({ id }) => id === 'api.connection')).toMatchObject({
      state: 'problem',
      found: expect.stringContaining('notifications: 1 could not be delivered in the last 24 hours'),
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 60_000);
