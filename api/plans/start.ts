/**
 * Starting a runbook, so that starting it twice under one key is starting it once, with Postgres up or down (design: law 5). Without
 * Postgres the key is looked for in Temporal, and the run's id is made from it, so that two at once are one as well.
 */
import { createHash } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { serverCountOf, serverCountOfHeader, type PlanOrder } from '../../model/plan';
import { isAmong, peopleWords, placesOfPlan } from '../../model/access';
import { everyServerOf } from '../../model/every-server';
import type { Provenance } from '../../model/order';
import { roles } from '../../model/people';
import { eventOfRow } from '../../record/row';
import { runbookOf } from '../../model/schema/normalise';
import type { Runbook } from '../../model/runbook/runbook';
import type { ApiDeps } from '../deps';
import type { Known } from '../known-runbooks';
import { Problem } from '../problems';
import type { Operation } from '../authorisation';
import { whyNot } from '../reach';
import type { RunbookPlaces } from '../runbooks/places';
import { refusePaused } from '../recoveries/refuse-paused';
import { hashOf, keyReused, refuseTimes, rememberKey } from '../recoveries/start';
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

export interface StartParts extends Known {
  readonly places: RunbookPlaces;
}

/** @throws Problem `runbook-errors` naming what is wrong today; `forbidden` for who may not start it; `key-reused`. */
export async function startPlan(
  deps: ApiDeps,
  known: StartParts,
  refusals: Refusals,
  push: PlanPush,
): Promise<StartedPlan> {
  const { temporal, config, clock } = deps;
  const { name, wanted, by } = push;
  refuseTimes(wanted, clock().getTime(), 'site');
  const key = `plan/${by.actor.id}/${push.key}`;
  const contentSha256 = hashOf({ ...wanted, runbook: name });
  const { runId, before, seenBefore } = await runOfKey(deps, key, contentSha256);
  if (before !== undefined) return repeated(before, contentSha256, push.key);
  const recorded = seenBefore ? await recordedStart(deps, runId) : undefined;
  if (recorded !== undefined) return recorded;

  const text =
    wanted.text === undefined ? await storedText(deps, name, wanted.version) : await givenText(deps, name, wanted.text);
  if (text.version === 0) await refuseUnknownText(known.places, name, text.text, by, refusals);
  const { file, make, notices } = await readPlan(deps, known, name, text);
  refuseStranger(runbookOf(file), by, refusals);
  const { tenantId, coreId, planProof: proof } = config;
  const { mode, intent, points, lostAt = null, reason } = wanted;
  const at = { requestedAt: clock().toISOString(), requestedBy: by };
  const order = make({ runId, tenantId, coreId, mode, intent, points, lostAt, reason, proof, ...at });
  refuseElsewhere(order, by, refusals);
  if (mode === 'rehearsal') {
    await refusePaused(
      deps,
      everyServerOf(order).map((one) => one.order.server),
    );
  }
  const memo = memoOf(order, key, contentSha256);
  const started = await temporal.startPlan(order, memo);
  if (started.kind === 'started') return { ...answer(memo, false), notices: [...notices] };
  const other = await temporal.findPlan(tenantId, runId);
  if (other === undefined) throw new Problem('conflict', `Run ${runId} exists already. Send a new Idempotency-Key`);
  return repeated(other, contentSha256, push.key);
}

/** The run that the key stands for, and its execution where it was started; seenBefore: Postgres had the key already. */
async function runOfKey(
  deps: ApiDeps,
  key: string,
  contentSha256: string,
): Promise<{ runId: string; before: Execution | undefined; seenBefore: boolean }> {
  const { temporal, config, clock } = deps;
  const { runId, seenBefore, isKept } = await rememberKey(deps, key, contentSha256, uuidv7());
  const known = seenBefore ? await temporal.findPlan(config.tenantId, runId) : undefined;
  // With Postgres away, an earlier start may be known to Temporal alone.
  const before = known ?? (await temporal.findPlanByKey(config.tenantId, key));
  if (before !== undefined) return { runId: before.memo.runId, before, seenBefore };
  return { runId: isKept ? runId : runIdOfKey(key, clock().getTime()), before, seenBefore };
}

/** A run that Temporal has forgotten, or lost: its record knows it still. undefined: it was never started. */
async function recordedStart({ store, config }: ApiDeps, runId: string): Promise<StartedPlan | undefined> {
  const [first] = await within(config.storeDeadlineMs, store.journal.rows(runId, 0, 1));
  const opened = first && eventOfRow(first);
  if (opened?.kind !== 'plan-opened') return undefined;
  const { order } = opened.data;
  const { name, version, sha256 } = order.runbook;
  const servers = serverCountOfHeader(order);
  return { runId, runbook: { name, version, sha256 }, servers, seenBefore: true, notices: [] };
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

function repeated({ memo }: Execution, contentSha256: string, key: string): StartedPlan {
  if (memo.contentSha256 !== contentSha256) throw keyReused(key, memo.runId);
  return answer(memo, true);
}

function answer({ runId, serverName: name, runbook }: RecoveryMemo, seenBefore: boolean): StartedPlan {
  const { version, sha256, servers } = runbook ?? { version: 0, sha256: '', servers: 0 };
  return { runId, runbook: { name, version, sha256 }, servers, seenBefore, notices: [] };
}

/** A plan has no server and no machine: its runbook stands there. */
function memoOf(order: PlanOrder, idempotencyKey: string, contentSha256: string): RecoveryMemo {
  const { name, version, sha256 } = order.runbook;
  return {
    ...{ runId: order.runId, idempotencyKey, contentSha256, serverId: '', serverName: name, machineName: '' },
    runbook: { version, sha256, servers: serverCountOf(order) },
    requestedBy: order.requestedBy.actor.name,
  };
}

/**
 * A text that nobody imported could leave out the gates and the people of the runbook that it is called after, and name other
 * servers: only who may import runs it.
 */
async function refuseUnknownText(
  places: RunbookPlaces,
  name: string,
  text: string,
  by: Provenance,
  refusals: Refusals,
): Promise<void> {
  const isEverywhere = by.actor.scopes === undefined || by.actor.scopes.length === 0;
  const because = whyNotActor(by, 'importRunbook', isEverywhere ? null : await places.ofImport(text));
  if (because === null) return;
  refusals.note(`start of runbook ${name} from a text that is not imported`, because, by);
  throw new Problem(
    'forbidden',
    `This text of runbook "${name}" is of no imported version, or Postgres does not say of which: ${because}. Start the imported one, or ask somebody who may import it`,
  );
}

/** An imported text that came with the request may be an older version, which has servers of elsewhere. */
function refuseElsewhere(order: PlanOrder, by: Provenance, refusals: Refusals): void {
  const because = whyNotActor(by, 'startPlan', placesOfPlan(order));
  if (because === null) return;
  refusals.note('startPlan', because, by);
  throw new Problem('forbidden', `"startPlan" is not allowed for ${by.actor.name}: found ${because}`);
}

function whyNotActor({ actor }: Provenance, operation: Operation, places: Parameters<typeof whyNot>[2]): string | null {
  const role = roles.find((one) => one === actor.role);
  return role === undefined ? 'found no role' : whyNot({ role, scopes: actor.scopes }, operation, places);
}

/** Beside the table of roles (authorisation.ts): the runbook's own people. @throws Problem `forbidden`, which is recorded. */
export function refuseStranger({ name, access }: Runbook, by: Provenance, refusals: Refusals): void {
  const { start } = access;
  if (isAmong(start, by.actor)) return;
  const because = `found ${by.actor.name} as ${by.actor.role ?? 'nobody'}, needed ${peopleWords(start)}`;
  refusals.note(`start of runbook ${name}`, because, by);
  throw new Problem('forbidden', `Runbook "${name}" says who may start it: ${because}`);
}
