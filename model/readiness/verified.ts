/**
 * Whether a runbook is verified: only by a rehearsal of exactly this text on exactly these servers, which succeeded without
 * exceptions, is not too old, and has not been contradicted by a later one; and while their sources are as the inventory has them.
 * Otherwise what is different, item by item.
 */
import { formatDuration } from '../durations';
import type { RehearsedRun } from './rehearsed';
import { shapeDifferences, type ServerShape } from './shape';

export const verificationStates = ['verified', 'needs-rehearsal', 'never-rehearsed'] as const;
export type VerificationState = (typeof verificationStates)[number];

export interface Verification {
  readonly state: VerificationState;
  /** Why it is not verified, item by item; empty when it is. */
  readonly because: readonly string[];
  /** The rehearsal that the state is measured against; null: none succeeded. */
  readonly rehearsal: { readonly runId: string; readonly version: number; readonly at: string } | null;
  /** When its age ends it; null: nothing to end. */
  readonly until: string | null;
}

/** A runbook as it is now. */
export interface RunbookNow {
  readonly name: string;
  readonly sha256: string;
  readonly verifiedForMs: number;
  /** Its own servers as the inventory has them; null: not in the inventory. */
  readonly servers: Readonly<Record<string, ServerShape | null>>;
  /** By server: what of its source is no longer as the inventory has it, as the last look at it found; absent: nothing is known. */
  readonly changedAtSource?: ReadonlyMap<string, readonly string[]>;
  /** What it includes, by name: the text that would run now, and whether that is verified by itself; null: not imported. */
  readonly parts: Readonly<Record<string, { readonly sha256: string; readonly verification: Verification } | null>>;
}

/** A rehearsal of it, closed, with the last run of each of its servers. */
export interface Rehearsal {
  readonly run: RehearsedRun;
  readonly servers: readonly RehearsedRun[];
}

/** The rehearsal that the state is measured against: the newest whole one of this text, else of any. `closed` newest first. */
export function measuredAgainst({ sha256 }: Pick<RunbookNow, 'sha256'>, closed: readonly Rehearsal[]) {
  const good = closed.filter((one) => one.run.runbook !== null && one.run.closedAt !== null && isWhole(one));
  return good.find(({ run }) => run.runbook!.sha256 === sha256) ?? good[0];
}

/**
 * @param closed newest first
 * @param keysChanged which keys of the text differ from those of the rehearsal that it is measured against, where its text differs
 */
export function verification(
  now: RunbookNow,
  closed: readonly Rehearsal[],
  nowMs: number,
  keysChanged: readonly string[],
): Verification {
  const ended = closed.filter(({ run }) => run.runbook !== null && run.closedAt !== null);
  const match = measuredAgainst(now, ended);
  const doubt = ended.find((one) => one.run.runbook!.sha256 === now.sha256 && speaksAgainst(one));
  if (match === undefined) return unverified(doubt ?? ended[0]);
  const { runId, closedAt, runbook } = match.run;
  const untilMs = Date.parse(closedAt!) + now.verifiedForMs;
  const because = [
    ...contradiction(match, doubt),
    ...textOf(now, match, keysChanged),
    ...serversOf(now, match),
    ...partsOf(now, match),
    ...ageOf(closedAt!, now.verifiedForMs, nowMs),
  ];
  return {
    state: because.length === 0 ? 'verified' : 'needs-rehearsal',
    because,
    rehearsal: { runId, version: runbook!.version, at: closedAt! },
    until: new Date(untilMs).toISOString(),
  };
}

/** It ended well, with nothing skipped, for each server of its runbook. */
const isWhole = (rehearsal: Rehearsal): boolean =>
  [rehearsal.run, ...rehearsal.servers].every(({ state, skipped }) => state === 'succeeded' && skipped.length === 0) &&
  missingFrom(rehearsal).length === 0;

/** Servers of its runbook that were not in it. */
function missingFrom({ run, servers }: Rehearsal): string[] {
  const there = new Set(servers.map(({ server }) => server?.name));
  return run.runbook!.servers.filter((name) => !there.has(name));
}

/** One that was aborted says nothing, unless something was stuck in it: it gave way to a recovery, say. */
const speaksAgainst = (rehearsal: Rehearsal): boolean =>
  !isWhole(rehearsal) &&
  (rehearsal.run.state !== 'aborted' || [rehearsal.run, ...rehearsal.servers].some(({ stuck }) => stuck.length > 0));

function unverified(last: Rehearsal | undefined): Verification {
  const nothing = { rehearsal: null, until: null };
  if (last === undefined) return { state: 'never-rehearsed', because: ['it was never rehearsed'], ...nothing };
  return { state: 'needs-rehearsal', because: shortcomings(last), ...nothing };
}

function contradiction(match: Rehearsal, doubt: Rehearsal | undefined): string[] {
  return doubt !== undefined && doubt.run.closedAt! > match.run.closedAt! ? shortcomings(doubt) : [];
}

/** What keeps a rehearsal from verifying anything. */
function shortcomings(rehearsal: Rehearsal): string[] {
  const { run, servers } = rehearsal;
  const [at] = run.closedAt!.split('T');
  const ended = `the rehearsal of ${at} (run ${run.runId}) ended as ${run.state}`;
  const skipped = [run, ...servers].flatMap((one) =>
    one.skipped.map((place) => `${place}${one.server === null ? '' : ` of ${one.server.name}`} was skipped in it`),
  );
  const stuck = [run, ...servers].flatMap((one) =>
    one.stuck.map((place) => `${place}${one.server === null ? '' : ` of ${one.server.name}`} was stuck in it`),
  );
  return [
    ended,
    ...skipped,
    ...(run.state === 'succeeded' ? [] : stuck),
    ...missingFrom(rehearsal).map((name) => `${name} was not in it`),
  ];
}

function textOf({ sha256 }: RunbookNow, { run }: Rehearsal, keysChanged: readonly string[]): string[] {
  if (run.runbook!.sha256 === sha256) return [];
  const which = keysChanged.length === 0 ? 'comments or layout only' : `keys ${keysChanged.join(', ')}`;
  return [`text changed since version ${run.runbook!.version}: ${which}`];
}

function serversOf(now: RunbookNow, { servers }: Rehearsal): string[] {
  const rehearsed = new Map(servers.map(({ server }) => [server!.name, server!]));
  return Object.entries(now.servers).flatMap(([name, is]) => {
    if (is === null) return [`${name} is no longer in the inventory`];
    const was = rehearsed.get(name);
    const atSource = (now.changedAtSource?.get(name) ?? []).map((one) => `at its source ${one}`);
    return [...(was === undefined ? [`${name} was not rehearsed`] : shapeDifferences(was, is)), ...atSource];
  });
}

function partsOf(now: RunbookNow, { run }: Rehearsal): string[] {
  const rehearsed = new Map(run.runbook!.parts.map((part) => [part.name, part]));
  return Object.entries(now.parts).flatMap(([name, is]) => {
    if (is === null) return [`runbook ${name}, which it contains, is no longer imported`];
    const was = rehearsed.get(name);
    if (was === undefined) return [`runbook ${name}, which it contains, was not rehearsed with it`];
    if (was.sha256 !== is.sha256) return [`runbook ${name}, which it contains, has another text`];
    return is.verification.because.map((one) => `in runbook ${name}: ${one}`);
  });
}

function ageOf(closedAt: string, verifiedForMs: number, nowMs: number): string[] {
  const ageMs = nowMs - Date.parse(closedAt);
  if (ageMs < verifiedForMs) return [];
  return [
    `it was rehearsed ${formatDuration(ageMs)} ago; a rehearsal verifies it for ${formatDuration(verifiedForMs)}`,
  ];
}
