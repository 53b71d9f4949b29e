/**
 * The report of a plan as plain JSON: what a coordinator signs and an auditor reads. From the plan's events and its children's rows;
 * each server's own report has the rest. Exceptions come first.
 */
import { formatDuration } from './durations';
import type { RunEvent } from './events';
import type { TimeLeft } from './estimate/time-left';
import type { Provenance } from './order';
import { planExceptions, type PlanException } from './plan-exceptions';
import { planRehearsed, type PlanRehearsed } from './plan-rehearsed';
import type { ChildRun } from './plan-view/child-run';
import { recoveredWords } from './plan-counts';
import { everyServer, planView, type HoldView, type PlanView } from './plan-view/plan-view';
import { stepCosts, type StepCost } from './plan-view/step-costs';
import type { PastPlan } from './plan-view/past-plan';
import type { Headline, Tone } from './report';
import { lostOf } from './report-headline';
import type { DecisionView, ParkingView, RefusalView } from './run-view';
import { toldViews, type Told, type ToldView } from './told';
import { isClosedRun, provingStep, type ProcedureDeclaration, type RunState } from './steps';

export type { PlanException };

export interface GateReport extends ParkingView {
  readonly title: string;
  /** In the order in which they were given; one that was taken back has it said. */
  readonly answers: readonly {
    readonly at: string;
    readonly by: Provenance;
    readonly act: string;
    readonly reason: string;
  }[];
}

export interface PlanReport extends Pick<
  PlanView,
  | 'runId'
  | 'order'
  | 'waves'
  | 'parts'
  | 'counts'
  | 'serverCount'
  | 'done'
  | 'tiers'
  | 'clocks'
  | 'openedAt'
  | 'closedAt'
> {
  readonly format: 1;
  readonly kind: 'plan';
  readonly generatedAt: string;
  readonly state: RunState;
  readonly closed: boolean;
  /** Of a run that is not closed, from past runs; null where nobody asked. */
  readonly timeLeft: TimeLeft | null;
  readonly headline: Headline;
  readonly exceptions: readonly PlanException[];
  readonly gates: readonly GateReport[];
  /** Open: what people are waited for now. */
  readonly waitingFor: readonly ParkingView[];
  readonly holds: readonly HoldView[];
  /** Oldest first; null: the store could not be asked; absent: nobody asked it. */
  readonly told?: readonly ToldView[] | null;
  /** null: no rehearsal. */
  readonly rehearsed: PlanRehearsed | null;
  readonly decisions: readonly DecisionView[];
  readonly refusals: readonly RefusalView[];
  readonly notes: PlanView['notes'];
  readonly costs: readonly StepCost[];
  /** Past runs of the same runbook, newest first. */
  readonly trend: readonly PastPlan[];
  /** null: not imported, and so not here; the hash says which it was. */
  readonly text: string | null;
  readonly versions: Readonly<Record<string, string>>;
  readonly journal: {
    readonly events: number;
    readonly headHash: string | null;
    readonly childHashes: Readonly<Record<string, string>>;
  };
}

export interface PlanReportContext {
  /** UTC; ends the clocks of a run that is open. */
  readonly generatedAt: string;
  readonly headHash: string | null;
  readonly versions: Readonly<Record<string, string>>;
  readonly children: readonly ChildRun[];
  readonly past: readonly { readonly plan: PastPlan; readonly children: readonly ChildRun[] }[];
  readonly text: string | null;
  readonly timeLeft?: TimeLeft | null;
  readonly told?: readonly Told[] | null;
}

/** @throws OperatorError when the events do not begin with `plan-opened`. */
export function planReport(
  events: readonly RunEvent[],
  declaration: ProcedureDeclaration,
  context: PlanReportContext,
): PlanReport {
  const { children, past, generatedAt, headHash, text } = context;
  const view = planView(events, declaration, children, generatedAt);
  const { runId, order, waves, parts, counts, serverCount, done, tiers, clocks, openedAt, closedAt, state } = view;
  const exceptions = planExceptions(view);
  return {
    ...{ format: 1, kind: 'plan', generatedAt, runId, state, closed: isClosedRun(state), openedAt, closedAt },
    timeLeft: context.timeLeft ?? null,
    headline: headlineOf(view, exceptions),
    exceptions,
    ...{ order, waves, parts, counts, serverCount, done, tiers, clocks },
    gates: gatesOf(view, events),
    waitingFor: view.parkings.filter(({ until }) => until === null),
    holds: view.holds,
    rehearsed: planRehearsed(view, events),
    ...(context.told === undefined ? {} : { told: toldViews(context.told, view.parkings) }),
    ...{ decisions: view.decisions, refusals: view.refusals, notes: view.notes },
    costs: stepCosts(
      children,
      // Rehearsals are no measure of recoveries, nor the other way round.
      past.flatMap((one) => (one.plan.mode === order.mode ? [one.children] : [])),
    ),
    trend: past.map((one) => one.plan),
    text,
    versions: { ...view.versions, ...context.versions },
    journal: { events: view.eventCount, headHash, childHashes: view.childHashes },
  };
}

function gatesOf({ parkings, order }: PlanView, events: readonly RunEvent[]): GateReport[] {
  return parkings
    .filter(({ kind }) => kind === 'gate')
    .map((parking) => {
      const name = order.plan.waves.find((wave) => wave.name === parking.item)?.gate ?? null;
      const title = (name === null ? undefined : order.plan.gates[name]?.title) ?? parking.step;
      return { ...parking, title, answers: events.flatMap((event) => answerOf(event, parking.epoch)) };
    });
}

/** The last approval is a decision, too: it is told once. */
function answerOf(event: RunEvent, epoch: number): GateReport['answers'][number][] {
  switch (event.kind) {
    case 'approved':
    case 'approval-withdrawn': {
      if (event.data.epoch !== epoch) return [];
      const act = event.kind === 'approved' ? 'approved' : 'took the approval back';
      return [{ at: event.at, by: event.by, act, reason: event.data.reason }];
    }
    case 'decided':
      if (event.data.epoch !== epoch) return [];
      return [{ at: event.at, by: event.by, act: `decided ${event.data.decision}`, reason: event.data.reason }];
    default:
      return [];
  }
}

function headlineOf(view: PlanView, exceptions: readonly PlanException[]): Headline {
  const { order, state, serverCount, done, clocks, undoBecause } = view;
  const verb = order.mode === 'rehearsal' ? 'Rehearsed' : 'Recovered';
  const took = `in ${formatDuration(clocks.elapsedMs)}`;
  const whole = view.tiers[0]!;
  const missed = [
    ...(whole.rpo.verdict === 'missed' ? [' The recovery point objective was missed.'] : []),
    ...(whole.rto.verdict === 'missed' ? [' The recovery time objective was missed.'] : []),
    ...view.tiers
      .slice(1)
      .flatMap(({ tier, rpo, rto }) =>
        rpo.verdict === 'missed' || rto.verdict === 'missed' ? [` Tier ${tier} missed its objective.`] : [],
      ),
  ].join('');
  const servers = `${done} of ${serverCount} servers`;
  switch (state) {
    case 'succeeded':
    case 'succeeded-with-exceptions': {
      // Its own end has the last word: what this list does not find was skipped all the same.
      const clean = exceptions.length === 0 && state === 'succeeded';
      const many = exceptions.length === 0 ? 'exceptions' : count(exceptions.length, 'exception');
      const title = clean ? `${verb} and proven` : `${verb}, with ${many}`;
      const tone: Tone = clean && missed === '' ? 'good' : 'warning';
      return { tone, title, sentence: `${order.runbook.title}: ${endWords(view)}, ${took}.${missed}` };
    }
    case 'aborted':
    case 'failed': {
      if (view.lost) return lostOf(view);
      const because = undoBecause === null ? '' : ` Reason: ${undoBecause}`;
      const left = exceptions.filter(({ kind }) => kind === 'not-undone').length;
      const undone = left === 0 ? 'What it had done was undone.' : `The undo of ${count(left, 'step')} was skipped.`;
      const title = `${state === 'aborted' ? 'Aborted' : 'Failed'}${left === 0 ? ' and undone' : ', not wholly undone'}`;
      return { tone: 'bad', title, sentence: `${order.runbook.title} was not recovered. ${undone}${because}` };
    }
    default:
      return {
        tone: state === 'running' ? 'open' : state === 'stuck' ? 'bad' : 'warning',
        title: openTitles[state],
        sentence: `This report was made before the run had ended: ${servers} are done.${missed}`,
      };
  }
}

/** Those of included runbooks at any depth with its own. */
function endWords(view: PlanView): string {
  const ended = everyServer(view).filter(({ stage }) => stage.startsWith('succeeded'));
  const unproven = ended.filter(({ skipped }) => skipped.includes(provingStep));
  const counted = `${ended.length} of ${view.serverCount} servers`;
  return recoveredWords({ counted, onlyServers: true, unproven: unproven.length }, view.order.mode);
}

const openTitles = {
  running: 'Still running',
  waiting: 'Waiting for a decision',
  held: 'Held by people',
  stuck: 'Stuck: waits for a decision',
  undoing: 'Being undone',
} as const;

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;
