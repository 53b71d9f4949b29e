/** Notifications by mail against a real SMTP server, read by somebody else's parser: from the journal's batch to the mailbox. */
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import type { MailServer } from '../../config/notifications';
import { startDispatcher, type Dispatcher, type Pace } from '../../notify/dispatcher';
import { createMailSender } from '../../notify/mail';
import type { Sender } from '../../notify/message';
import { isPrintable } from '../../model/names';
import type { NotificationRule } from '../../model/runbook/runbook';
import type { Provenance } from '../../model/order';
import type { OpenStore, StoreOptions } from '../../store/open-store';
import { batch, event, newRunId, opened, serverSpec } from '../store/run-events';
import { withOutbox, type Pass } from '../store/outbox';
import { startSmtp, type TestSmtp } from './support/smtp';

jest.setTimeout(180_000);

const by: Provenance = {
  actor: { kind: 'worker', id: 'api-1', name: 'notifications' },
  authMethod: 'internal',
  requestId: '',
  address: '',
};
const defaults: NotificationRule[] = [{ on: ['stuck', 'gate'], mail: ['oncall@dr.example'], webhooks: [] }];
/** The dispatcher's own pace, but that it looks more often. */
const own: Partial<Pace> = { everyMs: 20 };
const quick: Partial<Pace> = { ...own, windowMs: 0, quietMs: 0 };
const nobody: Sender = { send: () => Promise.reject(new Error('no webhook is expected here')) };

let smtp: TestSmtp;
const running: Dispatcher[] = [];
beforeEach(async () => (smtp = await startSmtp()));
afterEach(() => smtp.stop());

const server = (changes: Partial<MailServer> = {}): MailServer => ({
  ...{ host: '127.0.0.1', port: smtp.port, security: 'none', user: null, password: null, from: 'muster@dr.example' },
  ...changes,
});
const secrets = (): Promise<Buffer> => Promise.resolve(Buffer.from('hunter2'));
const sender = (changes: Partial<MailServer> = {}): Sender =>
  createMailSender({ server: server(changes), publicUrl: 'https://muster.example', secrets, clock: () => new Date() });

function dispatch(store: OpenStore, pace = quick, mail = sender()): Dispatcher {
  const dispatcher = startDispatcher({
    ...{ store, defaults, by, giveUpMs: 3_600_000, log: pino({ level: 'silent' }) },
    senders: { mail, webhook: nobody },
    pace,
  });
  running.push(dispatcher);
  return dispatcher;
}

const run = (use: (store: OpenStore, pass: Pass) => Promise<void>, options: StoreOptions = {}) =>
  withOutbox(async (store, pass) => {
    try {
      await use(store, pass);
    } finally {
      await Promise.all(running.splice(0).map((dispatcher) => dispatcher.stop()));
    }
  }, options);

async function stick(
  store: OpenStore,
  name = 'app01',
  message = 'the datastore is full',
  runId = newRunId(),
  times = 1,
) {
  const failure = { family: 'OperatorError' as const, message, remedy: null, detail: null };
  const data = { epoch: 1, undo: false, failure, allowed: ['retry' as const, 'skip' as const], remedy: 'Free space.' };
  const parked = event('parked', data, { step: 'create-machine', at: new Date().toISOString() });
  const flush = batch(runId, 1, [opened(runId, 0, serverSpec({ id: `s-${name}`, name })), parked]);
  for (let i = 0; i < times; i += 1) await store.journal.append(flush);
  return runId;
}

async function until<T>(look: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  const end = performance.now() + 90_000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`This did not become so: ${look.toString()}`);
    await sleep(20);
  }
}
const allSent = (store: OpenStore) => async () => {
  const { due, failed } = await store.notifications.undelivered();
  return due === 0 && failed === 0 && smtp.received.length > 0;
};

test('a stuck step arrives: what and where, cause, remedy, since when, the commands, and a link that holds no token', () =>
  run(async (store) => {
    dispatch(store);
    const runId = await stick(store);
    await until(allSent(store));
    const [{ mail, from, to }] = smtp.received as [(typeof smtp.received)[0]];
    expect([from, to]).toEqual(['muster@dr.example', ['oncall@dr.example']]);
    expect(mail.subject).toBe('Stuck: app01 at create-machine: the datastore is full');
    for (const body of [mail.text!, mail.html!]) {
      for (const words of ['the datastore is full', 'Free space.', 'since 20', `muster retry ${runId.slice(-8)}`]) {
        expect(body).toContain(words);
      }
      expect(body).toContain(`https://muster.example/api/v1/runs/${runId}/report`);
      expect(body).not.toMatch(/mst_|token=/);
    }
    expect(mail.references).toBe(`<${runId}.run@dr.example>`);
    expect(mail.headers.find(({ key }) => key === 'auto-submitted')?.value).toBe('auto-generated');
  }));

test('200 servers stuck on one cause while the mail server is down are one mail with the list, once it is back', () =>
  run(async (store, pass) => {
    await smtp.stop();
    const dispatcher = dispatch(store);
    for (let i = 0; i < 200; i += 1) await stick(store, `app${i}`, `app${i}: 12${i} MiB free`);
    await until(async () => {
      const all = await store.notifications.list({ limit: 500 });
      return all.length === 200 && all.every(({ attempts }) => attempts > 0);
    });
    // What came up for its next try just then would go out alone.
    await dispatcher.stop();
    await smtp.start();
    await pass(1_800_000);
    dispatch(store);
    await until(allSent(store));
    expect(smtp.received).toHaveLength(1);
    const { mail } = smtp.received[0]!;
    expect(mail.subject).toMatch(/^200 servers stuck on: …: 12\d+ MiB free$/);
    expect(mail.text).toContain('and 100 more');
    expect(mail.text!.match(/^- app\d+ at create-machine/gm)).toHaveLength(100);
  }));

test('servers that stick on one cause one after the other are one mail by the dispatcher’s own pace, the next one waits its time', () =>
  run(async (store, pass) => {
    dispatch(store, own);
    /** Many looks of the dispatcher after it was addressed: what is due now goes out. */
    const stuck = async (name: string, count: number): Promise<number> => {
      await stick(store, name, `${name}: no space`);
      await until(async () => (await store.notifications.list({ limit: 9 })).length === count);
      await sleep(300);
      return smtp.received.length;
    };
    const names = ['app01', 'app02', 'app03'];
    for (const [at, name] of names.entries()) expect(await stuck(name, at + 1)).toBe(0);
    await pass(10_000);
    await until(allSent(store));
    expect(smtp.received.map(({ mail }) => mail.subject)).toEqual(['3 servers stuck on: …: no space']);
    for (const name of names) expect(smtp.received[0]!.mail.text).toContain(`${name} at create-machine`);
    expect(await stuck('app04', 4)).toBe(1);
    await pass(100_000);
    expect(await stuck('app05', 5)).toBe(1);
    await pass(20_000);
    await until(allSent(store));
    expect(smtp.received.map(({ mail }) => mail.subject?.[0])).toEqual(['3', '2']);
  }));

test('the same flush again brings no second mail, and what a retry answered before is not sent at all', () =>
  run(async (store) => {
    const runId = newRunId();
    await stick(store, 'app01', 'no space', runId, 2);
    const answered = await stick(store, 'app02', 'no key');
    while ((await store.notifications.address({ defaults, windowMs: 0, quietMs: 0 })) > 0);
    const answer = { epoch: 1, decision: 'retry' as const, reason: 'mended', from: null, input: null };
    await store.journal.append(batch(answered, 2, [event('decided', answer, { step: 'create-machine' })]));
    dispatch(store);
    await until(async () => (await store.notifications.list({ state: 'settled', limit: 9 })).length === 1);
    await until(allSent(store));
    expect(smtp.received.map(({ mail }) => mail.subject)).toEqual(['Stuck: app01 at create-machine: no space']);
  }));

test('mails arrive on a host whose clock is an hour behind, also one that failed before Postgres’ clock was set back', () =>
  run(
    async (store, pass) => {
      await smtp.stop();
      dispatch(store, own);
      await stick(store);
      await pass(10_000);
      await until(async () => (await store.notifications.list({ limit: 9 })).some(({ state }) => state === 'due'));
      await pass(-3_600_000);
      await until(async () => (await store.notifications.list({ limit: 9 })).some(({ attempts }) => attempts > 0));
      await smtp.start();
      await pass(-3_600_000);
      await until(allSent(store));
      expect(smtp.received).toHaveLength(1);
    },
    { clock: () => new Date(Date.now() - 3_600_000) },
  ));

test('a dispatcher that was killed between sending and saying so leads to a second mail with the same Message-ID', () =>
  run(async (store, pass) => {
    const real = sender();
    await stick(store);
    const killed: Sender = {
      // The mail is out; then nothing of this process runs any more.
      send: (parcel, signal) => real.send(parcel, signal).then(() => new Promise((_, reject) => reject(new Error()))),
    };
    const looks: Promise<unknown>[] = [];
    const dying = {
      ...store,
      notifications: {
        ...store.notifications,
        take: (...of: Parameters<typeof store.notifications.take>) => {
          const look = store.notifications.take(...of);
          looks.push(look);
          return look;
        },
        failed: () => new Promise<void>(() => undefined),
      },
    };
    const dead = startDispatcher({
      ...{ store: dying, defaults, by, giveUpMs: 1, log: pino({ level: 'silent' }), pace: quick },
      senders: { mail: killed, webhook: nobody },
    });
    await until(() => smtp.received.length === 1);
    void dead.stop();
    await Promise.all(looks);
    dispatch(store);
    await pass(600_000);
    await until(allSent(store));
    const ids = smtp.received.map(({ mail }) => mail.messageId);
    expect(ids).toHaveLength(2);
    expect(ids[0]).toBe(ids[1]);
  }));

test('two dispatchers at once send each mail once', () =>
  run(async (store) => {
    dispatch(store);
    dispatch(store);
    for (let i = 0; i < 12; i += 1) await stick(store, `app${i}`, `cause ${String.fromCharCode(97 + i)}`);
    await until(allSent(store));
    await until(async () => (await store.notifications.list({ state: 'sent', limit: 99 })).length === 12);
    const told = smtp.received.flatMap(({ mail }) => mail.text!.match(/app\d+ at create-machine \(run/g) ?? []);
    expect(told).toHaveLength(12);
  }));

test('hostile names and texts stay text: no header, no second recipient, no markup', () =>
  run(async (store) => {
    dispatch(store);
    const name = 'app01\r\nBcc: eve@evil.example\r\n\r\n<script>alert(1)</script>';
    const cause = '</td><img src=x onerror=alert(1)>{{this}}\u001b[2J\u202e\r\n.\r\nMAIL FROM:<eve@evil.example>';
    await stick(store, name, cause);
    await until(allSent(store));
    const { mail, raw, to } = smtp.received[0]!;
    expect(smtp.received).toHaveLength(1);
    expect(to).toEqual(['oncall@dr.example']);
    expect(mail.bcc ?? []).toEqual([]);
    expect(raw.split('\r\n\r\n')[0]).not.toMatch(/^bcc:/im);
    expect(mail.subject).toContain('Bcc: eve@evil.example');
    expect(isPrintable(mail.subject!)).toBe(true);
    expect(mail.subject).not.toContain('\n');
    expect(mail.html).not.toMatch(/<script|<img/);
    expect(mail.html).toContain('&lt;script&gt;');
    expect(mail.text).not.toMatch(/^\.?$\n^MAIL FROM/m);
  }));

test('an address that the server refuses for good has failed at once, and the record says to whom', () =>
  run(async (store) => {
    await smtp.stop();
    const { port } = smtp;
    smtp = await startSmtp({
      onRcptTo: (_address, _session, done) => done(Object.assign(new Error('no such user'), { responseCode: 550 })),
    });
    expect(port).not.toBe(smtp.port);
    dispatch(store);
    await stick(store);
    const [failed] = await until(async () => {
      const found = await store.notifications.list({ state: 'failed', limit: 9 });
      return found.length > 0 && found;
    });
    expect(failed).toMatchObject({ to: 'oncall@dr.example', error: expect.stringContaining('no such user') });
    const [told] = await store.journal.rows('installation');
    expect(JSON.parse(told!.body)).toMatchObject({ to: [], failed: [{ to: 'oncall@dr.example' }] });
  }));

test('login and TLS: the password comes from its reference, and without STARTTLS nothing is said', () =>
  run(async (store) => {
    const users: string[] = [];
    const clear = smtp;
    smtp = await startSmtp({
      ...{ disabledCommands: ['STARTTLS'], allowInsecureAuth: true },
      onAuth({ username, password }, _session, done) {
        users.push(`${username}:${password}`);
        if (password === 'hunter2') done(null, { user: username });
        else done(new Error('wrong'));
      },
    });
    await clear.stop();
    const password = { from: 'file', name: 'smtp' } as const;
    const login = { user: 'muster', password, port: smtp.port };
    dispatch(store, quick, sender(login));
    await stick(store);
    await until(allSent(store));
    expect([smtp.received[0]!.user, users]).toEqual(['muster', ['muster:hunter2']]);
    const parcel = { parcelId: 'p', channel: 'mail', to: 'a@dr.example', notices: [] } as const;
    const strict = sender({ ...login, security: 'starttls' });
    const notices = (await store.notifications.list({ limit: 1 })).map(() => noticeFor('app09'));
    const refused = strict.send({ ...parcel, notices }, new AbortController().signal);
    await expect(refused).rejects.toMatchObject({
      name: 'TransientError',
      message: expect.not.stringContaining('hunter2'),
    });
    expect(users).toHaveLength(1);
  }));

const noticeFor = (name: string) => ({
  ...{ key: newRunId(), epoch: 0, occasion: 'risk' as const, stage: 0 },
  facts: {
    ...{ name, run: null, step: null, item: null, since: new Date().toISOString(), cause: 'x', remedy: '' },
    ...{ allowed: [], state: null, over: false },
  },
});
