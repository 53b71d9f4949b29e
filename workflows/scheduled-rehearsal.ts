/**
 * What a schedule starts: decides whether the rehearsal may run now, and starts it as a run of its own, which goes on when this
 * ends. What may not run is skipped and said, never forgotten.
 */
import { ParentClosePolicy, patched, proxyActivities, startChild, workflowInfo } from '@temporalio/workflow';
import type { ScheduleActivities } from '../activities/contract';
import type { Provenance } from '../model/order';
import {
  askedWorkflowId,
  behindBecause,
  lateBecause,
  scheduleId,
  type PreparedRehearsal,
  type ScheduledOutcome,
  type ScheduledRehearsal,
} from '../model/scheduled-rehearsal';
import { journalQueue, planWorkflowId, planWorkflowType, priorityOf, workflowQueue } from './messages';
import { planTaskTimeoutMs } from '../model/plan-task';
import { isRunning } from './runner/holders';
import { viewReplicas } from './site-questions';

const journal = proxyActivities<ScheduleActivities>({ taskQueue: journalQueue, startToCloseTimeout: '60s' });

export async function scheduledRehearsal(input: ScheduledRehearsal): Promise<ScheduledOutcome> {
  const { asked } = input;
  const by = asked?.by ?? schedule(input);
  const first = await askedFor(input);
  const prepared =
    first === null
      ? await journal.prepareRehearsal({ ...input, requestedBy: by })
      : { kind: 'skipped' as const, because: first };
  const because = prepared.kind === 'skipped' ? prepared.because : await notNow(prepared);
  if (prepared.kind === 'skipped' || because !== null) {
    const skipped = because ?? '';
    const at = workflowInfo().startTime.toISOString();
    await journal.skipRehearsal({ ...input, at, because: skipped, by: schedule(input) });
    return { runId: null, skipped };
  }
  const { order } = prepared;
  await startChild(planWorkflowType, {
    workflowId: planWorkflowId(order.tenantId, order.runId),
    taskQueue: workflowQueue,
    args: [order],
    workflowTaskTimeout: planTaskTimeoutMs(order),
    parentClosePolicy: ParentClosePolicy.ABANDON,
    priority: priorityOf(order.mode),
    memo: {
      ...{ runId: order.runId, idempotencyKey: '', contentSha256: '', serverId: '', machineName: '' },
      ...{ serverName: order.runbook.name, requestedBy: by.actor.name },
    },
    staticSummary: `${order.mode} of runbook ${order.runbook.name}`,
  });
  return { runId: order.runId, skipped: null };
}

/** Why what somebody asked for at the same time goes first; or null. Nothing of either stands in any list yet. */
async function askedFor({ asked, tenantId, runbook }: ScheduledRehearsal): Promise<string | null> {
  if (asked !== undefined || !patched('heeds-who-asks')) return null;
  const isAsked = await isRunning({ workflowId: askedWorkflowId(tenantId, runbook) }).catch(() => false);
  return isAsked ? 'somebody asked for one just before, which is being decided' : null;
}

/** Why the sites' own answers, or the time that it took until now, keep it from running; or null. */
async function notNow({ servers, catchUpMs }: Extract<PreparedRehearsal, { kind: 'ready' }>): Promise<string | null> {
  for (const siteId of new Set(servers.map((server) => server.siteId))) {
    const views = await viewReplicas({ siteId }).catch(() => null);
    if (views === null) return `site ${siteId} did not answer`;
    const because = behindBecause(
      servers.filter((server) => server.siteId === siteId),
      views,
    );
    if (because !== null) return because;
  }
  return lateBecause(Date.now() - workflowInfo().startTime.getTime(), catchUpMs);
}

function schedule({ tenantId, runbook }: ScheduledRehearsal): Provenance {
  const actor = { kind: 'workflow' as const, id: scheduleId(tenantId, runbook), name: `schedule of ${runbook}` };
  return { actor, authMethod: 'internal', requestId: workflowInfo().workflowId, address: '' };
}
