/** The stuck list as the store keeps it: what waits now, of all runs, most urgent first. */
import type { RunEvent } from '../../model/events';
import type { GateStanding } from '../../model/waiting';
import type { Mode } from '../../model/order';
import type { OpenStore } from '../../store/open-store';
import { anna, at, batch, closed, event, newRunId, opened, order, serverSpec } from './run-events';
import { withStore } from './store';

const ben = { ...anna, actor: { ...anna.actor, id: 'p-2', name: 'Ben' } };
const failure = { family: 'PermanentError', message: 'the host is full', remedy: null, detail: null } as const;
const parked = (epoch: number, second = epoch): RunEvent =>
  event(
    'parked',
    { epoch, undo: false, failure, allowed: ['retry', 'skip'], remedy: 'Make room.' },
    { at: at(second), step: 'create-machine' },
  );
const people = { roles: ['operator' as const], people: [] };
const standing: GateStanding = {
  ...{ name: 'lost', approvers: people, needed: 2, until: at(90), otherwise: 'escalate' },
  escalateTo: { roles: [], people: ['Cora'] },
};
const gate = (epoch: number, second: number): RunEvent =>
  event(
    'gate-opened',
    { epoch, question: 'Is the site lost?', because: 'It is asked.', allowed: ['approve', 'abort'], gate: standing },
    { at: at(second), step: 'gate', item: 'data' },
  );
const decided = (epoch: number, decision: 'retry' | 'abort' | 'go-on' = 'retry'): RunEvent =>
  event('decided', { epoch, decision, reason: 'so', from: null, input: null }, { at: at(60) });

interface Where {
  readonly mode?: Mode;
  readonly tier?: number;
  readonly site?: string;
  readonly runbook?: string;
}

let flush = 0;
async function run(store: OpenStore, name: string, where: Where, ...events: RunEvent[]): Promise<string> {
  const runId = newRunId();
  const server = serverSpec({ id: `s-${name}`, name, tier: where.tier ?? 1 });
  const first = opened(runId, 0, server);
  if (first.kind !== 'run-opened') throw new Error('no order');
  const base = order(runId, server);
  const more =
    where.runbook === undefined ? {} : { partOf: { runId: 'plan-1', workflowId: 'p', runbooks: [where.runbook] } };
  const changed = {
    ...base,
    mode: where.mode ?? 'recovery',
    target: { ...base.target, siteId: where.site ?? 'recovery' },
    ...more,
  };
  await store.journal.append(batch(runId, 1, [{ ...first, data: { ...first.data, order: changed } }, ...events]));
  return runId;
}
const more = (store: OpenStore, runId: string, ...events: RunEvent[]) =>
  store.journal.append(batch(runId, (flush += 1) + 1, events));
const names = async (store: OpenStore, filter: Partial<Parameters<OpenStore['parkings']['list']>[0]> = {}) =>
  (await store.parkings.list({ limit: 100, ...filter })).items.map(({ serverName }) => serverName);

test('most urgent first: recovery before rehearsal, stuck before gate, tier, then who has waited longest', () =>
  withStore(async (store) => {
    await run(store, 'rehearsed', { mode: 'rehearsal' }, parked(1, 1));
    await run(store, 'asked', {}, gate(1, 1));
    await run(store, 'late', {}, parked(1, 9));
    await run(store, 'early', {}, parked(1, 2));
    await run(store, 'unimportant', { tier: 3 }, parked(1, 1));
    const sorted = ['early', 'late', 'unimportant', 'asked', 'rehearsed'];
    expect(await names(store)).toEqual(sorted);
    const pages: string[] = [];
    for (let after: string | undefined; ;) {
      const page = await store.parkings.list({ limit: 2, after });
      expect(page.total).toBe(5);
      pages.push(...page.items.map(({ serverName }) => serverName));
      if ((after = page.next) === undefined) break;
    }
    expect(pages).toEqual(sorted);
    const tooLarge = Buffer.from(JSON.stringify([0, 1e300, '', '', 0])).toString('base64url');
    for (const after of ['nonsense', tooLarge])
      await expect(store.parkings.list({ limit: 2, after })).rejects.toMatchObject({ name: 'OperatorError' });
  }));

test('an item says why and what to do, and goes when it is decided, gone back on, undone or closed', () =>
  withStore(async (store) => {
    const first = await run(store, 'one', {}, parked(1), parked(2));
    expect((await store.parkings.list({ limit: 1 })).items[0]).toMatchObject({
      ...{ runId: first, epoch: 1, step: 'create-machine', kind: 'stuck', since: at(1), tier: 1, sites: ['recovery'] },
      ...{ cause: 'the host is full', remedy: 'Make room.', allowed: ['retry', 'skip'], told: [], mode: 'recovery' },
    });
    await more(store, first, decided(1));
    expect(await names(store)).toEqual(['one']);
    const second = await run(store, 'two', {}, gate(3, 1));
    await more(store, second, decided(3, 'go-on'));
    const third = await run(store, 'three', {}, parked(1));
    await more(store, third, event('rewound', { from: 'power-on', to: 'freeze' }));
    const fourth = await run(store, 'four', {}, parked(1));
    await more(store, fourth, event('undo-started', { because: 'aborted' }));
    expect(await names(store)).toEqual(['one']);
    await more(store, first, closed());
    expect(await names(store)).toEqual([]);
  }));

test('claims, approvals and what was taken back are shown, and filter', () =>
  withStore(async (store) => {
    const runId = await run(store, 'asked', {}, gate(1, 1));
    await run(store, 'stuck', {}, parked(1));
    await more(store, runId, event('claimed', { epoch: 1 }, { at: at(5) }));
    expect(await names(store, { claimedBy: 'p-1' })).toEqual(['asked']);
    expect(await names(store, { claimedBy: 'p-2' })).toEqual([]);
    expect(await names(store, { unclaimed: true })).toEqual(['stuck']);
    const approve = { epoch: 1, reason: 'yes', approvals: 1, needed: 2 };
    await more(store, runId, event('approved', approve), event('approved', approve, { by: ben }));
    await more(store, runId, event('approval-withdrawn', { ...approve, of: { id: 'p-2', name: 'Ben' } }));
    await more(store, runId, event('escalated', { epoch: 1, afterMs: 1, to: standing.escalateTo }));
    const [shown] = (await store.parkings.list({ limit: 1, claimedBy: 'p-1' })).items;
    expect(shown).toMatchObject({
      ...{ claimedBy: { name: 'Anna' }, claimedAt: at(5), approvals: [{ by: { name: 'Anna' }, reason: 'yes' }] },
      gate: { needed: 2, until: null, approvers: { roles: ['operator'], people: ['Cora'] } },
    });
    await more(store, runId, event('released', { epoch: 1 }));
    expect(await names(store, { unclaimed: true })).toEqual(['stuck', 'asked']);
  }));

test('a decision that waits for a second pair of eyes is shown, also an abort of a run that waits for nothing', () =>
  withStore(async (store) => {
    const half = { epoch: 1, reason: 'it is fine', approvals: 1, needed: 2, decision: 'skip' as const };
    await run(store, 'skipping', {}, parked(1), event('approved', half, { by: ben }));
    const abort = { ...half, epoch: 0, decision: 'abort' as const, reason: 'wrong site' };
    const runId = await run(store, 'aborting', {}, event('approved', abort, { at: at(7) }));
    expect((await store.parkings.list({ limit: 9 })).items).toMatchObject([
      { serverName: 'skipping', half: { decision: 'skip', by: { name: 'Ben' } } },
      {
        serverName: 'aborting',
        epoch: 0,
        kind: 'second-eyes',
        since: at(7),
        cause: 'Anna wants the run aborted: wrong site',
      },
    ]);
    await more(store, runId, event('approval-withdrawn', { ...abort, approvals: 0 }));
    expect(await names(store)).toEqual(['skipping']);
    await more(store, runId, event('approved', abort));
    await more(store, runId, decided(0, 'abort'));
    expect(await names(store)).toEqual(['skipping']);
  }));

test('filters by place, and shows nobody what lies outside their scopes', () =>
  withStore(async (store) => {
    await run(store, 'here', { site: 'paris' }, parked(1, 1));
    await run(store, 'shop', { site: 'rome', runbook: 'shop' }, parked(1, 2));
    await run(store, 'other', { site: 'rome', mode: 'rehearsal' }, parked(1, 3));
    expect(await names(store, { site: 'rome' })).toEqual(['shop', 'other']);
    expect(await names(store, { runbook: 'shop' })).toEqual(['shop']);
    expect(await names(store, { mode: 'rehearsal' })).toEqual(['other']);
    const scoped = (...scopes: [kind: 'site' | 'runbook', name: string][]) => ({
      scopes: scopes.map(([kind, name]) => ({ kind, name })),
    });
    expect(await names(store, scoped(['site', 'paris']))).toEqual(['here']);
    expect(await names(store, scoped(['runbook', 'shop']))).toEqual(['shop']);
    expect(await names(store, scoped(['site', 'paris'], ['runbook', 'shop']))).toEqual(['here', 'shop']);
    expect(await names(store, scoped(['site', 'nowhere']))).toEqual([]);
    const list = async (filter: object) =>
      (await store.runs.list({ limit: 9, ...filter })).items.map(({ serverName }) => serverName).sort();
    expect(await list(scoped(['site', 'rome']))).toEqual(['other', 'shop']);
    expect(await list(scoped(['runbook', 'shop']))).toEqual(['shop']);
    expect(await list({})).toEqual(['here', 'other', 'shop']);
  }));

test('five hundred at once, in one run and in many, are all there', () =>
  withStore(
    async (store) => {
      await run(store, 'plan', {}, ...Array.from({ length: 300 }, (_, i) => parked(i + 1)));
      await Promise.all(Array.from({ length: 200 }, (_, i) => run(store, `s${i}`, { tier: 2 }, parked(1))));
      const page = await store.parkings.list({ limit: 500 });
      expect([page.total, page.items.length, page.next]).toEqual([500, 500, undefined]);
      expect(new Set(page.items.map(({ runId, epoch }) => `${runId} ${epoch}`)).size).toBe(500);
    },
    // Two hundred wait for a few connections: on a busy host the last of them for longer than a process would.
    { connectTimeoutMs: 60_000 },
  ));
