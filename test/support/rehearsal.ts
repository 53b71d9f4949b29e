/**
 * Rehearsals in a simulated world, and what its recovery site holds, seen by the test's own eyes. No session runs there: its only
 * point has to do for replication that goes on, however long a test takes.
 */
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { RecoveryOrder } from '../../model/order';
import type { ServerSpec } from '../../model/server';
import { lockOf, workflowQueue } from '../../workflows/messages';
import type { RunHandle, World } from './world';

export function rehearsalOrder(world: World, server: ServerSpec, changes: Partial<RecoveryOrder> = {}): RecoveryOrder {
  const objectives = { ...server.objectives, rpoMs: 3_600_000 };
  const order = world.order({ ...server, objectives }, { mode: 'rehearsal', ...changes });
  const short = order.runId.slice(-8);
  const network = `rehearsal-lan-${short}`;
  return {
    ...order,
    target: { ...order.target, machineName: `${server.name}-rehearsal-${short}`, networks: { lan: network } },
    isolation: { ownerRunId: order.runId, networks: [network], siteId: 'recovery' },
  };
}

/** Under the order's own lock, as the API does it. */
export async function startRun(world: World, order: RecoveryOrder): Promise<RunHandle> {
  const handle = await world.client.workflow.start('pushButtonRecovery', {
    ...{ taskQueue: workflowQueue, workflowId: lockOf(order), args: [order] },
  });
  return Object.assign(handle, { runOrder: order });
}

/** Every file of the recovery site but the log of effects and what replication itself writes. */
export async function filesOfSite(world: World): Promise<string[]> {
  const folder = join(world.folder, 'recovery');
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .map((entry) => `${relative(folder, join(entry.parentPath, entry.name))}${entry.isDirectory() ? '/' : ''}`)
    .filter((path) => !/^effects\.log$|\/points\/|^replicas\/[^/]+\/replica\.json$/.test(path))
    .filter((path) => !/^(machines|networks|uuids)\/$|\/runs\/$|^recovered\/$/.test(path))
    .sort();
}
