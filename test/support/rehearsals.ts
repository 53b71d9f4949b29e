/** Rehearsals of runbooks as their workflows write them into the journal, for tests of what is computed from them. */
import { v7 } from 'uuid';
import type { RunEvent } from '../../model/events';
import type { PlanOrder } from '../../model/plan';
import { planHeader } from '../../model/plan';
import type { RecoveryOrder } from '../../model/order';
import type { Store } from '../../store/contract';
import { defaultScope } from '../../store/contract';
import { at, event, order, serverSpec } from '../store/run-events';
import { plainRunbook } from './plan';

const declaration = { declaration: 'plan', versions: {} };

export interface Told {
  readonly sha256?: string;
  readonly second: number;
  readonly servers: readonly { readonly name: string; readonly state: 'succeeded' | 'failed' }[];
  readonly mode?: PlanOrder['mode'];
  readonly runbook?: { readonly name: string; readonly version: number };
  /** Of each server's run; default: a small one of the record's tests. */
  readonly order?: (name: string) => Pick<RecoveryOrder, 'server' | 'target'>;
  readonly skip?: boolean;
  /** Default: in January. */
  readonly now?: (second: number) => string;
}

/** A rehearsal as its workflows write it: the plan's record, and one for each server's run, in flushes of their own. */
export async function tellRehearsal(store: Store, told: Told): Promise<string> {
  const { sha256 = 'a', second, servers, mode = 'rehearsal', skip = true, now = at } = told;
  const { name: runbook, version } = told.runbook ?? { name: 'shop', version: 1 };
  const runId = v7();
  const orders = servers.map(({ name }): RecoveryOrder => {
    const partOf = { runId, workflowId: 'plan' };
    const own = order(v7(), serverSpec({ id: `s-${name}`, name }));
    return { ...own, ...told.order?.(name), mode, partOf };
  });
  const plan: PlanOrder = {
    ...{ runId, ...defaultScope, procedure: 'plan', mode, intent: 'disaster' },
    runbook: { name: runbook, title: runbook, version, sha256 },
    plan: { ...plainRunbook, waves: [] },
    servers: orders.map((one) => {
      const { name } = one.server;
      return { name, wave: 'w', after: [], failure: { kind: 'critical' }, datastore: null, order: one };
    }),
    ...{ parts: [], retry: orders[0]!.retry, reminderMs: 1, lostAt: null, requestedAt: now(second) },
    ...{ requestedBy: orders[0]!.requestedBy, reason: 'r' },
  };
  const write = (run: string, parent: string | null, flush: number, events: RunEvent[]) =>
    store.journal.append({ ...defaultScope, runId: run, parentRunId: parent, flush, events });
  const closed = (state: 'succeeded' | 'failed') =>
    event('run-closed', { state, summary: '', childHashes: {} }, { at: now(second + 10) });
  await write(runId, null, 1, [event('plan-opened', { order: planHeader(plan), ...declaration }, { at: now(second) })]);
  for (const [index, one] of orders.entries()) {
    await write(one.runId, runId, 1, [
      event('run-opened', { order: one, ...declaration }, { at: now(second + index) }),
    ]);
    if (skip) await write(one.runId, runId, 2, [event('step-skipped', { reason: 'r' }, { step: 'prove-boot' })]);
    await write(one.runId, runId, 3, [closed(servers[index]!.state)]);
  }
  await write(runId, null, 2, [closed('succeeded')]);
  return runId;
}
