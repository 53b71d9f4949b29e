/** Which of a run's events people are told of, and what. Pure: the same events give the same notices. */
import type { RunEvent } from '../events';
import type { Mode } from '../order';
import { printable } from '../names';
import { longestText, type Notice, type NoticeFacts } from './notice';

/** What the store knows of the run beside the batch. */
export interface NoticeContext {
  readonly runId: string;
  readonly parentRunId: string | null;
  readonly procedure: string;
  readonly mode: Mode;
  /** Of the server; of the runbook for a plan. */
  readonly name: string;
}

/** Kinds of events that may make a notice: others need not be looked at. */
const tellingKinds: readonly RunEvent['kind'][] = [
  'run-opened',
  'plan-opened',
  'parked',
  'gate-opened',
  'reminded',
  'escalated',
  'run-closed',
];
export const mayTell = (events: readonly RunEvent[]): boolean => events.some(({ kind }) => tellingKinds.includes(kind));

/** A part of a plan does not tell that it has started or finished: its plan does. */
export function noticesOf(context: NoticeContext, events: readonly RunEvent[]): Notice[] {
  return events.flatMap((event) => noticesOfEvent(context, event));
}

function noticesOfEvent(context: NoticeContext, event: RunEvent): Notice[] {
  const isPart = context.parentRunId !== null;
  switch (event.kind) {
    case 'run-opened':
    case 'plan-opened':
      return isPart ? [] : [started(context, event.at, event.data.order.reason)];
    case 'parked':
    case 'gate-opened':
      return [waits(context, event)];
    case 'reminded':
      return reminder(context, event);
    case 'escalated':
      return [escalation(context, event)];
    case 'run-closed':
      return isPart ? [] : [finished(context, event)];
    default:
      return [];
  }
}

export function facts(context: NoticeContext, since: string, more: Partial<NoticeFacts>): NoticeFacts {
  const { runId, parentRunId, procedure, mode, name } = context;
  const run = { runId, parentRunId, procedure, mode };
  const none = { step: null, item: null, cause: '', remedy: '', allowed: [], state: null, over: false };
  const all = { ...none, name: short(name), run, since, ...more };
  return { ...all, cause: short(all.cause), remedy: short(all.remedy) };
}

function notice(
  context: NoticeContext,
  occasion: Notice['occasion'],
  about: NoticeFacts,
  more: Partial<Notice> = {},
): Notice {
  return { key: context.runId, epoch: 0, stage: 0, occasion, facts: about, ...more };
}

const started = (context: NoticeContext, at: string, reason: string): Notice =>
  notice(context, 'started', facts(context, at, { cause: reason }));

type Of<K extends RunEvent['kind']> = Extract<RunEvent, { kind: K }>;

function waits(context: NoticeContext, event: Of<'parked'> | Of<'gate-opened'>): Notice {
  const { step, item, at } = event;
  const { epoch, allowed } = event.data;
  if (event.kind === 'gate-opened') {
    const { because: cause, question: remedy } = event.data;
    return notice(context, 'gate', facts(context, at, { step, item, cause, remedy, allowed }), { epoch });
  }
  const { failure, remedy } = event.data;
  return notice(context, 'stuck', facts(context, at, { step, item, cause: failure.message, remedy, allowed }), {
    epoch,
  });
}

const minute = 60_000;
const day = 24 * 60 * minute;
const onFirstDay = [30 * minute, 120 * minute, 480 * minute];

/**
 * A reminder goes out with the first of its run's own (workflows/runner/reminders.ts) that comes after half an hour, two hours, eight
 * hours, and then once a day: with the usual first one of 15 minutes after 45 minutes, 3 h 45, 15 h 45, 31 h 45, and so on.
 */
export function reminderStage(waitingMs: number): number {
  if (waitingMs >= day) return onFirstDay.length + Math.floor(waitingMs / day);
  return onFirstDay.filter((limit) => waitingMs >= limit).length;
}

/** What is left out while somebody has taken it. After a day they may have forgotten: those reminders go out all the same. */
export const sparedByClaim = ({ stage, facts }: Notice): boolean =>
  facts.run !== null && stage > 0 && stage <= onFirstDay.length;

/** What it waits for stands in the parking's own notice: `asReminder` puts both together. */
function reminder(context: NoticeContext, { at, step, item, data }: Of<'reminded'>): Notice[] {
  const stage = reminderStage(data.waitingMs);
  if (stage === 0) return [];
  const sinceMs = Date.parse(at) - data.waitingMs;
  const since = Number.isNaN(sinceMs) ? at : new Date(sinceMs).toISOString();
  return [notice(context, 'stuck', facts(context, since, { step, item }), { epoch: data.epoch, stage })];
}

/** What a reminder or an escalation says of the parking that it is about. */
export function asReminder(first: Notice, later: Notice): Notice {
  const { occasion, facts: known } = first;
  return { ...later, occasion, facts: { ...known, remedy: later.facts.remedy || known.remedy } };
}

/** Beyond every stage that waiting alone reaches. */
export const escalationStage = 1_000_000;

function escalation(context: NoticeContext, { at, step, item, data }: Of<'escalated'>): Notice {
  const who = [...data.to.roles, ...data.to.people].join(', ');
  const remedy = `Nobody has answered in time. From now on these may answer, too: ${who}.`;
  return notice(context, 'gate', facts(context, at, { step, item, remedy }), {
    epoch: data.epoch,
    stage: escalationStage,
  });
}

function finished(context: NoticeContext, { at, data }: Of<'run-closed'>): Notice {
  return notice(context, 'finished', facts(context, at, { cause: data.summary, state: data.state }));
}

const short = (text: string): string => {
  const line = printable(text.slice(0, 4 * longestText)).trim();
  return line.length <= longestText ? line : `${line.slice(0, longestText - 1)}…`;
};
