/** What rehearsals have shown, as the store computes it from the journal. */
import { v7 } from 'uuid';
import type { RunEvent } from '../../model/events';
import type { PlanOrder } from '../../model/plan';
import { planHeader } from '../../model/plan';
import type { RecoveryOrder } from '../../model/order';
import type { Store } from '../../store/contract';
import { defaultScope } from '../../store/contract';
import { plainRunbook } from '../support/plan';
import { at, event, order, serverSpec } from './run-events';
import { withStore } from './store';

const declaration = { declaration: 'plan', versions: {} };

interface Told {
  readonly sha256?: string;
  readonly second: number;
  readonly servers: readonly { readonly name: string; readonly state: 'succeeded' | 'failed' }[];
  readonly mode?: PlanOrder['mode'];
}

/** A rehearsal as its workflows write it: the plan's record, and one for each server's run, in flushes of their own. */
async function tell(store: Store, { sha256 = 'a', second, servers, mode = 'rehearsal' }: Told): Promise<string> {
  const runId = v7();
  const orders = servers.map(({ name }): RecoveryOrder => {
    const partOf = { runId, workflowId: 'plan' };
    return { ...order(v7(), serverSpec({ id: `s-${name}`, name })), mode, partOf };
  });
  const plan: PlanOrder = {
    ...{ runId, ...defaultScope, procedure: 'plan', mode, intent: 'disaster' },
    runbook: { name: 'shop', title: 'Shop', version: 1, sha256 },
    plan: { ...plainRunbook, waves: [] },
    servers: orders.map((one) => {
      const { name } = one.server;
      return { name, wave: 'w', after: [], failure: { kind: 'critical' }, datastore: null, order: one };
    }),
    ...{ parts: [], retry: orders[0]!.retry, reminderMs: 1, lostAt: null, requestedAt: at(second) },
    ...{ requestedBy: orders[0]!.requestedBy, reason: 'r' },
  };
  const write = (run: string, parent: string | null, flush: number, events: RunEvent[]) =>
    store.journal.append({ ...defaultScope, runId: run, parentRunId: parent, flush, events });
  const closed = (state: 'succeeded' | 'failed') =>
    event('run-closed', { state, summary: '', childHashes: {} }, { at: at(second + 10) });
  await write(runId, null, 1, [event('plan-opened', { order: planHeader(plan), ...declaration }, { at: at(second) })]);
  for (const [index, one] of orders.entries()) {
    await write(one.runId, runId, 1, [event('run-opened', { order: one, ...declaration }, { at: at(second + index) })]);
    await write(one.runId, runId, 2, [event('step-skipped', { reason: 'r' }, { step: 'prove-boot' })]);
    await write(one.runId, runId, 3, [closed(servers[index]!.state)]);
  }
  await write(runId, null, 2, [closed('succeeded')]);
  return runId;
}

test('a closed rehearsal is read with the last run of each of its servers; a recovery is none', () =>
  withStore(async (store) => {
    await tell(store, { second: 0, servers: [{ name: 'db01', state: 'succeeded' }], mode: 'recovery' });
    expect(await store.rehearsals.closed('shop', 'a')).toEqual([]);
    const servers = [
      { name: 'db01', state: 'failed' },
      { name: 'app01', state: 'succeeded' },
      { name: 'db01', state: 'succeeded' },
    ] as const;
    const runId = await tell(store, { second: 100, servers });
    const [rehearsal, ...others] = await store.rehearsals.closed('shop', 'a');
    expect(others).toEqual([]);
    expect(rehearsal!.run).toMatchObject({ runId, state: 'succeeded', closedAt: at(110), runbook: { sha256: 'a' } });
    const shown = rehearsal!.servers.map(({ server, state, skipped }) => [server!.name, state, skipped]);
    expect(shown.sort()).toEqual([
      ['app01', 'succeeded', ['prove-boot']],
      ['db01', 'succeeded', ['prove-boot']],
    ]);
  }));

test('of other texts only the newest that succeeded is read, newest first, and nothing of other runbooks', () =>
  withStore(async (store) => {
    const servers = [{ name: 'db01', state: 'succeeded' }] as const;
    const mine = await tell(store, { second: 0, servers });
    await tell(store, { second: 100, sha256: 'b', servers });
    const newest = await tell(store, { second: 200, sha256: 'c', servers });
    const read = (await store.rehearsals.closed('shop', 'a')).map(({ run }) => run.runId);
    expect(read).toEqual([newest, mine]);
    expect(await store.rehearsals.closed('directory', 'a')).toEqual([]);
  }));
