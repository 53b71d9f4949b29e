/**
 * Opens a run, conducts a procedure through rewinds and abort, and closes the run when its journal is complete.
 *
 * Everything here is shielded from Temporal's own cancel, which is anonymous: it is taken as an abort from outside
 * Muster and recorded as such.
 */
import { allHandlersFinished, CancellationScope, condition, setHandler } from '@temporalio/workflow';
import { correctOrder, type CorrectableInput, type Provenance, type RecoveryOrder } from '../../model/order';
import type { ProcedureDeclaration, RunState } from '../../model/steps';
import { holdUpdate } from '../messages';
import { rulesOfRecovery, type RunRules } from './access';
import { settle, type Settled } from './attempts';
import { hearPeople } from './hearing';
import { refuse } from './parkings';
import { Interrupted, keyOf, Run, type GaveUp, type Interrupt, type RunOrder, type Undo } from './run';

export interface RunOutcome {
  readonly runId: string;
  readonly state: RunState;
  readonly summary: string;
  /** Last hash of the run's chain, its closing event included. Absent: of an earlier version. */
  readonly headHash?: string;
  /** A rehearsal that was aborted for a recovery: its reason, and by which run. The plan that it belongs to does the same. */
  readonly gaveWay?: { readonly reason: string; readonly by: Provenance };
  /** Of one that has failed. Absent: of an earlier version. */
  readonly gaveUp?: GaveUp;
  /** What was not undone, by decision, in words. Absent: nothing. */
  readonly left?: readonly string[];
}

/** Result of the undo of a whole run: what of it was left, by decisions in that run. */
export interface LeftBehind {
  readonly left: readonly string[];
}

/** What differs between an order for a server and one for a plan. */
export interface OrderKind<O extends RunOrder> {
  /** The order with what people corrected. */
  readonly corrected: (order: O, input: CorrectableInput) => O;
  /** Who may decide, and which acts two have to see. */
  readonly rules: (order: O) => RunRules;
  /** Emits the first event of the record. */
  readonly open: (run: Run<O>) => void;
  /** In which order the undos are done. Default: one after the other, the last registered first. */
  readonly unwind?: Unwind<O>;
  /** What else is done when the whole run is undone; asked once, as it begins. */
  readonly aroundUndo?: (run: Run<O>) => AroundUndo<O> | null;
}

/** Done before and after one undo; `left`: those that are still to come. Each: what people gave up of it, in words. */
export interface AroundUndo<O extends RunOrder> {
  readonly before: (undo: Undo<O>) => Promise<string[]>;
  readonly after: (undo: Undo<O>, left: readonly Undo<O>[]) => Promise<string[]>;
}

type Unwind<O extends RunOrder> = (
  order: O,
  undos: readonly Undo<O>[],
  undoOne: (undo: Undo<O>) => Promise<void>,
) => Promise<void>;

async function lastFirst<O extends RunOrder>(
  _order: O,
  undos: readonly Undo<O>[],
  undoOne: (undo: Undo<O>) => Promise<void>,
): Promise<void> {
  for (const undo of [...undos].reverse()) await undoOne(undo);
}

const recoveryOrders: OrderKind<RecoveryOrder> = {
  corrected: correctOrder,
  rules: rulesOfRecovery,
  open: (run) =>
    run.emit(
      'run-opened',
      { order: run.order, declaration: run.declaration.name, versions: { temporalSdk: '1.24.0' } },
      { by: run.order.requestedBy },
    ),
};

/** Conducts a recovery of one server. */
export function conduct(
  order: RecoveryOrder,
  declaration: ProcedureDeclaration,
  procedure: (run: Run) => Promise<string>,
  more: Pick<OrderKind<RecoveryOrder>, 'aroundUndo'> = {},
): Promise<RunOutcome> {
  refuseHolds();
  return conductAny(order, declaration, { ...recoveryOrders, ...more }, procedure);
}

/** One server's recovery is a line of steps: there is nothing in it that could wait for its turn. */
function refuseHolds(): void {
  const message =
    'The recovery of one server cannot be held. Hold the plan that it belongs to, or the server in it; or abort.';
  const refused = (): never => refuse('NotAllowed', message);
  setHandler(holdUpdate, (_request): { accepted: true } => refused(), { validator: (_request) => refused() });
}

export function conductAny<O extends RunOrder>(
  order: O,
  declaration: ProcedureDeclaration,
  kind: OrderKind<O>,
  procedure: (run: Run<O>) => Promise<string>,
): Promise<RunOutcome> {
  const root = CancellationScope.current();
  return CancellationScope.nonCancellable(async () => {
    const run = openRun(order, declaration, kind);
    root.cancelRequested.catch(() => cancelFromOutside(run));
    const inOrder = kind.unwind ?? lastFirst;
    const summary = await runThrough(run, procedure, inOrder);
    if (summary === null) {
      const undone = await undoAll(run, kind, inOrder);
      return close(run, run.hasGivenUp ? 'failed' : 'aborted', undone);
    }
    const left = run.leftByRuns();
    const isGood = !run.hasExceptions && left.length === 0;
    const words = [summary, ...leftWords(left)].join(' ');
    return close(run, isGood ? 'succeeded' : 'succeeded-with-exceptions', { summary: words, left });
  });
}

/** Never throws: nobody would catch it, and the run would hang on its own refusal. */
function cancelFromOutside<O extends RunOrder>(run: Run<O>): void {
  if (run.phase === 'closed') return;
  if (run.phase === 'forward' && !run.irrevocable && !isAborted(run)) {
    return run.abort("Cancelled from outside Muster, by Temporal's own cancel.", outside(run.order));
  }
  const message = 'A cancel from outside Muster was not followed: the run is being undone or is final.';
  run.emit('noted', { message });
}

function openRun<O extends RunOrder>(order: O, declaration: ProcedureDeclaration, kind: OrderKind<O>): Run<O> {
  const self: Provenance = {
    actor: { kind: 'workflow', id: order.runId, name: declaration.name },
    authMethod: 'internal',
    requestId: order.requestedBy.requestId,
    address: '',
  };
  const run = new Run(order, declaration, self, kind.corrected, kind.rules(order));
  hearPeople(run);
  kind.open(run);
  return run;
}

/** The procedure, again from its top after every rewind; null when it was aborted. */
async function runThrough<O extends RunOrder>(
  run: Run<O>,
  procedure: (run: Run<O>) => Promise<string>,
  inOrder: Unwind<O>,
): Promise<string | null> {
  for (;;) {
    try {
      const summary = await procedure(run);
      // An abort accepted while the last step ended by itself: it was promised to a person.
      if (run.interrupt === null) return summary;
    } catch (error) {
      if (!(error instanceof Interrupted) || run.interrupt === null) throw error;
    }
    if (run.interrupt.kind === 'rewind') await rewind(run, run.interrupt, inOrder);
    if (isAborted(run)) return null;
  }
}

const isAborted = (run: { readonly interrupt: Interrupt | null }): boolean => run.interrupt?.kind === 'abort';

async function rewind<O extends RunOrder>(
  run: Run<O>,
  { to, input }: Extract<Interrupt, { kind: 'rewind' }>,
  inOrder: Unwind<O>,
): Promise<void> {
  const target = run.indexOf(to);
  const from = Math.max(...[...run.memory.keys()].map((key) => run.indexOf(key.split('/')[0]!)), target);
  run.emit('rewound', { from: run.declaration.steps[from]!.id, to }, { step: to });
  await unwind(run, (step) => run.indexOf(step) >= target, inOrder);
  run.forgetFrom(to);
  if (isAborted(run)) return;
  if (input !== null) run.correct(input);
  run.interrupt = null;
}

/** Undoes, each with the same loop around it as a step, so that it can be stuck like one. What people gave up, in words. */
async function unwind<O extends RunOrder>(
  run: Run<O>,
  included: (step: string) => boolean,
  inOrder: Unwind<O>,
  around: AroundUndo<O> | null = null,
): Promise<string[]> {
  const given: string[] = [];
  const undos = run.undos.filter(({ step }) => included(step));
  await inOrder(run.order, undos, async (undo) => {
    if (around !== null) given.push(...(await around.before(undo)));
    const settled = await settle(run, undo, undo.act, true);
    const { noted } = (settled.skipped ? {} : (settled.value ?? {})) as { readonly noted?: string };
    if (noted !== undefined) run.emit('noted', { message: noted }, { step: undo.step, item: undo.item ?? undefined });
    run.undos.splice(run.undos.indexOf(undo), 1);
    given.push(...leftBy(settled).map((words) => `${keyOf(undo)}: ${words}`));
    run.emit('step-undone', {}, { step: undo.step, item: undo.item ?? undefined });
    if (around !== null) given.push(...(await around.after(undo, run.undos)));
  });
  return given;
}

/** A skipped undo leaves all of it, the undo of a run what its own people left. */
function leftBy(settled: Settled<unknown>): readonly string[] {
  if (settled.skipped) return [settled.reason];
  const { left } = (settled.value ?? {}) as Partial<LeftBehind>;
  return Array.isArray(left) ? left : [];
}

interface Ended extends LeftBehind {
  readonly summary: string;
}

async function undoAll<O extends RunOrder>(run: Run<O>, kind: OrderKind<O>, inOrder: Unwind<O>): Promise<Ended> {
  const reason = run.interrupt?.kind === 'abort' ? run.interrupt.reason : 'unknown';
  run.phase = 'undoing';
  run.emit('undo-started', { because: reason });
  const given = await unwind(run, () => true, inOrder, kind.aroundUndo?.(run) ?? null);
  // Of a server that was started again only the last run is undone.
  const left = [...new Set([...given, ...run.leftByRuns()])];
  const words = run.hasGivenUp ? reason : `Aborted: ${reason}`;
  // Most people give a reason as a phrase.
  const base = /[.!?]$/.test(words) ? words : `${words}.`;
  const [end = 'Everything was undone.'] = leftWords(left);
  return { summary: `${base} ${end}`, left };
}

const leftWords = (left: readonly string[]): string[] =>
  left.length === 0 ? [] : [`Not undone, by decision: ${left.join('; ')}.`];

async function close<O extends RunOrder>(run: Run<O>, state: RunState, { summary, left }: Ended): Promise<RunOutcome> {
  run.phase = 'closed';
  run.closedAs = state;
  run.emit('run-closed', { state, summary, childHashes: run.childHashes() });
  await run.journal.close();
  await condition(allHandlersFinished);
  const outcome = { runId: run.order.runId, state, summary, headHash: run.journal.headHash, ...whyEnded(run) };
  return left.length === 0 ? outcome : { ...outcome, left };
}

function whyEnded({ interrupt }: { readonly interrupt: Interrupt | null }): Pick<RunOutcome, 'gaveWay' | 'gaveUp'> {
  if (interrupt?.kind !== 'abort') return {};
  const { reason, by, gaveUp, gaveWay } = interrupt;
  return { ...(gaveWay === true ? { gaveWay: { reason, by } } : {}), ...(gaveUp === undefined ? {} : { gaveUp }) };
}

const outside = (order: RunOrder): Provenance => ({
  actor: { kind: 'workflow', id: 'temporal', name: 'outside Muster' },
  authMethod: 'none',
  requestId: order.requestedBy.requestId,
  address: '',
});
