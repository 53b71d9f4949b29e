/** Whom a notice goes to: the rules of its run's own runbook, of the plans above it, or the installation's, by occasion. */
import { planHeader } from '../../model/plan';
import type { Notice } from '../../model/notify/notice';
import { deepestInclusion } from '../../model/runbook/check-order';
import type { NotificationRule, Occasion } from '../../model/runbook/runbook';
import type { OpenStore } from '../../store/open-store';
import { samplePlan } from '../support/plan-sample';
import { at, batch, closed, event, newRunId, opened, order } from './run-events';
import { withOutbox } from './outbox';

const rule = (who: string, ...on: Occasion[]): NotificationRule => ({ on, mail: [`${who}@dr.example`], webhooks: [] });
const defaults = [rule('oncall', 'stuck', 'finished', 'started', 'gate', 'risk', 'rehearsal-due')];

const parked = event(
  'parked',
  {
    ...{ epoch: 1, undo: false, allowed: ['retry', 'abort'], remedy: 'Free some space.' },
    failure: { family: 'OperatorError', message: 'the datastore is full', remedy: null, detail: null },
  },
  { at: at(1), step: 'create-machine' },
);

async function plan(store: OpenStore, notify: readonly NotificationRule[], parentRunId: string | null = null) {
  const runId = newRunId();
  const sample = samplePlan({ runId });
  const order = planHeader({ ...sample, plan: { ...sample.plan, notify } });
  const open = event('plan-opened', { order, declaration: 'plan', versions: {} }, { at: at(0) });
  await store.journal.append({ ...batch(runId, 1, [open]), parentRunId });
  return runId;
}

async function stick(store: OpenStore, parentRunId: string): Promise<string> {
  const runId = newRunId();
  await store.journal.append({ ...batch(runId, 1, [opened(runId), parked]), parentRunId });
  return runId;
}

/** Who is told of what, each once, sorted. */
async function told(store: OpenStore): Promise<string[]> {
  while ((await store.notifications.address({ defaults, windowMs: 0, quietMs: 0 })) > 0);
  const all = await store.notifications.list({ limit: 50 });
  return [...new Set(all.map(({ occasion, to }) => `${occasion} ${to.replace('@dr.example', '')}`))].sort();
}

test('what a runbook names nobody for goes to whom the installation names, whatever else it has rules for', () =>
  withOutbox(async (store) => {
    const shop = await plan(store, [rule('owner', 'finished')]);
    await stick(store, shop);
    expect(await told(store)).toEqual(['started oncall', 'stuck oncall']);
    await store.journal.append(batch(shop, 2, [closed()]));
    expect(await told(store)).toEqual(['finished owner', 'started oncall', 'stuck oncall']);
  }));

test('of an included runbook the next plan above that names somebody for the occasion counts, up to the outermost', () =>
  withOutbox(async (store) => {
    const site = await plan(store, [rule('site', 'stuck', 'gate')]);
    const shop = await plan(store, [rule('shop', 'finished', 'started')], site);
    const data = await plan(store, [rule('data', 'gate')], shop);
    await stick(store, data);
    const gate = event(
      'gate-opened',
      { epoch: 1, question: 'Go on?', because: 'It is asked.', allowed: ['approve', 'abort'] },
      { at: at(1), step: 'gate' },
    );
    await store.journal.append({ ...batch(data, 2, [gate]), parentRunId: shop });
    expect(await told(store)).toEqual(['gate data', 'started oncall', 'stuck site']);
  }));

test('the outermost plan is asked however deep runbooks may include each other', () =>
  withOutbox(async (store) => {
    let innermost = await plan(store, [rule('site', 'stuck')]);
    for (let plans = 1; plans < deepestInclusion; plans += 1) innermost = await plan(store, [], innermost);
    await stick(store, innermost);
    expect(await told(store)).toEqual(['started oncall', 'stuck site']);
  }));

test('the clean-up of a rehearsal is none of its plan’s runs, and goes to whom the plan’s runbook names', () =>
  withOutbox(async (store) => {
    const shop = await plan(store, [rule('shop', 'stuck')]);
    const runId = newRunId();
    const cleaning = {
      ...{ ...order(runId), procedure: 'rehearsal-clean-up' as const, mode: 'rehearsal' as const },
      ...{ cleansUp: newRunId(), rehearsedIn: { runId: shop, runbooks: ['shop'] } },
    };
    const open = event('run-opened', { order: cleaning, declaration: 'rehearsal-clean-up', versions: {} });
    await store.journal.append(batch(runId, 1, [open, parked]));
    expect(await told(store)).toEqual(['started oncall', 'stuck shop']);
    expect(await store.runs.places(runId)).toEqual({ sites: ['recovery'], runbooks: ['shop'] });
  }));

test.each(['risk', 'rehearsal-due'] as const)('so does a %s that the rules of its runbooks do not name', (occasion) =>
  withOutbox(async (store) => {
    const facts = {
      ...{ name: 'shop', run: null, step: null, item: null, since: at(0), cause: 'It is late.', remedy: 'Look.' },
      ...{ allowed: [], state: null, over: false },
    };
    const notice: Notice = { key: 'risk/shop', epoch: 1, occasion, stage: 0, facts };
    await store.notifications.put(notice, [rule('owner', 'finished')]);
    expect(await told(store)).toEqual([`${occasion} oncall`]);
    await store.notifications.put({ ...notice, epoch: 2 }, [rule('owner', 'finished'), rule('ben', occasion)]);
    expect(await told(store)).toEqual([`${occasion} ben`, `${occasion} oncall`]);
  }),
);
