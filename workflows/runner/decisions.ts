/**
 * What people do at something that waits: decide, claim, release, withdraw. Validator and handler ask the same check,
 * because two updates may come in one task.
 */
import { patched } from '@temporalio/workflow';
import { waivesStep, type Provenance } from '../../model/order';
import type { HalfDecision } from '../../model/waiting';
import type { DecisionRequest } from '../messages';
import { refuseWithoutRole, refuseUnlessMay } from './access';
import { half, isSame, needsFourEyes, refuseTwice, refuseWhileChecked, secondWords, whyFirstIsOut } from './four-eyes';
import { checkApproval, takeApproval } from './gates';
import { nameOf, placeOf, refuse, whoOf, type Parked } from './parkings';
import type { Run, RunOrder } from './run';

export function checkDecision<O extends RunOrder>(run: Run<O>, request: DecisionRequest): Parked {
  const parked = run.parkings.check(request);
  const { from } = request;
  const behind = run.noWayBackFrom;
  if (from !== null && behind !== null && run.indexOf(from) < run.indexOf(behind)) {
    refuse('BadInput', `From "${behind}" on there is no way back: nobody can go back to "${from}" any more.`);
  }
  // What was parked leaves the list only when its coroutine wakes: nothing can be decided there any more.
  if (run.interrupt !== null && !parked.parking.undo) {
    const what = run.interrupt.kind === 'abort' ? 'is being undone' : `goes back to step "${run.interrupt.to}"`;
    refuse('AlreadyDecided', `The run ${what} already; look at it again.`);
  }
  checkPerson(run, parked, request);
  return parked;
}

function checkPerson<O extends RunOrder>(run: Run<O>, parked: Parked, request: DecisionRequest): void {
  const { decision, by } = request;
  const what = `${decision} at ${nameOf(parked.parking)}`;
  switch (decision) {
    case 'claim':
      return refuseWithoutRole(run.rules.places, by, what);
    case 'release':
      return checkRelease(parked, by);
    case 'withdraw':
      return checkWithdraw(run, parked, by);
    default:
      if (parked.gate !== null && decision === 'approve') return checkApproval(run, parked.gate, request);
      refuseUnlessMay(run.rules, by, what);
      refuseWhileChecked(decision === 'abort' ? run.halfAbort : parked.parking.half);
      if (needsFourEyes(run, request)) refuseTwice(decision === 'abort' ? run.halfAbort : parked.parking.half, request);
  }
}

/** What it still waits for, in words; null: it has taken effect. At once, except where people have to be looked up. */
export type Taken = string | null | Promise<string | null>;

/** Acts on what checkDecision lets pass. */
export function takeDecision<O extends RunOrder>(run: Run<O>, request: DecisionRequest): Taken {
  const parked = checkDecision(run, request);
  switch (request.decision) {
    case 'claim':
      return claim(run, parked, request);
    case 'release':
      change(parked, { claimedBy: null, claimedAt: null });
      run.emit('released', { epoch: request.epoch }, placeOf(request));
      return null;
    case 'withdraw':
      return withdraw(run, parked, request);
    case 'approve':
      if (parked.gate !== null) return takeApproval(run, parked, parked.gate, request);
      break;
    case 'abort':
      if (isFirstAbort(run)) return abortByHalf(run, request);
      if (run.halfAbort !== null && patched(lookUpFirst)) {
        const door = { check: () => checkDecision(run, request), act: () => settle(run, parked, request) };
        return secondAbort(run, run.halfAbort, request, door);
      }
      break;
  }
  if (request.decision !== 'abort' && needsFourEyes(run, request) && !isOfOneAlone(run, request)) {
    const before = parked.parking.half ?? null;
    if (before === null || !isSame(before, request)) return decideByHalf(run, parked, before, request);
    if (patched(lookUpFirst)) return secondDecision(run, parked, before, request);
  } else if (parked.parking.half != null) {
    replace(run, parked, parked.parking.half, request);
  }
  return settle(run, parked, request);
}

/** Earlier versions took a correction that does without a step from one alone. By parking, because one run may have had both. */
const isOfOneAlone = <O extends RunOrder>({ order }: Run<O>, { decision, input, epoch }: DecisionRequest): boolean =>
  decision !== 'skip' && waivesStep(order, input) && !patched(`waived-by-two-at-${epoch}`);

const lookUpFirst = 'four-eyes-look-up-the-first';

/** Takes effect when the first still may; else the second is the first from now on. */
async function secondDecision<O extends RunOrder>(
  run: Run<O>,
  parked: Parked,
  before: HalfDecision,
  request: DecisionRequest,
): Promise<string | null> {
  const { step, item } = placeOf(request);
  change(parked, { half: { ...before, checking: true } });
  let lost: string | null;
  try {
    lost = await whyFirstIsOut(run, before, { step, item });
  } finally {
    // Directly before it is settled: nothing that waits for the look-up may come between.
    change(parked, { half: before });
  }
  // Others may have acted meanwhile: what is undone or decided stays so.
  checkDecision(run, request);
  if (lost === null) return settle(run, parked, request);
  change(parked, { half: null });
  drop(run, before, lost, { epoch: request.epoch, step, item });
  return decideByHalf(run, parked, null, request);
}

/** The same of an abort; `check` and `act` are of the door that the second came through. */
async function secondAbort<O extends RunOrder>(
  run: Run<O>,
  before: HalfDecision,
  request: Pick<DecisionRequest, 'reason' | 'by'>,
  door: { readonly check: () => unknown; readonly act: () => void },
): Promise<string | null> {
  run.halfAbort = { ...before, checking: true };
  const lost = await whyFirstIsOut(run, before, {}).finally(() => {
    if (run.halfAbort !== null) run.halfAbort = before;
  });
  door.check();
  if (lost !== null) {
    run.halfAbort = null;
    drop(run, before, lost, { epoch: 0 });
    return abortByHalf(run, request);
  }
  door.act();
  return null;
}

/** The first decision of two does not count. */
function drop<O extends RunOrder>(
  run: Run<O>,
  { by }: HalfDecision,
  because: string,
  { epoch, ...place }: { readonly epoch: number; readonly step?: string; readonly item?: string },
): void {
  const reason = `The decision of ${by.name} does not count: ${because}.`;
  run.emit('approval-withdrawn', { epoch, reason, approvals: 0, needed: 2, of: by }, place);
}

function settle<O extends RunOrder>(run: Run<O>, parked: Parked, request: DecisionRequest): null {
  run.parkings.settle(parked, request);
  const { epoch, decision, reason, from, input } = request;
  run.emit('decided', { epoch, decision, reason, from, input }, placeOf(request));
  if (decision === 'abort' || decision === 'roll-back') run.raise({ kind: 'abort', reason, by: request.by });
  else if (from !== null && from !== parked.parking.step) run.raise({ kind: 'rewind', to: from, input });
  else if (input !== null) run.correct(input);
  return null;
}

function decideByHalf<O extends RunOrder>(
  run: Run<O>,
  parked: Parked,
  before: HalfDecision | null,
  request: DecisionRequest,
): string | null {
  if (before !== null) replace(run, parked, before, request);
  const { epoch, decision, reason, from, input } = request;
  const given = half(request, now());
  change(parked, { half: given });
  run.emit('approved', { epoch, reason, approvals: 1, needed: 2, decision, from, input }, placeOf(request));
  return secondWords(given);
}

function replace<O extends RunOrder>(
  run: Run<O>,
  parked: Parked,
  before: HalfDecision,
  request: DecisionRequest,
): void {
  change(parked, { half: null });
  const reason = `${request.by.actor.name} decided "${request.decision}" in place of "${before.decision}".`;
  const data = { epoch: parked.parking.epoch, reason, approvals: 0, needed: 2, of: before.by };
  run.emit('approval-withdrawn', data, placeOf(request));
}

function claim<O extends RunOrder>(run: Run<O>, parked: Parked, request: DecisionRequest): null {
  if (parked.parking.claimedBy?.id === request.by.actor.id) return null;
  change(parked, { claimedBy: whoOf(request.by), claimedAt: now() });
  run.emit('claimed', { epoch: request.epoch }, placeOf(request));
  return null;
}

const releasers: readonly (string | undefined)[] = ['coordinator', 'admin'];

function checkRelease({ parking }: Parked, { actor }: Provenance): void {
  const holder = parking.claimedBy ?? null;
  if (holder === null) refuse('NotAllowed', `Nobody has taken ${nameOf(parking)}: there is nothing to release.`);
  if (holder.id === actor.id || releasers.includes(actor.role)) return;
  refuse(
    'NotAllowed',
    `${holder.name} has taken ${nameOf(parking)}: they release it, or a coordinator or admin. You can take it over (claim).`,
  );
}

function checkWithdraw<O extends RunOrder>(run: Run<O>, { parking, gate }: Parked, { actor }: Provenance): void {
  if (gate?.verifying === true)
    refuse('AlreadyDecided', `${nameOf(parking)} has all its approvals; nothing can be taken back.`);
  refuseWhileChecked(parking.half);
  if (ownHere({ parking }, actor.id) || run.halfAbort?.by.id === actor.id) return;
  refuse('NotAllowed', `You have approved nothing at ${nameOf(parking)} that could be taken back.`);
}

const ownHere = ({ parking }: Pick<Parked, 'parking'>, id: string): boolean =>
  parking.half?.by.id === id || (parking.approvals ?? []).some(({ by }) => by.id === id);

function withdraw<O extends RunOrder>(run: Run<O>, parked: Parked, request: DecisionRequest): null {
  const { id } = request.by.actor;
  if (!ownHere(parked, id)) return withdrawAbort(run, request.reason, request.by);
  const approvals = (parked.parking.approvals ?? []).filter(({ by }) => by.id !== id);
  const needed = parked.gate?.gate.approvals ?? 2;
  change(parked, parked.gate === null ? { half: null } : { approvals });
  parked.gate?.forget(id);
  const data = { epoch: request.epoch, reason: request.reason, approvals: approvals.length, needed };
  run.emit('approval-withdrawn', data, placeOf(request));
  return null;
}

const isFirstAbort = <O extends RunOrder>(run: Run<O>): boolean =>
  run.rules.fourEyes.includes('abort') && run.halfAbort === null;

function abortByHalf<O extends RunOrder>(run: Run<O>, request: Pick<DecisionRequest, 'reason' | 'by'>): string | null {
  const { reason, by } = request;
  run.halfAbort = half({ decision: 'abort', reason, from: null, input: null, by }, now());
  run.emit('approved', { epoch: 0, reason, approvals: 1, needed: 2, decision: 'abort' }, { by });
  return secondWords(run.halfAbort);
}

/** The refusals of an abort that a person asks for; machines call Run.abort. */
export function checkAbort<O extends RunOrder>(run: Run<O>, reason: string, by: Provenance): void {
  run.checkAbort(reason);
  refuseUnlessMay(run.rules, by, 'abort the run');
  refuseWhileChecked(run.halfAbort);
  refuseTwice(run.halfAbort, { decision: 'abort', reason, from: null, input: null, by });
}

export function takeAbort<O extends RunOrder>(run: Run<O>, reason: string, by: Provenance): Taken {
  checkAbort(run, reason, by);
  if (isFirstAbort(run)) return abortByHalf(run, { reason, by });
  if (run.halfAbort !== null && patched(lookUpFirst)) {
    return secondAbort(
      run,
      run.halfAbort,
      { reason, by },
      { check: () => checkAbort(run, reason, by), act: () => run.abort(reason, by) },
    );
  }
  run.abort(reason, by);
  return null;
}

export function checkWithdrawAbort<O extends RunOrder>(run: Run<O>, reason: string, by: Provenance): void {
  const { halfAbort, phase, closedAs } = run;
  if (reason.trim() === '') refuse('NoReason', 'Taking something back needs a reason: it stands in the record.');
  if (phase === 'closed') refuse('Closed', `The run is over: ${closedAs ?? 'closing'}.`);
  if (halfAbort === null) refuse('NotAllowed', 'No abort waits for a second pair of eyes.');
  refuseWhileChecked(halfAbort);
  if (halfAbort.by.id !== by.actor.id)
    refuse('NotAllowed', `${halfAbort.by.name} asked for the abort: only they can take it back.`);
}

export function withdrawAbort<O extends RunOrder>(run: Run<O>, reason: string, by: Provenance): null {
  checkWithdrawAbort(run, reason, by);
  run.halfAbort = null;
  run.emit('approval-withdrawn', { epoch: 0, reason, approvals: 0, needed: 2 }, { by });
  return null;
}

function change(parked: Parked, changes: Partial<Parked['parking']>): void {
  parked.parking = { ...parked.parking, ...changes };
}

const now = (): string => new Date().toISOString();
