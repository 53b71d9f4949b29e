/** Replication sessions: one long-lived workflow per protected server. */
import { WorkflowFailedError } from '@temporalio/client';
import type { Provenance } from '../../model/order';
import type { ServerSpec } from '../../model/server';
import {
  pauseSessionUpdate,
  removeSessionUpdate,
  resumeSessionUpdate,
  sessionQuery,
  sessionWorkflowId,
  sessionWorkflowType,
  type RemovalRequest,
  type SessionView,
} from '../../workflows/messages';
import type { TemporalContext } from '../temporal';
import { sendUpdate } from './acts';
import { asProblem, isNotFound, isUnanswered } from './errors';
import { described, isOpen, startOnce } from './executions';
import { answered } from './queries';
import { answerOf, type UpdateAnswer } from './updates';

/** Input of the workflow type `replicationSession`. */
export interface SessionStart {
  readonly tenantId: string;
  readonly coreId: string;
  readonly server: ServerSpec;
  readonly by: Provenance;
}

export interface SessionCalls {
  /** `existed`: the server was protected already; nothing was started. */
  startSession(input: SessionStart): Promise<{ existed: boolean }>;
  /** Whether a session runs for this server, whoever may answer for it. */
  sessionRuns(tenantId: string, serverId: string): Promise<boolean>;
  /** The session's own view; undefined when no session runs or no worker answered in time. */
  session(tenantId: string, serverId: string): Promise<SessionView | undefined>;
  changeSession(
    tenantId: string,
    serverId: string,
    change: 'pause' | 'resume' | 'remove',
    request: RemovalRequest,
    updateId: string,
  ): Promise<UpdateAnswer<SessionView>>;
  /** Waits until no session runs for this server, at most so long; says whether that is so. */
  untilSessionEnds(tenantId: string, serverId: string, atMostMs: number): Promise<boolean>;
}

const updates = { pause: pauseSessionUpdate, resume: resumeSessionUpdate, remove: removeSessionUpdate } as const;

export function sessionCalls(context: TemporalContext): SessionCalls {
  const { client } = context;
  const handleOf = (tenantId: string, serverId: string) =>
    client.workflow.getHandle(sessionWorkflowId(tenantId, serverId));
  return {
    async startSession(input) {
      const started = await startOnce(context, sessionWorkflowType, {
        workflowId: sessionWorkflowId(input.tenantId, input.server.id),
        args: [input],
        staticSummary: `replication of ${input.server.name}`,
      });
      return { existed: started === undefined };
    },
    async sessionRuns(tenantId, serverId) {
      const found = await described(context, sessionWorkflowId(tenantId, serverId));
      return found !== undefined && isOpen(found);
    },
    session: (tenantId, serverId) => answered(context, () => handleOf(tenantId, serverId).query(sessionQuery)),
    changeSession: (tenantId, serverId, change, request, updateId) =>
      answerOf(context, context.updateDeadlineMs, () =>
        sendUpdate(handleOf(tenantId, serverId), updates[change], request, updateId),
      ),
    async untilSessionEnds(tenantId, serverId, atMostMs) {
      try {
        await client.withDeadline(Date.now() + atMostMs, () => handleOf(tenantId, serverId).result());
        return true;
      } catch (error) {
        if (error instanceof WorkflowFailedError || isNotFound(error)) return true;
        if (isUnanswered(error)) return false;
        throw asProblem(error);
      }
    },
  };
}
