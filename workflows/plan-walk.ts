/** The way forward through a plan: every node in its time, within the limits and what people hold. */
import { condition } from '@temporalio/workflow';
import type { PlanOrder } from '../model/plan';
import type { PlanNode } from '../model/runbook/graph';
import { Scheduler } from '../model/runbook/scheduler';
import type { ChildRuns } from './plan-children';
import { Holds } from './plan-holds';
import { graphOf } from './plan-undo';
import { Interrupted, type Run } from './runner/run';

/** Resolves when every node is done; the first interrupt, or the first error, ends them all. */
export async function walk(
  run: Run<PlanOrder>,
  children: ChildRuns,
  perform: (node: PlanNode) => Promise<void>,
): Promise<void> {
  const graph = graphOf(run.order);
  const scheduler = schedulerOf(run.order, graph);
  const holds = new Holds(run, children, graph, scheduler);
  const running = new Set<Promise<void>>();
  // Gates wait for people; only servers and included runbooks are something that runs.
  let atWork = 0;
  let ended = 0;
  let failed: unknown = null;
  run.isHeld = () => holds.any && atWork === 0 && !scheduler.isOver;
  const start = (node: PlanNode): void => {
    const counts = node.kind === 'server' || node.kind === 'include' ? 1 : 0;
    atWork += counts;
    const work: Promise<void> = perform(node)
      .then(
        () => scheduler.end(node.id),
        (error: unknown) => void (failed ??= error),
      )
      .finally(() => {
        running.delete(work);
        atWork -= counts;
        ended += 1;
      });
    running.add(work);
  };
  while (!scheduler.isOver && failed === null) {
    for (const node of scheduler.take()) start(node);
    const before = ended + holds.changes;
    await condition(() => ended + holds.changes > before || run.interrupt !== null);
    if (run.interrupt !== null) failed ??= new Interrupted();
  }
  await Promise.allSettled(running);
  if (failed !== null) throw failed;
  holds.end();
}

function schedulerOf(order: PlanOrder, graph: ReturnType<typeof graphOf>): Scheduler {
  const places = new Map(
    order.servers.map(({ name, datastore, order: { target } }) => [name, { siteId: target.siteId, datastore }]),
  );
  return new Scheduler(graph, order.plan.limits, (name) => places.get(name)!);
}
