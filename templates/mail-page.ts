/** What a mail says, from the notices in it: what and where first, then cause, remedy, since when, and how to act. */
import { formatDuration, formatTime, millisecondsBetween } from '../model/durations';
import { assertNever } from '../model/errors';
import { shortId } from '../model/ids';
import type { Notice, NoticeFacts } from '../model/notify/notice';
import type { Tone } from '../model/report';
import { runWords } from './words';

export interface MailFacts {
  /** At least one. */
  readonly notices: readonly Notice[];
  /** Where people reach Muster, without a slash at its end; null: no links. */
  readonly publicUrl: string | null;
  /** UTC. */
  readonly now: string;
}

export interface MailPage {
  readonly subject: string;
  readonly kind: string;
  readonly tone: Tone | 'quiet';
  readonly heading: string;
  readonly groups: readonly MailGroup[];
  readonly commands: readonly string[];
  readonly foot: string;
  readonly css: string;
}

interface MailGroup {
  readonly cause: string;
  readonly remedy: string;
  readonly rows: readonly { readonly where: string; readonly since: string; readonly link: string }[];
  readonly more: number;
}

/** Lines of one list: more are counted. */
const mostRows = 100;
const longestSubject = 160;

export function mailPage(facts: MailFacts, css: string): MailPage {
  const { notices } = facts;
  const byCause = groupsOf(notices);
  const groups = byCause.map((group) => mailGroup(group, facts));
  const first = notices[0]!;
  const { kind, tone } = kindOf(first);
  const oneKind = notices.every((notice) => kindOf(notice).kind === kind);
  const heading = notices.length === 1 ? headingOfOne(first) : headingOfMany(notices, byCause.length, oneKind);
  const cause = byCause.length === 1 && saysItsCause(first) ? commonCause(notices) : '';
  return {
    ...{ kind: oneKind ? kind : 'Several', tone: oneKind ? tone : 'bad', heading, groups, css },
    subject: shorten(subjectOf(heading, cause, notices.length), longestSubject),
    commands: commandsOf(notices),
    foot: 'Sent by Muster. A link in this mail asks for a login and does nothing by itself. A browser cannot log in: `muster report RUN` writes the page that a link stands for.',
  };
}

function kindOf({ occasion, stage, facts }: Notice): { kind: string; tone: Tone | 'quiet' } {
  switch (occasion) {
    case 'started':
      return { kind: 'Started', tone: 'quiet' };
    case 'stuck':
      return { kind: stage > 0 ? 'Still stuck' : 'Stuck', tone: 'bad' };
    case 'gate':
      return { kind: stage > 0 ? 'Still waits for a decision' : 'Waits for a decision', tone: 'warning' };
    case 'finished': {
      const state = facts.state ?? 'succeeded';
      const tone = state === 'succeeded' ? 'good' : state === 'succeeded-with-exceptions' ? 'warning' : 'bad';
      return { kind: capital(runWords[state]), tone };
    }
    case 'objective-at-risk':
      return { kind: 'Objective at risk', tone: 'warning' };
    case 'rehearsal-due':
      if (facts.over) return { kind: 'No rehearsal due any more', tone: 'good' };
      return { kind: stage > 0 ? 'Rehearsal needed now' : 'Rehearsal due', tone: 'warning' };
    case 'risk':
      if (facts.over) return { kind: 'Risk gone', tone: 'good' };
      return stage > 0 ? { kind: 'Risk, worse now', tone: 'bad' } : { kind: 'Risk', tone: 'warning' };
    default:
      return assertNever(occasion);
  }
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function headingOfOne(notice: Notice): string {
  return `${kindOf(notice).kind}: ${whereOf(notice.facts)}${rehearsal([notice])}`;
}

/** Of the others the name says enough. */
const saysItsCause = ({ occasion }: Notice): boolean => occasion !== 'finished' && occasion !== 'started';

function subjectOf(heading: string, cause: string, count: number): string {
  if (cause === '') return heading;
  return count === 1 ? `${heading}: ${cause}` : `${heading} on: ${cause}`;
}

function headingOfMany(notices: readonly Notice[], causes: number, oneKind: boolean): string {
  const count = notices.length;
  const [{ facts, occasion }] = notices as [Notice];
  if (!oneKind) return `${count} messages on ${causes} causes${rehearsal(notices)}`;
  const things = occasion === 'stuck' && facts.run?.procedure !== 'plan' ? 'servers' : 'times';
  const kind = kindOf(notices[0]!).kind;
  const what =
    things === 'servers' ? `${count} servers ${kind.toLowerCase()}` : `${count} times: ${kind.toLowerCase()}`;
  return causes > 1 ? `${what} on ${causes} causes${rehearsal(notices)}` : `${what}${rehearsal(notices)}`;
}

const rehearsal = (notices: readonly Notice[]): string =>
  notices.every(({ facts }) => facts.run?.mode === 'rehearsal') ? ' (rehearsal)' : '';

/** The first one's, without what only it has. */
function commonCause(notices: readonly Notice[]): string {
  const { name, cause } = notices[0]!.facts;
  return notices.length === 1 || name === '' ? cause : cause.replaceAll(name, '…');
}

function whereOf({ name, step, item }: NoticeFacts): string {
  if (step === null) return name;
  return `${name} at ${step}${item === null ? '' : `/${item}`}`;
}

/** As digest.ts chose them, the largest first. */
function groupsOf(notices: readonly Notice[]): Notice[][] {
  const groups = new Map<string, Notice[]>();
  for (const notice of notices) {
    const { name, cause } = notice.facts;
    const key = `${kindOf(notice).kind} ${cause.replaceAll(name === '' ? '\n' : name, '…').replace(/[0-9]+/g, '#')}`;
    groups.set(key, [...(groups.get(key) ?? []), notice]);
  }
  return [...groups.values()].sort((a, b) => b.length - a.length);
}

function mailGroup(notices: readonly Notice[], { publicUrl, now }: MailFacts): MailGroup {
  const rows = notices.slice(0, mostRows).map(({ facts, occasion }) => ({
    where: facts.run === null ? whereOf(facts) : `${whereOf(facts)} (run …${shortId(facts.run.runId)})`,
    since: sinceWords(facts, occasion, now),
    link: linkOf(facts, publicUrl),
  }));
  const { remedy } = notices[0]!.facts;
  return { cause: commonCause(notices), remedy, rows, more: Math.max(0, notices.length - mostRows) };
}

function sinceWords({ since }: NoticeFacts, occasion: Notice['occasion'], now: string): string {
  const at = formatTime(since).replace(/\.\d+ UTC$/, ' UTC');
  if (occasion === 'finished' || occasion === 'started') return at;
  return `since ${at} (${formatDuration(millisecondsBetween(since, now))})`;
}

/** The run's report: it asks for a login like everything else. */
function linkOf({ run }: NoticeFacts, publicUrl: string | null): string {
  return run === null || publicUrl === null ? '' : `${publicUrl}/api/v1/runs/${encodeURIComponent(run.runId)}/report`;
}

function commandsOf(notices: readonly Notice[]): string[] {
  if (notices.length > 1) {
    const has = (...wanted: Notice['occasion'][]): boolean => notices.some(({ occasion }) => wanted.includes(occasion));
    return [
      ...(has('stuck', 'gate') ? ['muster stuck'] : []),
      ...(has('risk', 'rehearsal-due') ? ['muster readiness'] : []),
    ];
  }
  const { run, allowed } = notices[0]!.facts;
  if (run === null) return ['muster readiness'];
  const id = shortId(run.runId);
  const answer = (decision: string) =>
    `muster ${decision} ${id}${decision === 'provide' ? ' --set FIELD=VALUE' : ''} --reason '…'`;
  return [`muster show ${id}`, ...allowed.map(answer)];
}

function shorten(text: string, longest: number): string {
  const characters = [...text];
  return characters.length <= longest ? text : `${characters.slice(0, longest - 1).join('')}…`;
}
