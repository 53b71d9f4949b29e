/**
 * Starting a runbook, so that starting it twice under one key is starting it once, with Postgres up or down (design: law 5). Without
 * Postgres the key is looked for in Temporal, and the run's id is made from it, so that two at once are one as well.
 */
import { createHash } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { serverCountOf, type PlanOrder } from '../../model/plan';
import { isAmong, peopleWords } from '../../model/access';
import type { Provenance } from '../../model/order';
import { roles } from '../../model/people';
import { runbookOf } from '../../model/schema/normalise';
import type { RunbookFile } from '../../model/schema/runbook';
import type { ApiDeps } from '../deps';
import type { KnownServers } from '../known-servers';
import { Problem } from '../problems';
import { whyNot } from '../reach';
import { hashOf, keyReused, rememberKey } from '../recoveries/start';
import type { Refusals } from '../refusals';
import type { NewPlanRun, StartedPlan } from '../schemas/plans';
import type { Execution, RecoveryMemo } from '../temporal/recoveries';
import { within } from '../within';
import { givenText, readPlan, storedText } from './make-plan';

export interface PlanPush {
  readonly name: string;
  readonly wanted: NewPlanRun;
  readonly key: string;
  readonly by: Provenance;
}

/** @throws Problem `runbook-errors` naming what is wrong today; `forbidden` for who may not start it; `key-reused`. */
export async function startPlan(
  deps: ApiDeps,
  servers: KnownServers,
  refusals: Refusals,
  push: PlanPush,
): Promise<StartedPlan> {
  const { temporal, config, clock } = deps;
  const { name, wanted, by } = push;
  refuseTimes(wanted, clock().getTime());
  const key = `plan/${by.actor.id}/${push.key}`;
  const contentSha256 = hashOf({ ...wanted, runbook: name });
  const { runId, before } = await runOfKey(deps, key, contentSha256);
  if (before !== undefined) return repeated(deps, before, contentSha256, push.key);

  const text =
    wanted.text === undefined ? await storedText(deps, name, wanted.version) : await givenText(deps, name, wanted.text);
  if (text.version === 0) refuseUnknownText(name, by, refusals);
  const { file, make } = await readPlan(deps, servers, name, text);
  refuseStranger(file, by, refusals);
  const { tenantId, coreId, planProof: proof } = config;
  const { mode, intent, points, lostAt = null, reason } = wanted;
  const at = { requestedAt: clock().toISOString(), requestedBy: by };
  const order = make({ runId, tenantId, coreId, mode, intent, points, lostAt, reason, proof, ...at });
  const started = await temporal.startPlan(order, memoOf(order, key, contentSha256));
  if (started.kind === 'started') return startedPlan(order, false);
  const other = await temporal.findPlan(tenantId, runId);
  if (other === undefined) throw new Problem('conflict', `Run ${runId} exists already. Send a new Idempotency-Key`);
  return repeated(deps, other, contentSha256, push.key);
}

/** The run that the key stands for, and its execution where it was started. */
async function runOfKey(
  deps: ApiDeps,
  key: string,
  contentSha256: string,
): Promise<{ runId: string; before: Execution | undefined }> {
  const { temporal, config, clock } = deps;
  const unknown = uuidv7();
  const { runId, seenBefore } = await rememberKey(deps, key, contentSha256, unknown);
  if (seenBefore) return { runId, before: await temporal.findPlan(config.tenantId, runId) };
  // It was remembered just now, unless Postgres is away: then an earlier start may be known to Temporal alone.
  const before = await temporal.findPlanByKey(config.tenantId, key);
  if (before !== undefined) return { runId: before.memo.runId, before };
  const isRemembered = await within(config.storeDeadlineMs, deps.store.ping()).then(
    () => true,
    () => false,
  );
  return { runId: isRemembered ? runId : runIdOfKey(key, clock().getTime()), before: undefined };
}

/** Two starts under one key within this time have one id. */
const sameIdMs = 3600_000;

/** A UUIDv7 (RFC 9562) whose time is rounded down and whose other bits are of the key. */
export function runIdOfKey(key: string, nowMs: number): string {
  const time = Math.floor(nowMs / sameIdMs) * sameIdMs;
  const bits = createHash('sha256').update(`${key} ${time}`).digest('hex');
  const hex = time.toString(16).padStart(12, '0');
  const variant = (8 + (parseInt(bits[3]!, 16) % 4)).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7${bits.slice(0, 3)}-${variant}${bits.slice(4, 7)}-${bits.slice(7, 19)}`;
}

async function repeated(deps: ApiDeps, { memo }: Execution, sha256: string, key: string): Promise<StartedPlan> {
  if (memo.contentSha256 !== sha256) throw keyReused(key, memo.runId);
  const [runbook, version, textSha256, servers] = memo.machineName.split(' ');
  return {
    runId: memo.runId,
    runbook: { name: runbook ?? memo.serverName, version: Number(version), sha256: textSha256 ?? '' },
    servers: Number(servers),
    seenBefore: true,
  };
}

function startedPlan(order: PlanOrder, seenBefore: boolean): StartedPlan {
  const { name, version, sha256 } = order.runbook;
  return { runId: order.runId, runbook: { name, version, sha256 }, servers: serverCountOf(order), seenBefore };
}

/** A plan has no server and no machine: its runbook stands there, with which text it is and how many servers it has. */
function memoOf(order: PlanOrder, idempotencyKey: string, contentSha256: string): RecoveryMemo {
  const { name, version, sha256 } = order.runbook;
  return {
    ...{ runId: order.runId, idempotencyKey, contentSha256, serverId: '', serverName: name },
    machineName: `${name} ${version} ${sha256} ${serverCountOf(order)}`,
    requestedBy: order.requestedBy.actor.name,
  };
}

/**
 * A text that nobody imported could leave out the gates and the people of the runbook that it is called after, and name other
 * servers: only who may import runs it.
 */
function refuseUnknownText(name: string, { actor, ...rest }: Provenance, refusals: Refusals): void {
  const role = roles.find((one) => one === actor.role);
  const because = role === undefined ? 'found no role' : whyNot({ role, scopes: actor.scopes }, 'importRunbook', null);
  if (because === null) return;
  refusals.note(`start of runbook ${name} from a text that is not imported`, because, { actor, ...rest });
  throw new Problem(
    'forbidden',
    `This text of runbook "${name}" is of no imported version, or Postgres does not say of which: ${because}. Start the imported one, or ask somebody who may import it`,
  );
}

/** Beside the table of roles (authorisation.ts): the runbook's own people. */
function refuseStranger(file: RunbookFile, by: Provenance, refusals: Refusals): void {
  const { start } = runbookOf(file).access;
  if (isAmong(start, by.actor)) return;
  const because = `found ${by.actor.name} as ${by.actor.role ?? 'nobody'}, needed ${peopleWords(start)}`;
  refusals.note(`start of runbook ${file.name}`, because, by);
  throw new Problem('forbidden', `Runbook "${file.name}" says who may start it: ${because}`);
}

/** Hosts' clocks may differ by an hour; a day ahead is a slip of the pen. */
const mostAheadMs = 24 * 3600_000;

function refuseTimes({ lostAt }: NewPlanRun, nowMs: number): void {
  if (lostAt === undefined || Date.parse(lostAt) <= nowMs + mostAheadMs) return;
  const message = `found ${lostAt}, needed the moment when the site was lost, not one to come`;
  throw new Problem('validation', `body.lostAt ${message}`, { issues: [{ at: 'body.lostAt', message }] });
}
