/** Acting on plans that run, and on the servers' runs in them, as people do. */
import type { WorkflowHandle } from '@temporalio/client';
import type { HoldPlace, PlanOrder } from '../../model/plan';
import { planReport, type PlanReport } from '../../model/plan-report';
import type { DecisionKind } from '../../model/steps';
import { eventOfRow } from '../../record/row';
import {
  decideUpdate,
  holdUpdate,
  liveRunQuery,
  lockOf,
  planWorkflowId,
  workflowQueue,
  type LiveRun,
  type Parking,
} from '../../workflows/messages';
import { declarationOfPlan } from '../../workflows/plan.steps';
import { ines } from './order';
import { pauses } from './pauses';
import { describeEvents, type World } from './world';

export const startPlan = (world: World, order: PlanOrder): Promise<WorkflowHandle> =>
  world.client.workflow.start('plan', {
    taskQueue: workflowQueue,
    workflowId: planWorkflowId(order.tenantId, order.runId),
    args: [order],
  });

export const childOf = (world: World, order: PlanOrder, name: string): WorkflowHandle =>
  world.client.workflow.getHandle(lockOf(order.servers.find((server) => server.name === name)!.order));

export const lookAt = (handle: WorkflowHandle): Promise<LiveRun> => handle.query(liveRunQuery);

/** Waits until something waits for people at this step; fails when the run ends instead. */
export async function parkedAt(handle: WorkflowHandle, step: string): Promise<Parking> {
  const pause = pauses(50);
  for (;;) {
    const run = await lookAt(handle);
    const found = run.parkings.find((parking) => parking.step === step);
    if (found !== undefined) return found;
    if (['succeeded', 'succeeded-with-exceptions', 'aborted', 'failed'].includes(run.state))
      throw new Error(`It ended as ${run.state}:\n${describeEvents(run)}`);
    await pause();
  }
}

export const decideAt = (
  handle: WorkflowHandle,
  { step, item, epoch }: Parking,
  decision: DecisionKind,
  by = ines,
  from: string | null = null,
): Promise<unknown> =>
  handle.executeUpdate(decideUpdate, {
    args: [{ step, item, epoch, decision, reason: 'as the test says', from, input: null, by }],
  });

export const holdAt = (handle: WorkflowHandle, act: 'hold' | 'go-on', of: HoldPlace): Promise<unknown> =>
  handle.executeUpdate(holdUpdate, { args: [{ act, of, reason: 'as the test says', by: ines }] });

/** The type and the words of a refused update. */
export async function refusal(update: Promise<unknown>): Promise<string> {
  const error = await update.then(
    () => new Error('It was accepted.'),
    (refused: Error & { cause?: Error & { type?: string } }) => refused,
  );
  const { cause } = error as { cause?: Error & { type?: string } };
  return `${cause?.type ?? ''}: ${cause?.message ?? error.message}`;
}

export async function until(fits: () => Promise<boolean>): Promise<void> {
  const pause = pauses(50);
  while (!(await fits())) await pause();
}

/** What people read of a plan that is over. */
export async function reportOfPlan({ store }: World, order: PlanOrder): Promise<PlanReport> {
  const events = (await store.journal.rows(order.runId, 0, 1000)).map(eventOfRow);
  const context = { generatedAt: new Date().toISOString(), headHash: null, versions: {}, past: [], text: null };
  const children = await store.runs.below(order.runId);
  return planReport(events, declarationOfPlan(order), { ...context, children });
}
