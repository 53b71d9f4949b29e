/** Whether the record of a run is whole: chain, ledger, evidence, decisions, attempts. Each finding is a sentence. */
import type { RunEvent } from '../../model/events';
import { canonicalJson } from '../../record/canonical';
import { verifyChain } from '../../record/chain';
import type { EvidenceStore } from '../../record/evidence';
import type { LedgerRow } from '../../record/ledger';
import { eventOfRow, type JournalRow } from '../../record/row';
import { lostWorkersBeforeParking } from '../../workflows/runner/failures';
import type { Act } from './acts';

/** `live`: the events as the workflow itself still tells them. */
export async function recordFindings(
  rows: readonly JournalRow[],
  ledger: readonly LedgerRow[],
  live: readonly RunEvent[],
  evidence: EvidenceStore,
  acts: readonly Act[],
): Promise<string[]> {
  const events = rows.map(eventOfRow);
  return [
    ...chainFindings(rows, ledger),
    ...liveFindings(events, live),
    ...attemptFindings(events),
    ...decisionFindings(events, acts),
    ...(await evidenceFindings(events, evidence)),
  ];
}

function chainFindings(rows: readonly JournalRow[], ledger: readonly LedgerRow[]): string[] {
  const findings: string[] = [];
  const verdict = verifyChain(rows);
  if (!verdict.ok) findings.push(`the journal's chain breaks at row ${verdict.sequence}: ${verdict.why}`);
  const closings = rows.filter((row) => row.kind === 'run-closed');
  if (closings.length !== 1 || rows.at(-1)?.kind !== 'run-closed') {
    findings.push(`the journal has ${closings.length} closing events and ends with ${rows.at(-1)?.kind ?? 'nothing'}`);
  }
  const mine = ledger.filter((row) => row.runId === rows[0]?.runId);
  if (mine.length !== 1 || mine[0]!.runHash !== rows.at(-1)?.hash) {
    findings.push(`the ledger has ${mine.length} rows for the run; one was needed, with the hash of its closing row`);
  }
  return findings;
}

/**
 * The record against what the workflow itself tells when it is replayed from its history. Apart from times: after a
 * workflow task that timed out, Temporal's SDK (core of 1.24.0) gives the next one the time of the last completed task,
 * and a replay gives it its own.
 */
function liveFindings(events: readonly RunEvent[], live: readonly RunEvent[]): string[] {
  const [recorded, told] = [events, live].map((list) => list.map((event) => canonicalJson(withoutTime(event))));
  const at = Array.from({ length: Math.max(recorded!.length, told!.length) }).findIndex(
    (_, index) => recorded![index] !== told![index],
  );
  if (at === -1) return timeFindings(events);
  const short = (list: readonly string[]): string => (list[at] ?? 'nothing').slice(0, 600);
  return [`event ${at + 1} is recorded as ${short(recorded!)}, and told by the workflow as ${short(told!)}`];
}

const withoutTime = (event: RunEvent): unknown =>
  event.kind === 'reminded' ? { ...event, at: null, data: event.data.epoch } : { ...event, at: null };

function timeFindings(events: readonly RunEvent[]): string[] {
  const back = events.findIndex((event, index) => index > 0 && event.at < events[index - 1]!.at);
  return back === -1 ? [] : [`event ${back + 1} lies before the event before it`];
}

const placeOf = ({ step, item, data }: RunEvent): string =>
  [step, item, 'undo' in data && data.undo ? 'undo' : null].filter((part) => part !== null).join('/');

/** Every attempt ends once, tokens rise, budgets are kept, lost workers cost none, and three in a row park (law 3). */
export function attemptFindings(events: readonly RunEvent[]): string[] {
  const findings: string[] = [];
  const open = new Set<number>();
  const streaks = new Map<string, { failures: number; lost: number; final: boolean }>();
  let lastToken = 0;
  for (const event of events) {
    const streak = streaks.get(placeOf(event)) ?? { failures: 0, lost: 0, final: false };
    const mustPark = streak.final || streak.failures >= 3 || streak.lost >= lostWorkersBeforeParking;
    if (event.kind === 'attempt-started') {
      if (event.data.token <= lastToken) findings.push(`token ${event.data.token} came after token ${lastToken}`);
      if (mustPark) findings.push(`${placeOf(event)} was tried again by itself after ${JSON.stringify(streak)}`);
      lastToken = event.data.token;
      open.add(event.data.token);
    } else if (event.kind === 'attempt-succeeded' || event.kind === 'attempt-failed') {
      if (!open.delete(event.data.token)) findings.push(`attempt ${event.data.token} ended twice or never began`);
      streaks.set(placeOf(event), event.kind === 'attempt-failed' ? longer(streak, event.data.failure.family) : fresh);
    } else if (event.kind === 'parked') {
      if (!mustPark) findings.push(`${placeOf(event)} was parked after ${JSON.stringify(streak)}`);
      streaks.set(placeOf(event), fresh);
    }
  }
  if (open.size > 0) findings.push(`attempts ${[...open].join(', ')} have no end`);
  return findings;
}

const fresh = { failures: 0, lost: 0, final: false };

function longer({ failures, lost }: typeof fresh, family: string): typeof fresh {
  if (family === 'LostWorker') return { failures, lost: lost + 1, final: false };
  if (family === 'Cancelled') return { failures, lost: 0, final: false };
  return { failures: failures + 1, lost: 0, final: family !== 'TransientError' };
}

/** What was answered "accepted" stands in the record once; nothing stands there that nobody sent. */
export function decisionFindings(events: readonly RunEvent[], acts: readonly Act[]): string[] {
  const decided = events.filter((event) => event.kind === 'decided');
  const ofPlan = decided.filter(({ by }) => by.actor.kind === 'workflow').map(({ data }) => data);
  const recorded = decided.filter(({ by }) => by.actor.kind !== 'workflow').map(({ data }) => data);
  const same = (act: Act) => recorded.filter(({ epoch, decision }) => epoch === act.epoch && decision === act.decision);
  const findings = acts.flatMap((act) => {
    const accepted = act.answers.includes('accepted');
    const times = same(act).length;
    const named = `${act.decision} of parking ${act.epoch} (${act.answers.join(' | ')})`;
    if (times > 1) return [`${named} took effect ${times} times`];
    return accepted && times === 0 ? [`${named} is not in the record`] : [];
  });
  const sent = acts.flatMap(same);
  const unsent = recorded.filter((one) => !sent.includes(one));
  // A plan tells each of its runs once to undo itself.
  const repeated = ofPlan.slice(1).map((one) => `the plan's ${one.decision} took effect once more`);
  return [...findings, ...repeated, ...unsent.map((one) => `nobody sent ${one.decision} of parking ${one.epoch}`)];
}

async function evidenceFindings(events: readonly RunEvent[], evidence: EvidenceStore): Promise<string[]> {
  const findings: string[] = [];
  for (const event of events) {
    if (event.kind !== 'evidence') continue;
    const { name, sha256, sizeBytes } = event.data.evidence;
    const verdict = await evidence.verify(sha256);
    if (!verdict.ok) findings.push(`evidence ${name} is ${verdict.why}`);
    else if (verdict.sizeBytes !== sizeBytes) findings.push(`evidence ${name} has another size`);
  }
  return findings;
}
