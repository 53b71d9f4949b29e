/** The words a procedure is written in: step, eachDisk, notApplicable. */
import type { DecisionKind } from '../../model/steps';
import { askPeople, settle } from './attempts';
import type { Waived } from './attempts';
import { Interrupted, keyOf } from './run';
import type { Act, DiskItem, Place, Run, RunOrder } from './run';
import type { RecoveryOrder } from '../../model/order';

export interface StepOptions<T, O = RecoveryOrder> {
  readonly undo?: Act<unknown, O>;
  /** What the procedure goes on with when a person skips the step; without it the step is not skippable. */
  readonly whenSkipped?: T;
  /** Asked before the effect: a question for people, or null to go on. */
  readonly gate?: () => Promise<{ question: string; because: string; allowed: DecisionKind[] } | null>;
  /** From here on there is no way back. */
  readonly irrevocable?: boolean;
  /**
   * A correction while the step is stuck may take it out of the order: then it ends as skipped, by that decision. `waivesStep` of
   * model/order.ts has to know it, so that four eyes on skip hold for it, too.
   */
  readonly waived?: Waived<O>;
  readonly around?: Around | undefined;
}

export interface EachOptions<D, T, O = RecoveryOrder> {
  readonly undo?: (disk: D) => Act<unknown, O>;
  readonly whenSkipped?: (disk: D) => T;
  readonly around?: Around | undefined;
}

/** What a runbook wants done around a step's effect (scripts.ts). */
export interface Around {
  readonly before: () => Promise<void>;
  readonly after: () => Promise<void>;
  /** In place of the effect. Null: it ran; otherwise the reason why a person skipped it. */
  readonly instead: (() => Promise<string | null>) | null;
}

export async function step<T, O extends RunOrder>(
  run: Run<O>,
  id: string,
  act: Act<T, O>,
  options: StepOptions<T, O> = {},
): Promise<T> {
  const place = { step: id, item: null };
  const remembered = run.memory.get(id);
  if (remembered !== undefined) return remembered.value as T;
  run.announce(id);
  const { around } = options;
  if (around !== undefined) await around.before();
  const waived = options.gate === undefined ? null : await passGate(run, place, options.gate);
  if (waived !== null) {
    if (around !== undefined) await around.after();
    return skip(run, place, waived, options.whenSkipped as T);
  }
  if (options.irrevocable === true) {
    run.irrevocable = true;
    run.noWayBackFrom = id;
  }
  const settled = around?.instead
    ? await settleInstead(run, place, around.instead, options)
    : await settleWithUndo(run, place, act, options);
  if (around !== undefined) await around.after();
  if (settled.skipped) run.emit('step-skipped', { reason: settled.reason }, { step: id });
  else run.emit('step-done', { result: settled.value ?? null }, { step: id });
  return settled.value;
}

/** One item per disk, at the same time; the step is done when every item is. Results in the order of the disks. */
export async function eachDisk<D extends DiskItem, T, O extends RunOrder>(
  run: Run<O>,
  id: string,
  disks: readonly D[],
  act: (disk: D) => Act<T, O>,
  options: EachOptions<D, T, O> = {},
): Promise<T[]> {
  run.announce(id);
  const fresh = disks.some((disk) => !run.memory.has(keyOf({ step: id, item: disk.diskId })));
  const around = fresh ? options.around : undefined;
  if (around !== undefined) await around.before();
  const reasons: string[] = [];
  let instead: Promise<string | null> | null = null;
  const one = async (disk: D): Promise<T> => {
    const place = { step: id, item: disk.diskId };
    const remembered = run.memory.get(keyOf(place));
    if (remembered !== undefined) return remembered.value as T;
    const undo = options.undo?.(disk);
    const whenSkipped = options.whenSkipped?.(disk);
    const settled = around?.instead
      ? await settleInstead(run, place, () => (instead ??= around.instead!()), { undo, whenSkipped })
      : await settleWithUndo(run, place, act(disk), { undo, whenSkipped });
    if (settled.skipped) reasons.push(settled.reason);
    return settled.value;
  };
  const all = await Promise.allSettled(disks.map(one));
  const failed = all.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  if (around !== undefined) await around.after();
  if (fresh && reasons.length > 0) run.emit('step-skipped', { reason: reasons.join('; ') }, { step: id });
  else if (fresh)
    run.emit(
      'step-done',
      { result: all.map((result) => (result.status === 'fulfilled' ? (result.value ?? null) : null)) },
      { step: id },
    );
  return all.map((result) => (result as PromiseFulfilledResult<T>).value);
}

export interface ItemOptions<T, O> extends Pick<StepOptions<T, O>, 'undo' | 'whenSkipped'> {
  readonly isException?: (value: T) => boolean;
  /** What can be done without, when people were waited for as long as that. */
  readonly dispensable?: { readonly afterMs: number; readonly value: T } | undefined;
}

/** One item of a step whose items come and go by themselves; the caller says when the step is done. */
export async function item<T, O extends RunOrder>(
  run: Run<O>,
  place: Place,
  act: Act<T, O>,
  options: ItemOptions<T, O>,
): Promise<T> {
  const remembered = run.memory.get(keyOf(place));
  if (remembered !== undefined) return remembered.value as T;
  const { value } = await settleWithUndo(run, place, act, options);
  if (options.isException?.(value) === true) run.memory.set(keyOf(place), { value, exception: true });
  return value;
}

export function notApplicable<O extends RunOrder>(run: Run<O>, id: string, because: string): void {
  if (run.memory.has(id)) return;
  run.announce(id);
  run.emit('step-not-applicable', { because }, { step: id });
  run.memory.set(id, { value: undefined, exception: false });
}

/** One more effect inside a step, before its own: attempted and recorded like it, not remembered. */
export async function attempt<T, O extends RunOrder>(run: Run<O>, id: string, act: Act<T, O>): Promise<T> {
  const settled = await settle(run, { step: id, item: null }, act, false);
  if (settled.skipped) throw new SkippedBeforeEffect(settled.reason);
  return settled.value;
}

/** A person skipped the step while what comes before its effect was stuck. */
class SkippedBeforeEffect extends Error {
  override readonly name = 'SkippedBeforeEffect';
}

/** Null: go on. Otherwise the reason why a person skipped the step here. */
async function passGate<O extends RunOrder>(
  run: Run<O>,
  place: Place,
  gate: NonNullable<StepOptions<unknown, O>['gate']>,
): Promise<string | null> {
  try {
    const asked = await gate();
    if (asked !== null) await askPeople(run, place, asked.question, asked.because, asked.allowed);
    return null;
  } catch (error) {
    if (error instanceof SkippedBeforeEffect) return error.message;
    throw error;
  }
}

function skip<T, O extends RunOrder>(run: Run<O>, place: Place, reason: string, value: T): T {
  run.memory.set(keyOf(place), { value, exception: true });
  run.emit('step-skipped', { reason }, { step: place.step });
  return value;
}

type SettledStep<T> =
  | { readonly skipped: false; readonly value: T }
  | { readonly skipped: true; readonly value: T; readonly reason: string };

async function settleWithUndo<T, O extends RunOrder>(
  run: Run<O>,
  place: Place,
  act: Act<T, O>,
  { undo, whenSkipped, waived, dispensable }: Pick<StepOptions<T, O>, 'waived'> & ItemOptions<T, O>,
): Promise<SettledStep<T>> {
  registerUndo(run, place, undo);
  const settled = await settle(run, place, act, false, { waived, dispensableMs: dispensable?.afterMs });
  const without = settled.skipped && settled.byItself && dispensable !== undefined ? dispensable.value : whenSkipped;
  const value = settled.skipped ? (without as T) : settled.value;
  run.memory.set(keyOf(place), { value, exception: settled.skipped });
  return settled.skipped ? { skipped: true, value, reason: settled.reason } : { skipped: false, value };
}

/** The undo is the step's own: it looks before it acts, and a script may have done what the step would have. */
async function settleInstead<T, O extends RunOrder>(
  run: Run<O>,
  place: Place,
  instead: () => Promise<string | null>,
  options: Pick<StepOptions<T, O>, 'undo' | 'whenSkipped'>,
): Promise<SettledStep<T>> {
  registerUndo(run, place, options.undo);
  const reason = await instead();
  const value = options.whenSkipped as T;
  run.memory.set(keyOf(place), { value, exception: reason !== null });
  return reason === null ? { skipped: false, value } : { skipped: true, value, reason };
}

/** A lost attempt may have acted: what undoes it is registered before it starts, once, however often it is tried. */
function registerUndo<O extends RunOrder>(run: Run<O>, place: Place, undo: Act<unknown, O> | undefined): void {
  if (run.interrupt !== null) throw new Interrupted();
  if (undo === undefined || run.undos.some(({ step, item }) => step === place.step && item === place.item)) return;
  run.undos.push({ ...place, act: undo });
}
