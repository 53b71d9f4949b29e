/**
 * One run: the only place where a step runs (design, section 5). A step is announced, attempted, recorded; when it fails
 * it is tried again by class, then parked until a person decides. A procedure is a function over this object.
 *
 * Going back to an earlier step re-enters the procedure from its top: steps that are still done answer from memory, the
 * others run. So a procedure stays straight-line code, and it must not act on the world outside `step` and `eachDisk`.
 */
import { CancellationScope } from '@temporalio/workflow';
import type { Outcome } from '../../activities/contract';
import type { EventData, EventKind, RunEvent } from '../../model/events';
import { formatDuration } from '../../model/durations';
import type { CorrectableInput, Provenance, RecoveryOrder } from '../../model/order';
import type { Effect, ProcedureDeclaration, RunState, StepDeclaration } from '../../model/steps';
import { declarationOfScript, isScriptItem } from '../../model/runbook/script-places';
import type { DiskId } from '../../model/server';
import type { HalfDecision } from '../../model/waiting';
import { refuse, Parkings } from './parkings';
import { nextAnswer } from './batches';
import { RunJournal } from './journal';
import { logEvent } from './log';
import type { LiveRun, WaitingChild } from '../messages';
import type { RunRules } from './access';
import type { PlansVerdict } from './verdict';

export interface Place {
  readonly step: string;
  readonly item: string | null;
}

/** What every order says, whatever the procedure. */
export type RunOrder = Pick<
  RecoveryOrder,
  | 'runId'
  | 'tenantId'
  | 'coreId'
  | 'mode'
  | 'requestedBy'
  | 'reason'
  | 'retry'
  | 'reminderMs'
  | 'partOf'
  | 'giveUpAfterMs'
> &
  Pick<Partial<RecoveryOrder>, 'inoculate'>;

/** What one attempt of an effect gets: its name and the order as corrected so far. */
export interface Input<O> {
  readonly effect: Effect;
  readonly order: O;
}

export type Act<T, O = RecoveryOrder> = (input: Input<O>) => Promise<Outcome<T>>;

/** Something done that can be undone; registered before the effect, because an effect can fail half-way. */
export interface Undo<O> extends Place {
  readonly act: Act<unknown, O>;
}

export type Interrupt =
  /** `gaveUp`: nobody decided in the time that the order gives, so it has failed. `gaveWay`: a rehearsal, to a recovery. */
  | {
      readonly kind: 'abort';
      readonly reason: string;
      readonly by: Provenance;
      readonly gaveUp?: GaveUp;
      readonly gaveWay?: true;
    }
  /** `input` takes effect after the undoing: what was done under the order as it was is undone under the same order. */
  | { readonly kind: 'rewind'; readonly to: string; readonly input: CorrectableInput | null };

/** Given up: how long people were waited for, and for what. */
export interface GaveUp {
  readonly afterMs: number;
  readonly cause: string;
}

/** Thrown through the procedure by an interrupt; caught by conduct() alone. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

export type Remembered = { readonly value: unknown; readonly exception: boolean };

export class Run<O extends RunOrder = RecoveryOrder> {
  readonly journal: RunJournal;
  readonly parkings: Parkings;
  readonly undos: Undo<O>[] = [];
  readonly memory = new Map<string, Remembered>();
  readonly scopes = new Set<CancellationScope>();
  private readonly attempts = new Map<string, number>();
  private readonly announced = new Set<string>();
  interrupt: Interrupt | null = null;
  phase: 'forward' | 'undoing' | 'closed' = 'forward';
  /** Set when a step began that cannot be taken back: abort is refused from here on. */
  irrevocable = false;
  closedAs: RunState | null = null;
  /** The step from which on what was done is taken down, or made final, for good: nobody can go back behind it. */
  noWayBackFrom: string | null = null;
  /** Of a plan: whether people hold something of it and nothing runs; its runs that wait for people; their chains' last hashes. */
  isHeld: () => boolean = () => false;
  waitingChildren: () => WaitingChild[] = () => [];
  childHashes: () => Record<string, string> = () => ({});
  /** Of a plan: what any of its runs left by decision, in words. */
  leftByRuns: () => readonly string[] = () => [];
  /** Of a plan: its runs that go on waiting for people when it is aborted now. */
  stillWaiting: () => WaitingChild[] = () => [];
  /** As part of a plan: what it hears of it (verdict.ts). */
  plansVerdict: PlansVerdict | null = null;
  /** An abort that needs four eyes and has two. */
  halfAbort: HalfDecision | null = null;
  order: O;
  private token = 0;
  private lastAt = '';

  constructor(
    order: O,
    readonly declaration: ProcedureDeclaration,
    readonly self: Provenance,
    private readonly corrected: (order: O, input: CorrectableInput) => O,
    readonly rules: RunRules,
  ) {
    this.order = order;
    this.journal = new RunJournal({
      tenantId: order.tenantId,
      coreId: order.coreId,
      runId: order.runId,
      parentRunId: order.partOf?.runId ?? null,
    });
    this.parkings = new Parkings(declaration.steps);
  }

  /**
   * `at` may lie before now (an effect's own time), never before the event before it. Of a run that is closed nothing is recorded any
   * more, whoever still speaks to it while its end is on its way into the journal.
   */
  emit<K extends EventKind>(
    kind: K,
    data: EventData[K],
    more: Partial<Place> & { attempt?: number; by?: Provenance; at?: string } = {},
  ): void {
    if (this.closedAs !== null && kind !== 'run-closed') return;
    const now = new Date().toISOString();
    const wanted = more.at === undefined || more.at > now ? now : more.at;
    this.lastAt = wanted < this.lastAt ? this.lastAt : wanted;
    const event = {
      kind,
      at: this.lastAt,
      by: more.by ?? this.self,
      step: more.step ?? null,
      item: more.item ?? null,
      attempt: more.attempt ?? null,
      data,
    } as RunEvent;
    this.journal.emit(event);
    logEvent(this.order.runId, event);
  }

  declared(step: string): StepDeclaration {
    const found = this.declaration.steps.find((one) => one.id === step);
    if (found === undefined)
      throw new Error(`Procedure ${this.declaration.name} runs step "${step}" without declaring it`);
    return found;
  }

  /** What people are told of a place: its step's declaration, or what holds for every script. */
  declaredAt({ step, item }: Place): StepDeclaration {
    return isScriptItem(item) ? declarationOfScript(this.declared(step), item) : this.declared(step);
  }

  announce(step: string): void {
    if (this.announced.has(step)) return;
    this.announced.add(step);
    this.emit('step-announced', { title: this.declared(step).title }, { step });
  }

  /** The next attempt at this place: its number, the run's next fencing token and the order as corrected so far. */
  nextAttempt(place: Place, undo: boolean): Input<O> {
    const key = `${undo ? 'undo ' : ''}${keyOf(place)}`;
    const attempt = (this.attempts.get(key) ?? 0) + 1;
    this.attempts.set(key, attempt);
    this.token += 1;
    const { tenantId, coreId, runId } = this.order;
    return { order: this.order, effect: { tenantId, coreId, runId, ...place, attempt, token: this.token, undo } };
  }

  /** Runs one attempt in a scope that an interrupt cancels. Throws Interrupted where one came before it began. */
  async inScope<T>(work: () => Promise<T>, shielded: boolean): Promise<T> {
    if (!shielded && this.interrupt !== null) throw new Interrupted();
    const scope = new CancellationScope({ cancellable: true });
    if (!shielded) this.scopes.add(scope);
    try {
      return await scope.run(work);
    } finally {
      this.scopes.delete(scope);
    }
  }

  /** Ends what runs now and wakes what waits; the procedure unwinds through Interrupted. The first interrupt stands. */
  raise(interrupt: Interrupt): void {
    if (this.interrupt !== null && this.interrupt.kind === 'abort') return;
    this.interrupt = interrupt;
    if (interrupt.kind === 'abort') this.halfAbort = null;
    for (const scope of this.scopes) scope.cancel();
  }

  checkAbort(reason: string): void {
    if (reason.trim() === '') refuse('NoReason', 'An abort needs a reason: it stands in the record.');
    if (this.phase === 'closed') refuse('Closed', `The run is over: ${this.closedAs ?? 'closing'}.`);
    if (this.phase === 'undoing' || this.interrupt?.kind === 'abort')
      refuse('AlreadyDecided', 'The run is being undone already.');
    if (this.irrevocable) refuse('NotAllowed', 'The commit has begun: the recovery can no longer be taken back.');
  }

  /** What nobody decided on in time: everything is undone. `epoch` 0: it waited in a run of this plan. */
  giveUp(place: Place, epoch: number, afterMs: number, cause: string): void {
    this.emit('gave-up', { epoch, afterMs }, { step: place.step, item: place.item ?? undefined });
    this.raise({
      kind: 'abort',
      reason: `Given up after ${formatDuration(afterMs)}: ${cause}`,
      by: this.self,
      gaveUp: { afterMs, cause },
    });
  }

  get hasGivenUp(): boolean {
    return this.interrupt?.kind === 'abort' && this.interrupt.gaveUp !== undefined;
  }

  get canAbort(): boolean {
    return this.phase === 'forward' && this.interrupt?.kind !== 'abort' && !this.irrevocable;
  }

  /** A rehearsal that is undone for a recovery, of its server or of another of its plan: nobody is asked what does not matter now. */
  get hasGivenWay(): boolean {
    return this.interrupt?.kind === 'abort' && this.interrupt.gaveWay === true;
  }

  abort(reason: string, by: Provenance, why: { readonly gaveWay?: true } = {}): void {
    this.checkAbort(reason);
    this.emit('decided', { epoch: 0, decision: 'abort', reason, from: null, input: null }, { by });
    this.raise({ kind: 'abort', reason, by, ...why });
  }

  view(from = 0): LiveRun {
    return {
      runId: this.order.runId,
      state: this.state(),
      parkings: this.parkings.list(),
      ...nextAnswer(this.journal.events, from),
      unflushed: this.journal.unflushed,
      halfAbort: this.halfAbort,
      waitingChildren: this.waitingChildren(),
    };
  }

  /** Rewinding makes memory forget the steps from `to` on. */
  forgetFrom(to: string): void {
    const from = this.indexOf(to);
    for (const key of [...this.memory.keys()]) {
      if (this.indexOf(key.split('/')[0]!) >= from) this.memory.delete(key);
    }
    for (const step of [...this.announced]) if (this.indexOf(step) >= from) this.announced.delete(step);
  }

  indexOf(step: string): number {
    return this.declaration.steps.findIndex((one) => one.id === step);
  }

  get hasExceptions(): boolean {
    return [...this.memory.values()].some((remembered) => remembered.exception);
  }

  correct(input: CorrectableInput): void {
    this.order = this.corrected(this.order, input);
  }

  private state(): RunState {
    if (this.closedAs !== null) return this.closedAs;
    const waiting = this.parkings.list();
    if (waiting.some((parking) => parking.kind === 'stuck')) return 'stuck';
    if (this.phase === 'undoing') return 'undoing';
    if (this.isHeld()) return 'held';
    return waiting.length > 0 ? 'waiting' : 'running';
  }
}

export const keyOf = (place: Place): string => (place.item === null ? place.step : `${place.step}/${place.item}`);

export type DiskItem = { readonly diskId: DiskId };
