/** The loop around every effect and every undo: attempt, record, wait and try again, or park until somebody decides. */
import { condition, patched, sleep } from '@temporalio/workflow';
import { backoffDelayMs } from '../../model/backoff';
import { formatDuration } from '../../model/durations';
import type { RecoveryOrder, RetryPolicy } from '../../model/order';
import { isScriptItem } from '../../model/runbook/script-places';
import type { DecisionKind } from '../../model/steps';
import type { DecisionRequest, Parking } from '../messages';
import { classify, isFamily, lostWorkerDelayMs, lostWorkersBeforeParking } from './failures';
import type { AttemptFailure } from './failures';
import { allowedWhenStuck, type Parked } from './parkings';
import { laterReminder } from './reminders';
import { Interrupted } from './run';
import type { Act, Place, Run, RunOrder } from './run';

/** `byItself`: nobody decided so, the run went on without it. */
export type Settled<T> =
  | { readonly skipped: false; readonly value: T }
  | { readonly skipped: true; readonly reason: string; readonly byItself: boolean };

export interface Patience<O extends RunOrder> {
  readonly waived?: Waived<O> | undefined;
  readonly retry?: RetryPolicy;
  /** How long people are waited for at what can be done without: then the run goes on without it. */
  readonly dispensableMs?: number | undefined;
}

/**
 * Attempts until it works, a person skips it, or a person's correction at this very step waives it (`waived`, asked of the
 * order as corrected): then that decision's reason is the reason of the skip. What can be done without is skipped by itself in the end.
 *
 * @throws Interrupted when the run is aborted or sent back meanwhile; never for an undo, which nothing interrupts.
 */
export async function settle<T, O extends RunOrder>(
  run: Run<O>,
  place: Place,
  act: Act<T, O>,
  undo: boolean,
  { waived, retry = run.order.retry, dispensableMs }: Patience<O> = {},
): Promise<Settled<T>> {
  let patienceMs = run.order.giveUpAfterMs ?? Infinity;
  for (let budget = newBudget(); ;) {
    const outcome = await attemptOnce(run, place, act, undo);
    if (outcome.ok) return { skipped: false, value: outcome.value };
    if (!undo && run.interrupt !== null) throw new Interrupted();
    const delayMs = nextDelay(retry, outcome.failure, budget);
    recordFailure(run, place, outcome, delayMs, undo);
    if (delayMs !== null) {
      await pause(run, delayMs, undo);
      continue;
    }
    const answer = await park(run, place, outcome.failure, undo, { patienceMs, dispensableMs });
    patienceMs = laterReminder(patienceMs);
    const skipped = { skipped: true as const, reason: answer.reason, byItself: answer.by === run.self };
    if (answer.decision === 'skip') return skipped;
    // Histories of earlier versions go on with an attempt here. By parking, because one run may have done both.
    if (waived?.(run.order) === true && patched(`waived-at-${answer.epoch}`)) return skipped;
    budget = newBudget();
  }
}

/** Whether the order, as people have corrected it, does without the step. */
export type Waived<O = RecoveryOrder> = (order: O) => boolean;

interface Budget {
  failures: number;
  lostInARow: number;
}

const newBudget = (): Budget => ({ failures: 0, lostInARow: 0 });

type Attempted<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: AttemptFailure; readonly attempt: number; readonly token: number };

async function attemptOnce<T, O extends RunOrder>(
  run: Run<O>,
  place: Place,
  act: Act<T, O>,
  undo: boolean,
): Promise<Attempted<T>> {
  if (!undo && run.interrupt !== null) throw new Interrupted();
  const input = run.nextAttempt(place, undo);
  const { attempt, token } = input.effect;
  run.emit('attempt-started', { token, undo }, { ...place, item: place.item ?? undefined, attempt });
  try {
    const outcome = await run.inScope(() => act(input), undo);
    const by = workerOf(run, outcome.worker);
    const here = { ...place, item: place.item ?? undefined, attempt, by, at: outcome.at };
    for (const one of outcome.evidence) run.emit('evidence', one, here);
    run.emit(
      'attempt-succeeded',
      { token, undo, result: outcome.result ?? null, durationMs: outcome.durationMs },
      here,
    );
    return { ok: true, value: outcome.result };
  } catch (error) {
    const failure = classify(error, new Date().toISOString());
    if (!undo && run.interrupt !== null) recordFailure(run, place, { failure, attempt, token }, null, undo);
    return { ok: false, failure, attempt, token };
  }
}

function recordFailure<O extends RunOrder>(
  run: Run<O>,
  place: Place,
  attempted: { failure: AttemptFailure; attempt: number; token: number },
  nextDelayMs: number | null,
  undo: boolean,
): void {
  const { failure, attempt, token } = attempted;
  const by = failure.worker === null ? undefined : workerOf(run, failure.worker);
  const here = { ...place, item: place.item ?? undefined, attempt, by, at: failure.at };
  for (const one of failure.evidence) run.emit('evidence', one, here);
  const { family, message, remedy, detail } = failure;
  run.emit('attempt-failed', { token, undo, failure: { family, message, remedy, detail }, nextDelayMs }, here);
}

/** Milliseconds until the next automatic attempt; null: park. */
function nextDelay(retry: RetryPolicy, failure: AttemptFailure, budget: Budget): number | null {
  if (!isFamily(failure.family)) {
    budget.lostInARow += 1;
    return budget.lostInARow >= lostWorkersBeforeParking ? null : lostWorkerDelayMs;
  }
  budget.lostInARow = 0;
  budget.failures += 1;
  return budget.failures >= retry.maxAttempts ? null : backoffDelayMs(retry, budget.failures, failure.family);
}

async function pause<O extends RunOrder>(run: Run<O>, delayMs: number, undo: boolean): Promise<void> {
  if (undo) return sleep(delayMs);
  await condition(() => run.interrupt !== null, delayMs);
}

function park<O extends RunOrder>(
  run: Run<O>,
  place: Place,
  failure: AttemptFailure,
  undo: boolean,
  limits: Pick<Question, 'patienceMs' | 'dispensableMs'>,
): Promise<DecisionRequest> {
  const step = run.declaredAt(place);
  const allowed = allowedWhenStuck(step, undo, run.irrevocable);
  const remedy = failure.remedy ?? step.remedy;
  const { family, message, detail } = failure;
  return waitForPeople(run, place, { kind: 'stuck', undo, cause: message, remedy, allowed, ...limits }, (epoch) =>
    run.emit(
      'parked',
      { epoch, undo, failure: { family, message, remedy: failure.remedy, detail }, allowed, remedy },
      { ...place, item: place.item ?? undefined },
    ),
  );
}

/** A gate: nothing failed, yet people decide. `watched`: who asks sees to it that a rehearsal does not wait without end. */
export function askPeople<O extends RunOrder>(
  run: Run<O>,
  place: Place,
  question: string,
  because: string,
  allowed: DecisionKind[],
  { watched = false }: { readonly watched?: boolean } = {},
): Promise<DecisionRequest> {
  const asked = { kind: 'gate' as const, undo: false, cause: because, remedy: question, allowed };
  return waitForPeople(run, place, { ...asked, watched }, (epoch) =>
    run.emit('gate-opened', { epoch, question, because, allowed }, { ...place, item: place.item ?? undefined }),
  );
}

type Question = Pick<Parking, 'kind' | 'undo' | 'cause' | 'remedy' | 'allowed'> & {
  readonly watched?: boolean;
  /** Of an undo of a rehearsal: how long until it is tried again by itself. */
  readonly patienceMs?: number;
  readonly dispensableMs?: number | undefined;
};

/** How long the answer is waited for. A recovery gives up neither what is undone, but its scripts, nor a gate. */
function patience<O extends RunOrder>(
  { order: { giveUpAfterMs, mode }, hasGivenWay }: Run<O>,
  { item }: Place,
  epoch: number,
  { kind, undo, watched, patienceMs = Infinity }: Question,
): number {
  // A recovery waits for disks that this rehearsal still has, and for no program.
  if (undo && isScriptItem(item) && hasGivenWay) return 0;
  const isUndo = undo && !isScriptItem(item);
  if (giveUpAfterMs === undefined || (isUndo && mode !== 'rehearsal')) return Infinity;
  if (isUndo) return patched(`tried-again-at-${epoch}`) ? patienceMs : Infinity;
  if (kind === 'stuck') return giveUpAfterMs;
  if (mode !== 'rehearsal' || watched === true) return Infinity;
  // Histories of earlier versions wait on. By parking, because one run may have done both.
  return patched(`gives-up-at-${epoch}`) ? giveUpAfterMs : Infinity;
}

async function waitForPeople<O extends RunOrder>(
  run: Run<O>,
  place: Place,
  question: Question,
  announce: (epoch: number) => void,
): Promise<DecisionRequest> {
  const step = run.declaredAt(place);
  const epoch = run.parkings.nextEpoch();
  const since = new Date();
  const { kind, undo, cause, remedy, allowed, dispensableMs } = question;
  // Histories of earlier versions wait on. By parking, because one run may have done both.
  const leavesOut = dispensableMs !== undefined && patched(`left-out-at-${epoch}`);
  let giveUpMs = leavesOut ? dispensableMs : patience(run, place, epoch, question);
  const parked = run.parkings.add({
    epoch,
    ...place,
    title: step.title,
    since: since.toISOString(),
    provides: step.provides,
    ...{ kind, undo, cause, remedy, allowed },
  });
  announce(epoch);
  try {
    const answered = (): boolean => parked.answer !== null || (!question.undo && run.interrupt !== null);
    const isLookedUp = (): boolean => parked.parking.half?.checking === true;
    const waitedMs = (): number => Date.now() - since.getTime();
    for (let waitMs = run.order.reminderMs; ; waitMs = laterReminder(waitMs)) {
      if (await condition(answered, Math.max(1, Math.min(waitMs, giveUpMs - waitedMs())))) break;
      // What came in the task in which the time ended was in time, and so is what is being looked up.
      if ((answered() || isLookedUp()) && patched(`answered-in-time-${epoch}`)) {
        await condition(() => !isLookedUp());
        if (answered()) break;
      }
      if (waitedMs() >= giveUpMs && run.irrevocable && patched(`final-at-${epoch}`)) {
        // What is final cannot be taken back: people have to come.
        giveUpMs = Infinity;
        continue;
      }
      if (waitedMs() >= giveUpMs) {
        if (leavesOut)
          return answerByItself(run, parked, 'skip', `Given up after ${formatDuration(giveUpMs)}: ${cause}`);
        if (undo) return answerUndo(run, parked, giveUpMs);
        run.giveUp(place, epoch, giveUpMs, kind === 'stuck' ? cause : `nobody answered: ${cause}`);
        break;
      }
      run.emit('reminded', { epoch, waitingMs: waitedMs() }, { ...place, item: place.item ?? undefined });
    }
    if (!question.undo && run.interrupt !== null) throw new Interrupted();
    return parked.answer!;
  } finally {
    run.parkings.remove(parked);
  }
}

/**
 * A script is left out: what is undone goes on, and its end names it. What the rehearsal made is tried once more, as long as it is
 * there: it is never left behind unseen. One that went back to an earlier step gives up as a whole.
 */
function answerUndo<O extends RunOrder>(run: Run<O>, parked: Parked, afterMs: number): DecisionRequest {
  const { step, item, epoch, cause } = parked.parking;
  const isScript = isScriptItem(item);
  if (!isScript && run.canAbort) run.giveUp({ step, item }, epoch, afterMs, cause);
  const nobody = `nobody decided within ${formatDuration(afterMs)}`;
  const skipped = afterMs === 0 ? 'a recovery is not kept waiting for it' : nobody;
  return isScript
    ? answerByItself(run, parked, 'skip', skipped)
    : answerByItself(run, parked, 'retry', `${nobody}: tried again`);
}

/** Recorded as the run's own decision. */
function answerByItself<O extends RunOrder>(
  run: Run<O>,
  parked: Parked,
  decision: 'skip' | 'retry',
  reason: string,
): DecisionRequest {
  const { step, item, epoch } = parked.parking;
  const decided = { epoch, decision, reason, from: null, input: null };
  const request = { ...decided, step, item, by: run.self };
  run.parkings.settle(parked, request);
  run.emit('decided', decided, { step, item: item ?? undefined, by: run.self });
  return request;
}

function workerOf<O extends RunOrder>(
  run: Run<O>,
  worker: string,
): { actor: { kind: 'worker'; id: string; name: string }; authMethod: string; requestId: string; address: string } {
  return {
    actor: { kind: 'worker', id: worker, name: worker },
    authMethod: 'internal',
    requestId: run.order.requestedBy.requestId,
    address: '',
  };
}
