/**
 * Pushing the button, so that pushing it twice is pushing it once, with Postgres up or down (design: law 5).
 *
 * Three places know a key, asked in this order: the newest execution of the server in Temporal (its memo), Postgres, and
 * at last Temporal again, which refuses a second start while one runs. Only the second may be missing.
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { v7 as uuidv7 } from 'uuid';
import type { Mode, Provenance, RecoveryOrder } from '../../model/order';
import { isMusterError } from '../../model/errors';
import { isClosedRun } from '../../model/steps';
import type { ServerSpec } from '../../model/server';
import type { ApiDeps } from '../deps';
import { Problem } from '../problems';
import type { NewRecovery, StartedRecovery } from '../schemas/recoveries';
import type { Execution, RecoveryMemo } from '../temporal/recoveries';
import { within } from '../within';
import { buildOrder } from './build-order';
import { refusePaused } from './refuse-paused';

export interface Push {
  readonly wanted: NewRecovery;
  readonly server: ServerSpec;
  readonly key: string;
  readonly by: Provenance;
}

/** @throws Problem `recovery-running` naming the other run; `key-reused` for other content under the same key. */
export async function startRecovery(deps: ApiDeps, push: Push): Promise<StartedRecovery> {
  const { temporal, config, clock } = deps;
  refuseTimes(push.wanted, clock().getTime(), 'server');
  // A key belongs to who sent it: two people may both use "button-1".
  const key = `recovery/${push.by.actor.id}/${push.key}`;
  const contentSha256 = hashOf({ ...push.wanted, server: push.server.id });

  const latest = await temporal.latestRecovery(config.tenantId, push.server.id, push.wanted.mode);
  if (latest?.memo.idempotencyKey === key) return repeated(latest, contentSha256, push.key);
  if (push.wanted.mode === 'rehearsal') await refuseBesideRecovery(deps, push.server);

  const { runId, seenBefore } = await rememberKey(deps, key, contentSha256, uuidv7());
  const before = seenBefore ? await executionOfRun(deps, runId, push.server.id) : undefined;
  if (before) return before;
  if (push.wanted.mode === 'rehearsal') await refusePaused(deps, [push.server]);

  const { tenantId, coreId } = config;
  const physicalMachines = config.physicalMachines?.[push.server.recoverySiteId] ?? [];
  const at = { requestedAt: clock().toISOString(), requestedBy: push.by };
  const context = { runId, tenantId, coreId, ...at, physicalMachines };
  const order = buildOrder(push.wanted, push.server, context);
  const memo = memoOf(order, key, contentSha256);
  const started = await startWhenFree(deps, order, memo);
  if (started.kind === 'started') return answer(memo, false);
  if (started.other?.memo.idempotencyKey === key) return repeated(started.other, contentSha256, push.key);
  throw occupied(push.server, push.wanted.mode, started);
}

/** A recovery goes before: a rehearsal that it would only send away is not begun. */
async function refuseBesideRecovery({ temporal, config }: ApiDeps, server: ServerSpec): Promise<void> {
  const recovery = await temporal.latestRecovery(config.tenantId, server.id);
  if (recovery?.running !== true) return;
  const { runId } = recovery.memo;
  throw new Problem(
    'recovery-running',
    `Run ${runId} recovers ${server.name}: rehearse it when that has ended. Watch it (\`muster watch ${runId}\`)`,
    { runId },
  );
}

type Started = { kind: 'started' } | { kind: 'occupied'; other: Execution | undefined; ended: boolean };

/**
 * A run holds its server until its record is written, a moment after its end can be seen: whoever saw the end and pushes
 * at once waits for that moment.
 */
async function startWhenFree(deps: ApiDeps, order: RecoveryOrder, memo: RecoveryMemo): Promise<Started> {
  const first = await deps.temporal.startRecovery(order, memo);
  if (first.kind === 'started') return first;
  const { other } = first;
  if (!other || other.memo.idempotencyKey === memo.idempotencyKey || !(await hasEnded(deps, other))) {
    return { ...first, ended: false };
  }
  await deps.temporal.untilClosed(other, deps.config.closingMs);
  const second = await deps.temporal.startRecovery(order, memo);
  return second.kind === 'started' ? second : { ...second, ended: true };
}

/** By what the run says of itself, or by its record where no worker answers. */
async function hasEnded({ temporal, store, config, log }: ApiDeps, execution: Execution): Promise<boolean> {
  if (!execution.running) return true;
  const { runId } = execution.memo;
  try {
    const live = await temporal.live(execution);
    if (live) return isClosedRun(live.state);
    const row = await within(config.storeDeadlineMs, store.runs.get(runId));
    return row !== undefined && row.closedAt !== null;
  } catch (error) {
    log.warn({ err: error, runId }, 'Whether the run that holds the server has ended could not be seen');
    return false;
  }
}

/** Hosts' clocks may differ by an hour and a recovery must start all the same; a day ahead is a slip of the pen. */
const mostAheadMs = 24 * 3600_000;

/** @throws Problem `validation` for a loss that is still to come. */
export function refuseTimes({ lostAt }: Pick<NewRecovery, 'lostAt'>, nowMs: number, what: 'server' | 'site'): void {
  if (lostAt === undefined || Date.parse(lostAt) <= nowMs + mostAheadMs) return;
  const message = `found ${lostAt}, needed the moment when the ${what} was lost, not one to come`;
  throw new Problem('validation', `body.lostAt ${message}`, { issues: [{ at: 'body.lostAt', message }] });
}

function repeated(execution: Execution, contentSha256: string, key: string): StartedRecovery {
  if (execution.memo.contentSha256 === contentSha256) return answer(execution.memo, true);
  throw keyReused(key, execution.memo.runId);
}

/**
 * The run that this key stands for. Without Postgres the new one, which is not kept: what else keeps two starts under one key
 * from being two is the caller's to know.
 */
export async function rememberKey(
  { store, config, log }: ApiDeps,
  key: string,
  contentSha256: string,
  newRunId: string,
): Promise<{ runId: string; seenBefore: boolean; isKept: boolean }> {
  try {
    const remembering = store.idempotency.remember(key, contentSha256, { runId: newRunId });
    return { ...(await within(config.storeDeadlineMs, remembering)), isKept: true };
  } catch (error) {
    if (isMusterError(error) && error.family === 'OperatorError' && error.facts.what.includes('idempotency key')) {
      throw new Problem('key-reused', error.message, {}, { cause: error });
    }
    log.warn({ err: error, key }, 'Postgres did not answer; the run is started without it');
    return { runId: newRunId, seenBefore: false, isKept: false };
  }
}

/** A run that was started under the key before; undefined when it was remembered and then never started. */
async function executionOfRun(
  { store, temporal, config }: ApiDeps,
  runId: string,
  serverId: string,
): Promise<StartedRecovery | undefined> {
  const execution = await temporal.findRecovery(config.tenantId, runId, serverId);
  if (execution) return answer(execution.memo, true);
  const order = await within(config.storeDeadlineMs, store.order(runId));
  return order && answer(memoOf(order, '', ''), true);
}

function memoOf(order: RecoveryOrder, idempotencyKey: string, contentSha256: string): RecoveryMemo {
  return {
    runId: order.runId,
    idempotencyKey,
    contentSha256,
    serverId: order.server.id,
    serverName: order.server.name,
    machineName: order.target.machineName,
    requestedBy: order.requestedBy.actor.name,
  };
}

function answer({ runId, serverId, serverName, machineName }: RecoveryMemo, seenBefore: boolean): StartedRecovery {
  return { runId, serverId, serverName, machineName, seenBefore };
}

function occupied(server: ServerSpec, mode: Mode, { other, ended }: Extract<Started, { kind: 'occupied' }>): Problem {
  if (!other) {
    return new Problem(
      'recovery-running',
      `Another ${mode} of ${server.name} is running; Temporal does not say which. Look at \`muster runs\``,
    );
  }
  const { runId, requestedBy } = other.memo;
  if (ended && other.running) {
    return new Problem(
      'recovery-running',
      `Run ${runId} of ${server.name} has ended, and holds the server until its record is written. Look at \`muster doctor\` for what keeps Postgres from answering, then push again`,
      { runId },
    );
  }
  return new Problem(
    'recovery-running',
    `Run ${runId} ${mode === 'rehearsal' ? 'rehearses' : 'recovers'} ${server.name} already (pushed by ${requestedBy} at ${other.startedAt}). Watch it (\`muster watch ${runId}\`), or abort it first`,
    { runId },
  );
}

export function keyReused(key: string, runId: string): Problem {
  return new Problem(
    'key-reused',
    `Idempotency key "${key}" already started run ${runId} with other content. Use a new key for a new recovery`,
    { runId },
  );
}

/** By which the same request is known again. */
export function hashOf(content: unknown): string {
  return createHash('sha256')
    .update(canonicalize(content) ?? '')
    .digest('hex');
}
