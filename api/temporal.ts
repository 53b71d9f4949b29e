/**
 * The one gateway to Temporal: nothing else in api/ holds a client. Every call has a deadline; what Temporal throws
 * becomes a Problem or a plain answer here.
 *
 * Temporal's own state of a workflow is used to reach it and to see what it is busy with. It is not the audit record.
 */
import { Client, Connection } from '@temporalio/client';
import { defaultApiConfig } from './deps';
import { recoveryCalls, type RecoveryCalls } from './temporal/recoveries';
import { planCalls, type PlanCalls } from './temporal/plans';
import { sessionCalls, type SessionCalls } from './temporal/sessions';
import { scheduleCalls, type ScheduleCalls } from './temporal/schedules';
import { siteCalls, type SiteCalls } from './temporal/sites';
import { updateCalls, type UpdateCalls } from './temporal/updates';
import { liveCalls, type LiveCalls } from './temporal/live';
import { healthCalls, type HealthCalls } from './temporal/health';
import { failingCalls, type FailingCalls } from './temporal/failing';
import { openRunCalls, type OpenRunCalls } from './temporal/open-runs';
import { dataConverter } from '../wire/payloads';

export interface TemporalGateway
  extends
    RecoveryCalls,
    PlanCalls,
    UpdateCalls,
    LiveCalls,
    SessionCalls,
    SiteCalls,
    ScheduleCalls,
    HealthCalls,
    FailingCalls,
    OpenRunCalls {
  close(): Promise<void>;
}

export interface TemporalOptions {
  /** host:port of the frontend. */
  readonly address: string;
  readonly namespace: string;
  /** For calls that only need Temporal itself. */
  readonly callDeadlineMs?: number;
  /** Below workflows/messages.ts' stickyTimeoutMs, which says why. */
  readonly queryDeadlineMs?: number;
  readonly updateDeadlineMs?: number;
  /** For short workflows that ask a site something. */
  readonly siteDeadlineMs?: number;
}

/** Deadlines with all defaults filled in, and the client that they bound. */
export interface TemporalContext {
  readonly client: Client;
  readonly callDeadlineMs: number;
  readonly queryDeadlineMs: number;
  readonly updateDeadlineMs: number;
  readonly siteDeadlineMs: number;
}

/** Connects on first use, so that the API comes up, and says what is missing, while Temporal is down. */
export function connectTemporal(options: TemporalOptions): TemporalGateway {
  const connection = Connection.lazy({ address: options.address, connectTimeout: '5s' });
  const client = new Client({ connection, namespace: options.namespace, dataConverter });
  const context: TemporalContext = {
    client,
    callDeadlineMs: options.callDeadlineMs ?? 5_000,
    queryDeadlineMs: options.queryDeadlineMs ?? defaultApiConfig.queryDeadlineMs,
    updateDeadlineMs: options.updateDeadlineMs ?? 5_000,
    siteDeadlineMs: options.siteDeadlineMs ?? 30_000,
  };
  return {
    ...recoveryCalls(context),
    ...planCalls(context),
    ...updateCalls(context),
    ...liveCalls(context),
    ...sessionCalls(context),
    ...siteCalls(context),
    ...scheduleCalls(context),
    ...healthCalls(context),
    ...failingCalls(context),
    ...openRunCalls(context),
    close: () => connection.close(),
  };
}
