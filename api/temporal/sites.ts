/** Asking a site something, through a short workflow, so that the API itself never touches a platform. */
import { randomUUID } from 'node:crypto';
import { WorkflowFailedError } from '@temporalio/client';
import type { MachineHolding, MachineRelease } from '../../model/machine-holding';
import type { ReadinessAnswer, ReadinessQuestion } from '../../model/readiness/site-readiness';
import type { ReplicaView } from '../../model/replica';
import type { ServerSpec } from '../../model/server';
import type { SiteView } from '../../model/site-view';
import { workflowQueue } from '../../workflows/messages';
import { Problem } from '../problems';
import type { TemporalContext } from '../temporal';
import { applicationFailure, asProblem, isTimeoutFailure, isUnanswered } from './errors';

export type DiscoveredMachine = Pick<ServerSpec, 'os' | 'firmware' | 'cpuCount' | 'memoryBytes' | 'disks' | 'nics'>;

export interface SiteCalls {
  /** What the running machine is made of. @throws Problem `no-worker`, or `conflict` with the site's own words. */
  discoverServer(input: {
    recoverySiteId: string;
    sourceSiteId: string;
    machineName: string;
  }): Promise<DiscoveredMachine>;
  /** Every replica of the site. @throws Problem as above. */
  viewReplicas(siteId: string): Promise<ReplicaView[]>;
  /** The site's networks and hardware; waits briefly only. @throws Problem as above. */
  viewSite(siteId: string): Promise<SiteView>;
  /** What of the question the site is not ready for. @throws Problem as above. */
  examineReadiness(question: ReadinessQuestion): Promise<ReadinessAnswer>;
  /** The site's physical machines with what holds each. @throws Problem as above. */
  viewMachines(siteId: string): Promise<MachineHolding[]>;
  /** Ends the hold of a lost run on its replica. @throws Problem as above. */
  endHold(input: { siteId: string; serverId: string; runId: string }): Promise<void>;
  /** Gives a claim up. @throws Problem as above. */
  releaseMachine(input: MachineRelease): Promise<{ released: boolean }>;
}

/** Somebody looks at a screen: a site that is away is said to be away. */
const viewDeadlineMs = 8_000;

export function siteCalls(context: TemporalContext): SiteCalls {
  async function ask<T>(type: string, input: unknown, siteId: string, longestMs = Infinity): Promise<T> {
    const deadlineMs = Math.min(longestMs, context.siteDeadlineMs);
    try {
      return await context.client.withDeadline(Date.now() + deadlineMs, () =>
        context.client.workflow.execute(type, {
          workflowId: `ask/${type}/${siteId}/${randomUUID()}`,
          taskQueue: workflowQueue,
          args: [input],
          workflowExecutionTimeout: deadlineMs,
        }),
      );
    } catch (error) {
      throw asSiteProblem(error, siteId);
    }
  }
  return {
    discoverServer: (input) => ask<DiscoveredMachine>('discoverServer', input, input.recoverySiteId),
    viewReplicas: (siteId) => ask<ReplicaView[]>('viewReplicas', { siteId }, siteId),
    viewSite: (siteId) => ask<SiteView>('viewSite', { siteId }, siteId, viewDeadlineMs),
    examineReadiness: (question) => ask<ReadinessAnswer>('examineReadiness', question, question.siteId),
    viewMachines: (siteId) => ask<MachineHolding[]>('viewMachines', { siteId }, siteId),
    endHold: (input) => ask<void>('endHold', input, input.siteId),
    releaseMachine: (input) => ask<{ released: boolean }>('releaseMachine', input, input.siteId),
  };
}

function asSiteProblem(error: unknown, siteId: string): unknown {
  const failure = error instanceof WorkflowFailedError ? applicationFailure(error) : undefined;
  if (failure?.type === 'TransientError') return new Problem('part-unavailable', failure.message, {}, { cause: error });
  if (failure) return new Problem('conflict', failure.message, {}, { cause: error });
  if (isTimeoutFailure(error) || isUnanswered(error)) {
    return new Problem(
      'no-worker',
      `No worker of site "${siteId}" answered in time. Start one (\`muster up\` does) and look at /api/v1/health`,
      {},
      { cause: error },
    );
  }
  return asProblem(error);
}
