/** What Temporal's client throws, sorted into what the API can say about it. */
import {
  isGrpcServiceError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { Problem } from '../problems';
import type { TemporalContext } from '../temporal';

/** gRPC status codes that the sorting needs (grpc.io/docs/guides/status-codes). */
const grpcCodes = {
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  failedPrecondition: 9,
  unavailable: 14,
} as const;

/** The gRPC code of an error or of anything that caused it. */
export function grpcCode(error: unknown): number | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    if (isGrpcServiceError(cause)) return cause.code;
  }
  return undefined;
}

export function isNotFound(error: unknown): boolean {
  return error instanceof WorkflowNotFoundError || grpcCode(error) === grpcCodes.notFound;
}

/** Temporal does not take what it was asked: a query about what its version does not know. */
export const isNotTaken = (error: unknown): boolean => grpcCode(error) === grpcCodes.invalidArgument;

/**
 * No worker took the call before its deadline, or Temporal has not seen one lately. Cancelled: the client was trying again when
 * the deadline came, as seen while Temporal was killed; nobody else cancels calls here.
 */
export function isUnanswered(error: unknown): boolean {
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return true;
  const code = grpcCode(error);
  return code === grpcCodes.deadlineExceeded || code === grpcCodes.failedPrecondition || code === grpcCodes.cancelled;
}

/** The `type` and message of the application failure deepest in the chain; undefined when there is none. */
export function applicationFailure(error: unknown): { type: string; message: string } | undefined {
  let found: { type: string; message: string } | undefined;
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    if (cause.name === 'ApplicationFailure' && 'type' in cause) {
      found = { type: String(cause.type ?? 'unknown'), message: cause.message };
    }
  }
  return found;
}

export function isTimeoutFailure(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    if (cause.name === 'TimeoutFailure') return true;
  }
  return false;
}

export function isUpdateFailure(error: unknown): error is WorkflowUpdateFailedError {
  return error instanceof WorkflowUpdateFailedError;
}

/**
 * Makes a call that only needs Temporal itself.
 *
 * @throws Problem `part-unavailable` when it does not answer in time; any other error as it is.
 */
export async function callTemporal<T>(context: TemporalContext, call: () => Promise<T>): Promise<T> {
  try {
    return await context.client.withDeadline(Date.now() + context.callDeadlineMs, call);
  } catch (error) {
    throw asProblem(error);
  }
}

export function asProblem(error: unknown): unknown {
  const code = grpcCode(error);
  if (code !== grpcCodes.unavailable && code !== grpcCodes.deadlineExceeded && code !== grpcCodes.cancelled)
    return error;
  const found = code === grpcCodes.unavailable ? 'its address cannot be reached' : 'no answer before the deadline';
  return new Problem(
    'part-unavailable',
    `Temporal does not answer: ${found}. Look at /api/v1/health and at Temporal's own log`,
    {},
    { cause: error },
  );
}
