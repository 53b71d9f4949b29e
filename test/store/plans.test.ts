/** Plans and what belongs to them, in the list of runs. */
import { planHeader } from '../../model/plan';
import { deepestInclusion } from '../../model/runbook/check-order';
import type { OpenStore } from '../../store/open-store';
import { samplePlan } from '../support/plan-sample';
import { at, batch, closed, event, newRunId, opened, serverSpec } from './run-events';
import { withStore } from './store';

async function startPlan(store: OpenStore, second: number, parentRunId: string | null = null): Promise<string> {
  const runId = newRunId();
  const order = planHeader(samplePlan({ runId, requestedAt: at(second) }));
  const open = { ...event('plan-opened', { order, declaration: 'plan', versions: {} }), at: at(second) };
  await store.journal.append({ ...batch(runId, 1, [open]), parentRunId });
  return runId;
}

async function startServer(store: OpenStore, parentRunId: string, name: string, second: number): Promise<string> {
  const runId = newRunId();
  const open = opened(runId, second, serverSpec({ id: `id-${name}`, name }));
  await store.journal.append({ ...batch(runId, 1, [open]), parentRunId });
  return runId;
}

test('a plan is listed with its runbook, and its servers under it', () =>
  withStore(async (store) => {
    const plan = await startPlan(store, 1);
    const child = await startServer(store, plan, 'db01', 2);
    const alone = await startServer(store, plan, 'db02', 3).then(() => startPlan(store, 4));
    expect(await store.runs.get(plan)).toMatchObject({
      ...{ procedure: 'plan', runbook: 'shop', runbookVersion: 3, runbookSha256: 'a'.repeat(64), parentRunId: null },
    });
    expect(await store.runs.get(child)).toMatchObject({ parentRunId: plan, runbook: null });
    const ids = async (filter: object) =>
      (await store.runs.list({ limit: 10, ...filter })).items.map(({ runId }) => runId);
    expect(await ids({ topLevel: true })).toEqual([alone, plan]);
    expect(await ids({ runbook: 'shop' })).toEqual([alone, plan]);
    expect(await ids({ runbook: 'other' })).toEqual([]);
    expect((await ids({ parentRunId: plan })).at(-1)).toBe(child);
  }));

test('servers are counted once, with their latest run, also on the way through included runbooks', () =>
  withStore(async (store) => {
    const plan = await startPlan(store, 1);
    const first = await startServer(store, plan, 'db01', 2);
    await store.journal.append({ ...batch(first, 2, [closed(3)]), parentRunId: plan });
    const second = await startServer(store, plan, 'db01', 4);
    const part = await startPlan(store, 5, plan);
    const within = await startServer(store, part, 'ldap01', 6);
    expect(await store.runs.counts([plan, part])).toEqual(
      expect.arrayContaining([
        { parentRunId: plan, state: 'running', count: 2 },
        { parentRunId: part, state: 'running', count: 1 },
      ]),
    );
    const below = await store.runs.below(plan);
    expect(below.map(({ runId }) => runId)).toEqual([first, second, part, within]);
    expect(below.at(-1)).toMatchObject({ parentRunId: part, serverName: 'ldap01', facts: { server: { tier: 1 } } });
    expect(await store.runs.below(second)).toEqual([]);
  }));

test('the servers of a plan are found however deep runbooks may include each other', () =>
  withStore(async (store) => {
    const plans = [await startPlan(store, 1)];
    while (plans.length < deepestInclusion) plans.push(await startPlan(store, 1 + plans.length, plans.at(-1)));
    const innermost = await startServer(store, plans.at(-1)!, 'db01', 100);
    const below = await store.runs.below(plans[0]!);
    expect(below.map(({ runId }) => runId)).toEqual([...plans.slice(1), innermost]);
  }));

test('what a plan needs of a server is the same in batches of any size', () =>
  withStore(async (store) => {
    const plan = await startPlan(store, 1);
    const runId = await startServer(store, plan, 'db01', 2);
    const point = { point: { pointId: 'p1', takenAt: at(0), consistency: 'crash', clockSkewMs: 0 } };
    const events = [
      event('step-announced', { title: 'Freeze' }, { step: 'freeze' }),
      event('step-done', { result: point }, { step: 'freeze' }),
    ];
    for (const [flush, one] of events.entries()) {
      await store.journal.append({ ...batch(runId, flush + 2, [one]), parentRunId: plan });
    }
    const [child] = await store.runs.below(plan);
    expect(child?.facts?.server?.objectives.point).toEqual({ pointId: 'p1', takenAt: at(0) });
    expect(child?.facts?.steps['freeze']).toEqual({ elapsedMs: 0, since: null });
  }));

test('when a plan itself waited for people stands with its run, as that of its servers does', () =>
  withStore(async (store) => {
    const plan = await startPlan(store, 1);
    const gate = { step: 'gate', item: 'application' };
    const opened = event('gate-opened', { epoch: 1, question: 'Good?', allowed: ['approve'], because: 'Data.' }, gate);
    await store.journal.append({ ...batch(plan, 2, [{ ...opened, at: at(3) }]), parentRunId: null });
    const other = await startPlan(store, 4);
    const facts = await store.runs.facts([plan, newRunId(), other]);
    expect([...facts.keys()].sort()).toEqual([plan, other].sort());
    expect(facts.get(plan)).toMatchObject({ server: null, waits: [{ since: at(3), until: null }] });
    expect(facts.get(other)).toMatchObject({ waits: [] });
    expect(await store.runs.facts([])).toEqual(new Map());
  }));
