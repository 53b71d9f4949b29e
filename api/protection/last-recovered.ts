/** Where a server runs now, by the record of the last run that recovered it. */
import type { RecoveryOrder } from '../../model/order';
import type { ServerSpec } from '../../model/server';
import type { RunRow } from '../../store/contract';
import type { ApiDeps } from '../deps';
import { Problem } from '../problems';
import { within } from '../within';

export interface Recovered {
  readonly order: RecoveryOrder;
  readonly siteId: string;
  /** As the platform was told, with what people corrected. */
  readonly machineName: string;
}

const rowsAtOnce = 200;

/** @throws Problem `conflict` when no run recovered it, or onto a physical machine, whose disks nothing copies. */
export async function lastRecovered(deps: ApiDeps, { id, name }: ServerSpec): Promise<Recovered> {
  const row = await lastSucceeded(deps, id);
  const order = row && (await within(deps.config.storeDeadlineMs, deps.store.order(row.runId)));
  if (order === undefined) {
    throw new Problem(
      'conflict',
      `${name} cannot be protected the other way: found no run that recovered it and is committed; needed one, because it says where ${name} runs now. Look at \`muster runs --server ${name}\``,
    );
  }
  const { siteId, hardware } = order.target;
  if (hardware.kind === 'physical') {
    throw new Problem(
      'conflict',
      `${name} cannot be protected the other way: run ${order.runId} recovered it onto the physical machine ${order.target.machineName}, and only virtual machines can be copied. Copy it back by other means, then add it anew (\`muster servers add\`)`,
      { runId: order.runId },
    );
  }
  return { order, siteId, machineName: await machineOf(deps, order) };
}

async function lastSucceeded({ store, config }: ApiDeps, serverId: string): Promise<RunRow | undefined> {
  for (let after: string | undefined; ;) {
    const page = { serverId, limit: rowsAtOnce, ...(after === undefined ? {} : { after }) };
    const { items, next } = await within(config.storeDeadlineMs, store.runs.list(page));
    const found = items.find(
      ({ mode, procedure, state }) =>
        mode === 'recovery' && procedure === 'push-button-recovery' && state.startsWith('succeeded'),
    );
    if (found !== undefined || next === undefined) return found;
    after = next;
  }
}

/** The last machine that the run made: a decision may have given it another name than the order. */
async function machineOf({ store, config }: ApiDeps, { runId, target }: RecoveryOrder): Promise<string> {
  const rows = await within(config.storeDeadlineMs, store.journal.rows(runId));
  const made = rows.findLast(({ kind, step }) => kind === 'step-done' && step === 'create-machine');
  const { result } = (made === undefined ? {} : JSON.parse(made.body)) as { result?: { name?: string } | null };
  return result?.name ?? target.machineName;
}
