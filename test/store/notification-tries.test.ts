/** What becomes of a message that could not be sent, and of reminders of what somebody has taken. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import type { Provenance } from '../../model/order';
import type { NotificationRule } from '../../model/runbook/runbook';
import type { OpenStore } from '../../store/open-store';
import { at, batch, event, newRunId, opened } from './run-events';
import { withStore } from './store';

const by: Provenance = {
  actor: { kind: 'worker', id: 'api-1', name: 'notifications' },
  ...{ authMethod: 'internal', requestId: '', address: '' },
};
const now = { ms: Date.parse(at(0)) };
beforeEach(() => (now.ms = Date.parse(at(0))));
const run = (use: (store: OpenStore, url: string) => Promise<void>) =>
  withStore(use, { clock: () => new Date(now.ms) });

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

async function take(store: OpenStore, channel: 'mail' | 'webhook') {
  const rule: NotificationRule = { on: ['stuck'], mail: ['oncall@dr.example'], webhooks: ['chat'] };
  while ((await store.notifications.address({ defaults: [rule], windowMs: 0, quietMs: 0 })) > 0);
  return store.notifications.take(channel, 60_000);
}

const away = { error: 'status 503', forGood: false, giveUpMs: 3_600_000 };

test('a call that failed is repeated as the same message, and keeps none back that came meanwhile', () =>
  run(async (store) => {
    now.ms += 10_000;
    await stick(store, 'no space');
    const first = await take(store, 'webhook');
    await store.notifications.failed(first!, by, away);
    expect(await take(store, 'webhook')).toBeUndefined();
    now.ms += 10_000;
    const later = await stick(store, 'no space');
    const next = await take(store, 'webhook');
    expect(next!.parcelId).not.toBe(first!.parcelId);
    expect(next!.notices.map(({ key }) => key)).toEqual([later]);
    const again = await take(store, 'webhook');
    expect(again).toEqual(first);
    await store.notifications.failed(again!, by, away);
    now.ms += 19_000;
    expect(await take(store, 'webhook')).toBeUndefined();
    now.ms += 1_000;
    expect(await take(store, 'webhook')).toEqual(first);
    await store.notifications.sent(first!, by);
    await store.notifications.sent(next!, by);
    expect(await store.notifications.list({ state: 'sent', limit: 9 })).toMatchObject([
      { channel: 'webhook', attempts: 1 },
      { channel: 'webhook', attempts: 3, error: null },
    ]);
  }));

test('mails that failed go out as one with what came for the same reader meanwhile', () =>
  run(async (store) => {
    now.ms += 10_000;
    const runs = [await stick(store, 'no space')];
    await store.notifications.failed((await take(store, 'mail'))!, by, away);
    now.ms += 10_000;
    runs.push(await stick(store, 'no space'));
    const both = await take(store, 'mail');
    expect(both!.notices.map(({ key }) => key).sort()).toEqual(runs.sort());
  }));

test('who has taken it is not reminded on the first day, but is after it', () =>
  run(async (store) => {
    now.ms += 10_000;
    const runId = await stick(store, 'no space');
    await store.notifications.sent((await take(store, 'mail'))!, by);
    let flush = 1;
    const remind = async (minutes: number) => {
      const waited = event('reminded', { epoch: 1, waitingMs: minutes * 60_000 }, { at: at(60 * minutes + 1) });
      await store.journal.append(batch(runId, (flush += 1), [waited]));
      now.ms = Date.parse(at(60 * minutes + 10));
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

test('the statements of docs/operating.md take what is old and was told, and leave what waits', () =>
  run(async (store, url) => {
    now.ms += 10_000;
    const runId = await stick(store, 'no space');
    await store.notifications.sent((await take(store, 'mail'))!, by);
    await store.notifications.put({
      ...{ key: 'risk/lag', epoch: 1, occasion: 'risk', stage: 0, dueAt: at(1) },
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
