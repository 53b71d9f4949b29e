/** What becomes of a message that could not be sent, and of reminders of what somebody has taken. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import type { Provenance } from '../../model/order';
import type { NotificationRule } from '../../model/runbook/runbook';
import type { OpenStore } from '../../store/open-store';
import { at, batch, event, newRunId, opened } from './run-events';
import { withOutbox } from './outbox';

const by: Provenance = {
  actor: { kind: 'worker', id: 'api-1', name: 'notifications' },
  ...{ authMethod: 'internal', requestId: '', address: '' },
};

const parked = (message: string) =>
  event(
    'parked',
    {
      ...{ epoch: 1, undo: false, allowed: ['retry'], remedy: 'Free some space.' },
      failure: { family: 'OperatorError', message, remedy: null, detail: null },
    },
    { at: at(1), step: 'create-machine' },
  );

async function stick(store: OpenStore, message: string): Promise<string> {
  const runId = newRunId();
  await store.journal.append(batch(runId, 1, [opened(runId), parked(message)]));
  return runId;
}

const rule: NotificationRule = { on: ['stuck'], mail: ['oncall@dr.example'], webhooks: ['chat'] };
const toOnCall = { defaults: [rule] };

async function take(store: OpenStore, channel: 'mail' | 'webhook') {
  while ((await store.notifications.address({ ...toOnCall, windowMs: 0, quietMs: 0 })) > 0);
  return store.notifications.take(channel, 60_000);
}

const away = { error: 'status 503', forGood: false, giveUpMs: 3_600_000 };

test('a call that failed is repeated as the same message, and keeps none back that came meanwhile', () =>
  withOutbox(async (store, pass) => {
    await stick(store, 'no space');
    const first = await take(store, 'webhook');
    await store.notifications.failed(first!, by, away);
    expect(await take(store, 'webhook')).toBeUndefined();
    await pass(10_000);
    const later = await stick(store, 'no space');
    const next = await take(store, 'webhook');
    expect(next!.parcelId).not.toBe(first!.parcelId);
    expect(next!.notices.map(({ key }) => key)).toEqual([later]);
    const again = await take(store, 'webhook');
    expect(again).toEqual(first);
    await store.notifications.failed(again!, by, away);
    await pass(19_000);
    expect(await take(store, 'webhook')).toBeUndefined();
    await pass(1_000);
    expect(await take(store, 'webhook')).toEqual(first);
    await store.notifications.sent(first!, by);
    await store.notifications.sent(next!, by);
    expect(await store.notifications.list({ state: 'sent', limit: 9 })).toMatchObject([
      { channel: 'webhook', attempts: 1 },
      { channel: 'webhook', attempts: 3, error: null },
    ]);
  }));

test('mails that failed go out as one with what came for the same reader meanwhile', () =>
  withOutbox(async (store, pass) => {
    const runs = [await stick(store, 'no space')];
    await store.notifications.failed((await take(store, 'mail'))!, by, away);
    await pass(10_000);
    runs.push(await stick(store, 'no space'));
    const both = await take(store, 'mail');
    expect(both!.notices.map(({ key }) => key).sort()).toEqual(runs.sort());
  }));

test('who has taken it is not reminded on the first day, but is after it', () =>
  withOutbox(async (store) => {
    const runId = await stick(store, 'no space');
    await store.notifications.sent((await take(store, 'mail'))!, by);
    let flush = 1;
    const remind = async (minutes: number) => {
      const waited = event('reminded', { epoch: 1, waitingMs: minutes * 60_000 }, { at: at(60 * minutes + 1) });
      await store.journal.append(batch(runId, (flush += 1), [waited]));
      const parcel = await take(store, 'mail');
      if (parcel) await store.notifications.sent(parcel, by);
      return parcel?.notices.length ?? 0;
    };
    expect(await remind(30)).toBe(1);
    await store.journal.append(batch(runId, (flush += 1), [event('claimed', { epoch: 1 })]));
    expect(await remind(120)).toBe(0);
    expect(await remind(24 * 60)).toBe(1);
    await store.journal.append(batch(runId, (flush += 1), [event('released', { epoch: 1 })]));
    expect(await remind(48 * 60)).toBe(1);
  }));

const hour = 3_600_000;

test.each([
  ['behind', -hour],
  ['ahead', hour],
])('an event is told at once where the clock of who asks is an hour %s of it', (_, byMs) =>
  withOutbox(
    async (store) => {
      const runId = newRunId();
      const stuck = { ...parked('no space'), at: new Date().toISOString() };
      await store.journal.append(batch(runId, 1, [opened(runId), stuck]));
      expect((await take(store, 'mail'))?.notices).toMatchObject([{ occasion: 'stuck', key: runId }]);
    },
    { clock: () => new Date(Date.now() + byMs) },
  ),
);

test.each(['mail', 'webhook'] as const)(
  'with Postgres’ own clock set back an hour, no %s waits until it has caught up: neither a first one nor one that failed',
  (channel) =>
    withOutbox(async (store, pass) => {
      const runId = await stick(store, 'no space');
      await pass(-hour);
      await store.notifications.address({ ...toOnCall, windowMs: 10_000, quietMs: 120_000 });
      expect(await store.notifications.take(channel, 60_000)).toBeUndefined();
      await pass(-hour);
      const first = await store.notifications.take(channel, 60_000);
      expect(first?.notices.map(({ key }) => key)).toEqual([runId]);
      await store.notifications.failed(first!, by, { ...away, giveUpMs: 24 * hour });
      expect(await store.notifications.take(channel, 60_000)).toBeUndefined();
      await pass(-hour);
      const again = await store.notifications.take(channel, 60_000);
      expect(again?.notices).toEqual(first!.notices);
      await store.notifications.sent(again!, by);
      await pass(-hour);
      // What was sent in what is now the future asks for no quiet.
      await stick(store, 'no space');
      await store.notifications.address({ ...toOnCall, windowMs: 0, quietMs: 120_000 });
      expect(await store.notifications.take(channel, 60_000)).toBeDefined();
    }),
);

test('the statements of docs/operating.md take what is old and was told, and leave what waits', () =>
  withOutbox(async (store, _, url) => {
    const runId = await stick(store, 'no space');
    await store.notifications.sent((await take(store, 'mail'))!, by);
    await store.notifications.put({
      ...{ key: 'risk/lag', epoch: 1, occasion: 'risk', stage: 0 },
      facts: {
        ...{ name: 'app01', run: null, step: null, item: null, since: at(1), cause: 'It lags.' },
        ...{ remedy: 'Look.', allowed: [], state: null, over: false },
      },
    });
    await take(store, 'mail');
    const page = readFileSync(join(__dirname, '..', '..', 'docs', 'operating.md'), 'utf8');
    const [, statements] = /```sql\n(.*?)```/s.exec(page)!;
    const owner = new Client({ connectionString: url });
    await owner.connect();
    try {
      await owner.query(statements!.replaceAll("interval '1 year'", "interval '-1 year'"));
      const { rows } = await owner.query<{ key: string }>('select key from muster.notices order by key');
      // What is of the parking that still waits stays: its reminders need it. Nobody was to be told of the risk.
      expect([...new Set(rows.map(({ key }) => key))]).toEqual([runId]);
    } finally {
      await owner.end();
    }
    expect(await store.notifications.list({ limit: 9 })).toMatchObject([{ channel: 'webhook', state: 'due' }]);
  }));
