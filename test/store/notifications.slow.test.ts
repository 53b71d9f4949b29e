/** Notices in the journal's transaction, their recipients, and who sends what: as the dispatcher meets it, without a mail server. */
import type { Provenance } from '../../model/order';
import { planHeader } from '../../model/plan';
import type { NotificationRule } from '../../model/runbook/runbook';
import type { Notice } from '../../model/notify/notice';
import { installationChain } from '../../store/journal';
import type { OpenStore } from '../../store/open-store';
import { samplePlan } from '../support/plan-sample';
import { at, batch, closed, event, newRunId, noted, opened, serverSpec } from './run-events';
import { withOutbox } from './outbox';

jest.setTimeout(120_000);

const by: Provenance = {
  actor: { kind: 'worker', id: 'api-1', name: 'notifications' },
  authMethod: 'internal',
  requestId: '',
  address: '',
};
const defaults: NotificationRule[] = [
  { on: ['stuck', 'gate', 'finished', 'objective-at-risk', 'risk'], mail: ['oncall@dr.example'], webhooks: [] },
];

const parked = (epoch: number, message = 'the datastore is full', second = 1) =>
  event(
    'parked',
    {
      epoch,
      undo: false,
      failure: { family: 'OperatorError', message, remedy: null, detail: null },
      allowed: ['retry', 'skip', 'abort'],
      remedy: 'Free some space.',
    },
    { at: at(second), step: 'create-machine' },
  );
const decided = (epoch: number) =>
  event('decided', { epoch, decision: 'retry', reason: 'freed', from: null, input: null }, { step: 'create-machine' });

async function due(store: OpenStore, rules = defaults) {
  while ((await store.notifications.address({ defaults: rules, windowMs: 0, quietMs: 0 })) > 0);
  return store.notifications.take('mail', 60_000);
}

test('a stuck step is told once, however often its flush or its addressing comes again', () =>
  withOutbox(async (store) => {
    const runId = newRunId();
    const flush = batch(runId, 1, [opened(runId), parked(1)]);
    await store.journal.append(flush);
    await store.journal.append(flush);
    const parcel = await due(store);
    expect(parcel).toMatchObject({ to: 'oncall@dr.example', notices: [{ occasion: 'stuck', epoch: 1, key: runId }] });
    await store.notifications.sent(parcel!, by);
    await store.notifications.sent(parcel!, by);
    expect(await due(store)).toBeUndefined();
    expect(await store.notifications.ofRun(runId, 1)).toMatchObject([{ state: 'sent', to: 'oncall@dr.example' }]);
    const rows = await store.journal.rows(installationChain);
    expect(rows.map(({ kind, body }) => [kind, JSON.parse(body)])).toEqual([
      ['told', expect.objectContaining({ occasion: 'stuck', to: ['oncall@dr.example'], of: [{ runId, epoch: 1 }] })],
    ]);
    const told = async () => (await store.parkings.list({ limit: 10 })).items.map((item) => [item.epoch, item.told]);
    expect(await told()).toEqual([[1, [{ to: 'oncall@dr.example', at: expect.any(String) as string }]]]);
    // The next waiting of the same run is another one: nobody was told of it yet.
    await store.journal.append(batch(runId, 2, [decided(1), parked(2)]));
    expect(await told()).toEqual([[2, []]]);
  }));

test('who was told that a run has started was not told of the abort of it that waits for a second person', () =>
  withOutbox(async (store) => {
    const runId = newRunId();
    await store.journal.append(batch(runId, 1, [opened(runId), parked(1)]));
    const rules: NotificationRule[] = [{ on: ['started', 'stuck'], mail: ['oncall@dr.example'], webhooks: [] }];
    const parcel = await due(store, rules);
    await store.notifications.sent(parcel!, by);
    await store.notifications.sent((await due(store, rules))!, by);
    const abort = { epoch: 0, reason: 'wrong site', approvals: 1, needed: 2, decision: 'abort' as const };
    await store.journal.append(batch(runId, 2, [event('approved', abort, { at: at(7) })]));
    const told = (await store.parkings.list({ limit: 10 })).items.map((item) => [
      item.kind,
      item.told.map(({ to }) => to),
    ]);
    expect(told).toEqual([
      ['stuck', ['oncall@dr.example']],
      ['second-eyes', []],
    ]);
  }));

test('a batch that is not written leaves nobody to be told', () =>
  withOutbox(async (store) => {
    const runId = newRunId();
    await store.journal.append(batch(runId, 1, [opened(runId)]));
    await expect(store.journal.append(batch(runId, 1, [parked(1)]))).rejects.toMatchObject({ name: 'PermanentError' });
    expect(await due(store)).toBeUndefined();
  }));

test('what was decided before its mail went out is not told', () =>
  withOutbox(async (store, pass) => {
    const runId = newRunId();
    await store.journal.append(batch(runId, 1, [opened(runId), parked(1)]));
    await store.notifications.address({ defaults, windowMs: 60_000, quietMs: 0 });
    await store.journal.append(batch(runId, 2, [decided(1)]));
    await pass(120_000);
    expect(await store.notifications.take('mail', 60_000)).toBeUndefined();
    expect(await store.notifications.list({ limit: 10 })).toMatchObject([{ state: 'settled', epoch: 1 }]);
  }));

test('200 servers with one cause are one parcel, and other causes have their own', () =>
  withOutbox(async (store) => {
    for (let i = 0; i < 200; i += 1) {
      const runId = newRunId();
      const server = serverSpec({ id: `s-${i}`, name: `app${i}` });
      await store.journal.append(
        batch(runId, 1, [opened(runId, 0, server), parked(1, `app${i}: 12${i} MiB free at the datastore`)]),
      );
    }
    const other = newRunId();
    await store.journal.append(batch(other, 1, [opened(other), parked(1, 'the host does not answer')]));
    const first = await due(store);
    const second = await store.notifications.take('mail', 60_000);
    expect([first?.notices.length, second?.notices.length]).toEqual([200, 1]);
  }));

test('with more causes than anybody reads one by one, one parcel has them all', () =>
  withOutbox(async (store) => {
    const causes = ['no space', 'no answer', 'no driver', 'bad key', 'no network', 'no machine', 'no power'];
    for (const cause of causes) {
      const runId = newRunId();
      await store.journal.append(batch(runId, 1, [opened(runId), parked(1, cause)]));
    }
    const parcel = await due(store);
    expect(parcel?.notices.map(({ facts }) => facts.cause).sort()).toEqual([...causes].sort());
  }));

test('two senders never hold the same parcel, and one that died leaves its own to the next, under the same id', () =>
  withOutbox(async (store, pass) => {
    const runId = newRunId();
    await store.journal.append(batch(runId, 1, [opened(runId), parked(1)]));
    const held = await due(store);
    expect(await store.notifications.take('mail', 60_000)).toBeUndefined();
    await pass(61_000);
    const again = await store.notifications.take('mail', 60_000);
    expect(again).toEqual(held);
  }));

test('a failed try is repeated with growing pauses until it is too old, and then stands as failed', () =>
  withOutbox(async (store, pass) => {
    const runId = newRunId();
    await store.journal.append(batch(runId, 1, [opened(runId), parked(1)]));
    const why = { error: 'connect ECONNREFUSED', forGood: false, giveUpMs: 3_600_000 };
    const pauses: number[] = [];
    let parcel = await due(store);
    while (parcel !== undefined) {
      await store.notifications.failed(parcel, by, why);
      let waited = 0;
      do {
        await pass(10_000);
        waited += 10;
        parcel = await store.notifications.take('mail', 60_000);
      } while (parcel === undefined && waited < 7_200);
      if (parcel) pauses.push(waited);
    }
    expect(pauses).toEqual([10, 20, 40, 80, 160, 320, 640, 900, 900, 900]);
    expect(await store.notifications.undelivered()).toMatchObject({ due: 0, failed: 1 });
    expect(await store.notifications.list({ state: 'failed', limit: 10 })).toMatchObject([
      { error: 'connect ECONNREFUSED', attempts: 11, runId },
    ]);
  }));

test('the next mail on the same cause waits for the quiet time', () =>
  withOutbox(async (store, pass) => {
    const stick = async () => {
      const runId = newRunId();
      await store.journal.append(batch(runId, 1, [opened(runId), parked(1)]));
      await store.notifications.address({ defaults, windowMs: 0, quietMs: 300_000 });
      return store.notifications.take('mail', 60_000);
    };
    await store.notifications.sent((await stick())!, by);
    await pass(1_000);
    expect(await stick()).toBeUndefined();
    expect(await stick()).toBeUndefined();
    await pass(300_000);
    expect((await store.notifications.take('mail', 60_000))?.notices).toHaveLength(2);
  }));

test('servers that stick on one cause while a mail is gathered, or on its way, are in it or in the next after the quiet time', () =>
  withOutbox(async (store, pass) => {
    const rules = { defaults, windowMs: 10_000, quietMs: 120_000 };
    const stick = async (cause?: string) => {
      const runId = newRunId();
      await store.journal.append(batch(runId, 1, [opened(runId), parked(1, cause)]));
      await store.notifications.address(rules);
    };
    await stick();
    await pass(9_000);
    await stick();
    await stick('another cause');
    await pass(1_500);
    const first = (await store.notifications.take('mail', 60_000))!;
    expect(first.notices).toHaveLength(2);
    await stick();
    await store.notifications.sent(first, by);
    await pass(11_000);
    const other = await store.notifications.take('mail', 60_000);
    expect(other?.notices.map(({ facts }) => facts.cause)).toEqual(['another cause']);
    await store.notifications.sent(other!, by);
    expect(await store.notifications.take('mail', 60_000)).toBeUndefined();
    await pass(110_000);
    expect((await store.notifications.take('mail', 60_000))?.notices).toHaveLength(1);
  }));

test('a reminder says what its parking said, at half an hour, two hours, and not in between', () =>
  withOutbox(async (store) => {
    const runId = newRunId();
    await store.journal.append(batch(runId, 1, [opened(runId), parked(1)]));
    await store.notifications.sent((await due(store))!, by);
    const reminded = (minutes: number) =>
      event(
        'reminded',
        { epoch: 1, waitingMs: minutes * 60_000 },
        { at: at(60 * minutes + 1), step: 'create-machine' },
      );
    const told: (string | undefined)[] = [];
    for (const [index, minutes] of [15, 30, 60, 125, 240].entries()) {
      await store.journal.append(batch(runId, 2 + index, [reminded(minutes)]));
      const parcel = await due(store, [{ on: ['stuck'], mail: ['oncall@dr.example'], webhooks: [] }]);
      told.push(parcel?.notices[0]?.facts.cause);
      if (parcel) await store.notifications.sent(parcel, by);
    }
    expect(told).toEqual([undefined, 'the datastore is full', undefined, 'the datastore is full', undefined]);
  }));

test('a risk is put with its own rules, told when it appears and when it goes', () =>
  withOutbox(async (store) => {
    const rules: NotificationRule[] = [{ on: ['risk'], mail: ['anna@dr.example'], webhooks: ['chat'] }];
    const facts = {
      ...{ name: 'app01', run: null, step: null, item: null, since: at(0), cause: 'Replication is 40 min behind.' },
      ...{ remedy: 'Look at the source.', allowed: [], state: null, over: false },
    };
    const risk: Notice = { key: 'risk/app01/lag', epoch: 1, occasion: 'risk', stage: 0, facts };
    await store.notifications.put(risk, rules);
    await store.notifications.put(risk, rules);
    await store.notifications.put({ ...risk, stage: 1, facts: { ...facts, over: true } }, rules);
    const parcels = [await due(store), await store.notifications.take('mail', 60_000)];
    expect(parcels.map((parcel) => [parcel?.to, parcel?.notices.length])).toEqual([
      ['anna@dr.example', 1],
      ['anna@dr.example', 1],
    ]);
    expect(await store.notifications.take('webhook', 60_000)).toMatchObject({ to: 'chat' });
  }));

test('a run that ends is told with its state', () =>
  withOutbox(async (store) => {
    const runId = newRunId();
    await store.journal.append(batch(runId, 1, [opened(runId), noted('x'), closed()]));
    expect(await due(store)).toMatchObject({ notices: [{ occasion: 'finished', facts: { state: 'succeeded' } }] });
  }));

/** The plan of a runbook with these rules, at its gate. */
async function atGate(store: OpenStore, notify: readonly NotificationRule[]): Promise<string> {
  const runId = newRunId();
  const order = samplePlan({ runId });
  const header = planHeader({ ...order, plan: { ...order.plan, notify } });
  const question = { question: 'Are the data good?', because: 'Data: before wave application.' };
  await store.journal.append(
    batch(runId, 1, [event('plan-opened', { order: header, declaration: 'plan', versions: {} })]),
  );
  const asked = { epoch: 1, allowed: ['approve' as const, 'abort' as const], ...question };
  await store.journal.append(batch(runId, 2, [event('gate-opened', asked, place)]));
  return runId;
}
const place = { at: at(1), step: 'gate', item: 'application' };

test('a gate that opens is told to whom the runbook names for gates; one that escalates says who may answer now, too', () =>
  withOutbox(async (store) => {
    const runId = await atGate(store, [
      { on: ['stuck', 'finished'], mail: ['oncall@dr.example'], webhooks: [] },
      { on: ['gate'], mail: ['approvers@dr.example'], webhooks: ['chat'] },
    ]);
    const waits = { occasion: 'gate', epoch: 1, key: runId };
    const facts = { name: 'shop', step: 'gate', item: 'application', cause: 'Data: before wave application.' };
    const opening = (await due(store))!;
    expect(opening).toMatchObject({
      to: 'approvers@dr.example',
      notices: [{ ...waits, facts: { ...facts, remedy: 'Are the data good?', allowed: ['approve', 'abort'] } }],
    });
    await store.notifications.sent(opening, by);
    const hook = (await store.notifications.take('webhook', 60_000))!;
    expect(hook).toMatchObject({ to: 'chat', notices: [waits] });
    await store.notifications.sent(hook, by);

    const to = { roles: ['admin' as const], people: ['Cora'] };
    await store.journal.append(batch(runId, 3, [event('escalated', { epoch: 1, afterMs: 900_000, to }, place)]));
    const remedy = expect.stringMatching(/these may answer, too: admin, Cora\.$/) as string;
    for (const escalation of [await due(store), await store.notifications.take('webhook', 60_000)]) {
      expect(escalation?.notices).toMatchObject([{ ...waits, facts: { ...facts, remedy } }]);
      await store.notifications.sent(escalation!, by);
    }
    expect(await due(store)).toBeUndefined();
    const told = await store.notifications.ofRun(runId, 1);
    expect(told.map((one) => `${one.to} ${one.state}`).sort()).toEqual([
      ...Array<string>(2).fill('approvers@dr.example sent'),
      ...Array<string>(2).fill('chat sent'),
    ]);
  }));
