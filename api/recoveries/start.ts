/**
 * Pushing the button, so that pushing it twice is pushing it once, with Postgres up or down (design: law 5).
 *
 * Three places know a key, asked in this order: the newest execution of the server in Temporal (its memo), Postgres, and
 * at last Temporal again, which refuses a second start while one runs. Only the second may be missing.
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { v7 as uuidv7 } from 'uuid';
import type { Provenance, RecoveryOrder } from '../../model/order';
import { isMusterError } from '../../model/errors';
import type { ServerSpec } from '../../model/server';
import type { ApiDeps } from '../deps';
import { Problem } from '../problems';
import type { NewRecovery, StartedRecovery } from '../schemas/recoveries';
import type { Execution, RecoveryMemo } from '../temporal/recoveries';
import { within } from '../within';
import { buildOrder } from './build-order';

export interface Push {
  readonly wanted: NewRecovery;
  readonly server: ServerSpec;
  readonly key: string;
  readonly by: Provenance;
}

/** @throws Problem `recovery-running` naming the other run; `key-reused` for other content under the same key. */
export async function startRecovery(deps: ApiDeps, push: Push): Promise<StartedRecovery> {
  const { temporal, config, clock } = deps;
  refuseTimes(push.wanted, clock().getTime());
  // A key belongs to who sent it: two people may both use "button-1".
  const key = `recovery/${push.by.actor.id}/${push.key}`;
  const contentSha256 = hashOf({ ...push.wanted, server: push.server.id });

  const latest = await temporal.latestRecovery(config.tenantId, push.server.id);
  if (latest?.memo.idempotencyKey === key) return repeated(latest, contentSha256, push.key);

  const { runId, seenBefore } = await rememberKey(deps, key, contentSha256, uuidv7());
  const before = seenBefore ? await executionOfRun(deps, runId, push.server.id) : undefined;
  if (before) return before;

  const { tenantId, coreId } = config;
  const physicalMachines = config.physicalMachines?.[push.server.recoverySiteId] ?? [];
  const at = { requestedAt: clock().toISOString(), requestedBy: push.by };
  const context = { runId, tenantId, coreId, ...at, physicalMachines };
  const order = buildOrder(push.wanted, push.server, context);
  const memo = memoOf(order, key, contentSha256);
  const started = await temporal.startRecovery(order, memo);
  if (started.kind === 'started') return answer(memo, false);
  if (started.other?.memo.idempotencyKey === key) return repeated(started.other, contentSha256, push.key);
  throw occupied(push.server, started.other);
}

/** Hosts' clocks may differ by an hour and a recovery must start all the same; a day ahead is a slip of the pen. */
const mostAheadMs = 24 * 3600_000;

function refuseTimes({ lostAt }: NewRecovery, nowMs: number): void {
  if (lostAt === undefined || Date.parse(lostAt) <= nowMs + mostAheadMs) return;
  const message = `found ${lostAt}, needed the moment when the server was lost, not one to come`;
  throw new Problem('validation', `body.lostAt ${message}`, { issues: [{ at: 'body.lostAt', message }] });
}

function repeated(execution: Execution, contentSha256: string, key: string): StartedRecovery {
  if (execution.memo.contentSha256 === contentSha256) return answer(execution.memo, true);
  throw keyReused(key, execution.memo.runId);
}

/** The run that this key stands for. Without Postgres the new one: Temporal's lock still refuses a second start. */
async function rememberKey(
  { store, config, log }: ApiDeps,
  key: string,
  contentSha256: string,
  newRunId: string,
): Promise<{ runId: string; seenBefore: boolean }> {
  try {
    const remembering = store.idempotency.remember(key, contentSha256, { runId: newRunId });
    return await within(config.storeDeadlineMs, remembering);
  } catch (error) {
    if (isMusterError(error) && error.family === 'OperatorError' && error.facts.what.includes('idempotency key')) {
      throw new Problem('key-reused', error.message, {}, { cause: error });
    }
    log.warn({ err: error, key }, 'Postgres did not answer; the recovery is started without it');
    return { runId: newRunId, seenBefore: false };
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

function occupied(server: ServerSpec, other: Execution | undefined): Problem {
  if (!other) {
    return new Problem(
      'recovery-running',
      `Another recovery of ${server.name} is running; Temporal does not say which. Look at \`muster runs\``,
    );
  }
  const { runId, requestedBy } = other.memo;
  return new Problem(
    'recovery-running',
    `Run ${runId} recovers ${server.name} already (pushed by ${requestedBy} at ${other.startedAt}). Watch it (\`muster watch ${runId}\`), or abort it first`,
    { runId },
  );
}

function keyReused(key: string, runId: string): Problem {
  return new Problem(
    'key-reused',
    `Idempotency key "${key}" already started run ${runId} with other content. Use a new key for a new recovery`,
    { runId },
  );
}

function hashOf(content: unknown): string {
  return createHash('sha256')
    .update(canonicalize(content) ?? '')
    .digest('hex');
}
