/** The runs that a plan starts, of servers and of included runbooks: started, told what to do, and waited for. */
import {
  CancellationScope,
  CancelledFailure,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  patched,
  startChild,
  workflowInfo,
  WorkflowIdReusePolicy,
} from '@temporalio/workflow';
import { type ApplicationFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Outcome } from '../activities/contract';
import type { Provenance } from '../model/order';
import type { PlanHeld, PlanOrder } from '../model/plan';
import type { NodeId } from '../model/runbook/graph';
import {
  childGaveUpSignal,
  childProvenSignal,
  childWaitsSignal,
  planHeldSignal,
  verdictSignal,
  workflowQueue,
  type ChildWaits,
  type Verdict,
  type WaitingChild,
} from './messages';
import { ChildWords } from './child-words';
import { aborted, endedBadly, failed, occupied, recorded } from './plan-failures';
import { leftByRun, type Child, type ChildStanding, type Finished, type Recovered } from './plan-child';
import type { ChildOrder } from './plan-orders';
import type { LeftBehind, RunOutcome } from './runner/conduct';
import type { GaveUp } from './runner/run';
import { Turns } from './turns';
import { Wake } from './wake';

/** Commands of one workflow task travel in one message of at most 4 MB; an order is some kilobytes. */
const startsAtOnce = 100;
const signalsAtOnce = 500;

export class ChildRuns {
  /** The latest run of each. */
  private readonly latest = new Map<NodeId, Child>();
  private readonly words = new ChildWords();
  private readonly starts = new Turns(startsAtOnce);
  private readonly signals = new Turns(signalsAtOnce);

  /** Called when something of a run begins to wait for people, and, with null, when nothing does any more. */
  onWaits: (name: string, runId: string, waits: ChildWaits | null) => void = () => undefined;
  /** Called when a rehearsal of these has ended for a recovery of its server, unless all of them were told to end before. */
  onGaveWay: (why: NonNullable<RunOutcome['gaveWay']>) => void = () => undefined;
  /** Called when a run that the plan cannot do without has given up, in a plan that gives up itself. */
  onGaveUp: (id: NodeId, name: string, why: GaveUp) => void = () => undefined;
  /** Called when a run is over, however it ended. */
  onOver: (id: NodeId, runId: string) => void = () => undefined;
  /** Those whose start is under way: they hear of what people hold when they have started. */
  readonly starting = new Set<NodeId>();
  private isFinishing = false;
  private started = false;
  /** What included plans are told. */
  private held: PlanHeld;

  constructor(private readonly order: PlanOrder) {
    this.held = { n: 0, held: false, reason: '', by: this.self };
    this.words.hear(childProvenSignal, (child, { shown = null }) => {
      child.proven = true;
      child.shown = shown;
      child.provenOrOver.wake();
    });
    this.words.hear(childGaveUpSignal, (child) => {
      child.gaveUp = true;
      child.givesUp.wake();
    });
    this.words.hear(childWaitsSignal, (child, { runId, waits }) => {
      child.waits = waits;
      if (waits !== null) child.nextWait.wake();
      this.onWaits(child.name, runId, waits);
    });
  }

  /** null: not started. */
  standing(id: NodeId): ChildStanding | null {
    const child = this.latest.get(id);
    return child === undefined
      ? null
      : { proven: child.proven, shown: child.shown, state: child.outcome?.state ?? null };
  }

  /** Those of which something waits for people now. */
  waiting(): WaitingChild[] {
    return [...this.latest.values()].flatMap(({ name, runId, waits, outcome }) =>
      waits === null || outcome !== null ? [] : [{ name, runId, ...waits }],
    );
  }

  /** Those that go on waiting when the plan is aborted now: they are cleaned up already. */
  waitingStill(): WaitingChild[] {
    return this.isFinishing ? this.waiting() : [];
  }

  /**
   * Resolves when it waits for people in its undo already, or begins to wait for them, in a rehearsal: what it depends on is not kept
   * waiting with it, for the machines reach nobody, and who cleans up after a good rehearsal keeps no order either. Never in a recovery.
   */
  async stuckInUndo(id: NodeId): Promise<void> {
    const child = this.latest.get(id);
    if (child === undefined || this.order.mode === 'recovery') return new Promise(() => undefined);
    // Earlier versions waited for the next time alone.
    if (child.waits?.undo === true && patched(`stuck-already-${child.runId}`)) return;
    do {
      child.nextWait = new Wake();
      await child.nextWait.promise;
      // What waits on the way forward has not heard yet that it is undone. Earlier versions took it for stuck.
    } while (child.waits?.undo === false && patched(`stuck-in-undo-alone-${child.runId}`));
    // A history of an earlier version waits for each.
    if (!patched('undone-past-the-stuck')) return new Promise(() => undefined);
  }

  /** Last hash of each run's chain, of all that were ever started and are over. */
  hashes(): Record<string, string> {
    const over = this.words
      .all()
      .flatMap(({ runId, outcome }) => (outcome?.headHash === undefined ? [] : [[runId, outcome.headHash] as const]));
    return Object.fromEntries(over);
  }

  /**
   * One attempt: a run of its own, until it is proven. What can be done without may fail; that is a result, too, and its undo is not waited
   * for: it may be stuck.
   */
  async recover(child: ChildOrder): Promise<Outcome<Recovered>> {
    const startedMs = Date.now();
    const run = this.stillOpen(child.id) ?? (await this.start(child));
    const ends = [run.provenOrOver.promise, CancellationScope.current().cancelRequested];
    await Promise.race(child.dispensableMs === null ? ends : [...ends, run.givesUp.promise]);
    if (run.gaveUp && run.outcome === null && !run.proven) {
      if (patched(`goes-on-without-${run.runId}`))
        return recorded({ runId: run.runId, state: 'failed' }, run.workflowId, startedMs);
      // Histories of earlier versions wait until it is over.
      await Promise.race(ends);
    }
    const state = run.outcome?.state ?? 'proven';
    if (run.outcome !== null && !(state === 'failed' && child.dispensableMs !== null))
      throw this.ended(child, run.outcome);
    return recorded({ runId: run.runId, state }, run.workflowId, startedMs);
  }

  /** A plan that goes back to a step behind it waits for the run that it has: a second one of the same server could never begin. */
  private stillOpen(id: NodeId): Child | null {
    const child = this.latest.get(id);
    if (child === undefined || child.outcome !== null || !patched(`goes-on-with-${child.runId}`)) return null;
    return child;
  }

  /** What cannot be gone without has ended. Where it gave up, people have been waited for: nobody is asked a second time. */
  private ended(order: ChildOrder, { runId, state, summary, gaveUp }: RunOutcome): ApplicationFailure {
    const { id, name } = order;
    const { giveUpAfterMs } = this.order;
    if (state !== 'failed' || giveUpAfterMs === undefined) return endedBadly(order, { runId, state, summary });
    this.onGaveUp(id, name, gaveUp ?? { afterMs: giveUpAfterMs, cause: summary });
    return endedBadly(order, { runId, state, summary }, 'then rehearse again.');
  }

  /** Whether it runs and is not proven yet. */
  isOpen(id: NodeId): boolean {
    const child = this.latest.get(id);
    return child !== undefined && !child.proven && child.outcome === null;
  }

  /** Included plans that run are told; one that is started from now on starts as it is said here. */
  holdPlans(held: boolean, reason: string): void {
    this.held = { n: this.held.n + 1, held, reason, by: this.self };
    for (const child of this.latest.values()) void this.tellHeld(child);
  }

  private async tellHeld(child: Child): Promise<void> {
    if (!child.id.startsWith('include:')) return;
    await this.signals.take(async () => {
      if (child.outcome !== null) return;
      await getExternalWorkflowHandle(child.workflowId)
        .signal(planHeldSignal, this.held)
        .catch(() => undefined);
    });
  }

  /** What the order says of the start alone: at the first call, and nothing at any other, for a plan that goes back starts once. */
  takeStart(): Pick<PlanOrder, 'startsHeld'> {
    const { startsHeld } = this.started ? {} : this.order;
    this.started = true;
    return startsHeld === undefined ? {} : { startsHeld };
  }

  /** Tells the run to undo, and whether for a recovery; waits until it has; says what it left by decision. */
  async undo(id: NodeId, gaveWay: boolean): Promise<Outcome<LeftBehind>> {
    const startedMs = Date.now();
    const child = this.latest.get(id);
    if (child === undefined) return recorded({ left: [] }, id, startedMs);
    await this.tell(child, 'roll-back', 'The plan that it belongs to is undone.', gaveWay);
    await child.over.promise;
    // A rehearsal that ended well has cleaned up: there is nothing of it to undo.
    if (this.order.mode === 'recovery' && child.outcome!.state.startsWith('succeeded')) {
      throw failed(
        `${child.name} cannot be undone: its run ${child.runId} is final`,
        'Shut its machines down by hand if they must go, then skip this undo with that reason.',
      );
    }
    return recorded({ left: child.outcome!.left ?? [] }, child.workflowId, startedMs);
  }

  /** What any run left by decision, also one that was started again since, or that the plan went on without. */
  left(): string[] {
    return [...new Set(this.words.all().flatMap(leftByRun))];
  }

  /** Tells all that are open, and waits until they are over. */
  async finish(verdict: 'commit' | 'clean-up', reason: string): Promise<Outcome<Finished>> {
    const startedMs = Date.now();
    this.isFinishing = true;
    const open = [...this.latest.values()].filter((child) => child.outcome === null);
    const scope = CancellationScope.current();
    // Shielded: what is over is over for all of them, also where an abort comes meanwhile.
    await CancellationScope.nonCancellable(() => Promise.all(open.map((child) => this.tell(child, verdict, reason))));
    const over = Promise.all(open.map((child) => child.over.promise));
    await Promise.race([over, aborted(scope, over)]);
    // Also one that was proven and was ended by itself before the plan was.
    const failed = [...this.latest.values()]
      .filter(({ outcome }) => outcome?.state.startsWith('succeeded') === false)
      .map(({ name }) => name);
    const withExceptions = [...this.latest.values()]
      .filter(({ outcome }) => outcome?.state === 'succeeded-with-exceptions')
      .map(({ name }) => name);
    return recorded({ failed, withExceptions }, workflowInfo().workflowId, startedMs);
  }

  /** @throws ApplicationFailure `OperatorError` when another run holds the server. */
  private start(order: ChildOrder): Promise<Child> {
    const scope = CancellationScope.current();
    this.starting.add(order.id);
    const started = this.starts.take(async () => {
      if (scope.consideredCancelled) throw new CancelledFailure('The plan was aborted before this was started.');
      // Shielded: an abort of the plan tells the run to undo itself, it does not cancel it.
      return CancellationScope.nonCancellable(() => this.startNow(order));
    });
    started.catch(() => this.starting.delete(order.id));
    return started;
  }

  private async startNow(order: ChildOrder): Promise<Child> {
    const { id, name, runId, workflowId, workflowType, workflowTaskTimeout, args, memo } = order;
    const before = this.held;
    const startsHeld = before.held && id.startsWith('include:') ? { startsHeld: before } : {};
    const options = {
      ...{ workflowId, taskQueue: workflowQueue, args: [{ ...args[0], ...startsHeld }], memo: { ...memo } },
      ...(workflowTaskTimeout === undefined ? {} : { workflowTaskTimeout }),
      parentClosePolicy: ParentClosePolicy.ABANDON,
      workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
    };
    const handle = await startChild(workflowType, options).catch(async (error: unknown) => {
      throw error instanceof WorkflowExecutionAlreadyStartedError ? await occupied(order) : error;
    });
    const wakes = { provenOrOver: new Wake(), givesUp: new Wake(), over: new Wake(), nextWait: new Wake() };
    const fresh = { proven: false, gaveUp: false, shown: null, outcome: null, waits: null };
    const child: Child = { id, name, runId, workflowId, ...fresh, ...wakes };
    this.starting.delete(id);
    this.latest.set(id, child);
    this.words.know(child);
    if (this.held !== before) void this.tellHeld(child);
    const lost: RunOutcome = { runId, state: 'aborted', summary: 'It was ended outside Muster.' };
    const end = (outcome: RunOutcome): void => {
      child.outcome = outcome;
      this.onOver(id, runId);
      if (outcome.gaveWay !== undefined && !this.isFinishing) this.onGaveWay(outcome.gaveWay);
      child.provenOrOver.wake();
      child.over.wake();
    };
    handle.result().then(
      (outcome) => end(outcome as RunOutcome),
      () => end(lost),
    );
    return child;
  }

  /** As which the plan speaks to its runs. */
  private get self(): Provenance {
    const { runId, requestedBy, runbook } = this.order;
    const actor = { kind: 'workflow' as const, id: runId, name: `plan ${runbook.name}` };
    return { actor, authMethod: 'internal', requestId: requestedBy.requestId, address: '' };
  }

  private async tell(child: Child, verdict: Verdict['verdict'], reason: string, gaveWay = false): Promise<void> {
    const by = this.self;
    await this.signals.take(async () => {
      if (child.outcome !== null) return;
      // One that has just ended cannot be told any more; that it has ended is seen by who waits for it.
      await getExternalWorkflowHandle(child.workflowId)
        .signal(verdictSignal, { verdict, runId: child.runId, reason, by, ...(gaveWay ? { gaveWay } : {}) })
        .catch(() => undefined);
    });
  }
}
