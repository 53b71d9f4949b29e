/** The way forward through a plan: every node in its time, within the limits and what people hold. */
import type { PlanOrder } from '../model/plan';
import type { PlanNode } from '../model/runbook/graph';
import { Scheduler } from '../model/runbook/scheduler';
import type { ChildRuns } from './plan-children';
import { Holds, type HeldPlaces } from './plan-holds';
import type { RoomOfPlan } from './plan-places';
import { graphOf } from './plan-undo';
import { Interrupted, type Run } from './runner/run';

/** What one walk does. */
export interface Steps {
  /** Before the first node, when the plan can be held already; null: nothing. */
  readonly begin: (() => Promise<void>) | null;
  readonly perform: (node: PlanNode) => Promise<void>;
}

/** Resolves when every node is done; the first interrupt, or the first error, ends them all. */
export async function walk(
  run: Run<PlanOrder>,
  children: ChildRuns,
  held: HeldPlaces,
  room: RoomOfPlan,
  { begin, perform }: Steps,
): Promise<void> {
  const graph = graphOf(run.order);
  const scheduler = new Scheduler(graph, room);
  const holds = new Holds(run, children, graph, scheduler, held);
  const running = new Set<Promise<void>>();
  // Gates wait for people; only servers and included runbooks are something that runs.
  let atWork = begin === null ? 0 : 1;
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
  if (begin !== null) {
    await begin().catch((error: unknown) => {
      holds.leave();
      throw error;
    });
    atWork = 0;
  }
  room.begin(run);
  while (!scheduler.isOver && failed === null) {
    for (const node of scheduler.take()) start(node);
    room.offer(scheduler.withoutRoom());
    const before = ended + holds.changes + room.changes;
    const isIdle = running.size === 0 && scheduler.withoutRoom().length === 0;
    await holds.wait(() => ended + holds.changes + room.changes > before || run.interrupt !== null, isIdle);
    if (run.interrupt !== null) failed ??= new Interrupted();
  }
  room.leave();
  await Promise.allSettled(running);
  if (failed !== null) {
    holds.leave();
    throw failed;
  }
  holds.end();
}
