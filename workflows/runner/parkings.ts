/**
 * What waits for people, and who may answer it. One check serves the validator (refused at once, nothing written) and
 * the handler (two updates may have passed the validator in the same task).
 */
import { ApplicationFailure } from '@temporalio/common';
import { correctableFields, correctionProblem } from '../../model/order';
import type { Provenance } from '../../model/order';
import { decisionKinds } from '../../model/steps';
import type { DecisionKind, StepDeclaration } from '../../model/steps';
import type { Who } from '../../model/waiting';
import type { DecisionRequest, Parking, Refusal } from '../messages';
import type { OpenGate } from './gates';

export function refuse(type: Refusal, message: string): never {
  throw ApplicationFailure.create({ type, message, nonRetryable: true });
}

/** A parking and, once somebody decided, the answer. */
export interface Parked {
  /** Replaced, never changed, by what people do at it. */
  parking: Parking;
  answer: DecisionRequest | null;
  /** A gate that a runbook names; null: any one decision answers. */
  readonly gate: OpenGate | null;
}

/** What people do at a parking without answering it. */
const marks: readonly DecisionKind[] = ['claim', 'release', 'withdraw'];

export class Parkings {
  private readonly open = new Map<number, Parked>();
  private readonly decided = new Map<number, DecisionRequest>();
  private epoch = 0;

  constructor(private readonly steps: readonly StepDeclaration[]) {}

  list(): Parking[] {
    return [...this.open.values()].filter((parked) => parked.answer === null).map((parked) => parked.parking);
  }

  nextEpoch(): number {
    this.epoch += 1;
    return this.epoch;
  }

  add(parking: Parking, gate: OpenGate | null = null): Parked {
    const parked: Parked = { parking, answer: null, gate };
    this.open.set(parking.epoch, parked);
    return parked;
  }

  remove(parked: Parked): void {
    this.open.delete(parked.parking.epoch);
  }

  /** Throws the refusal, or returns the parking that the request answers. */
  check(request: DecisionRequest): Parked {
    if (!decisionKinds.includes(request.decision)) {
      refuse(
        'UnknownDecision',
        `There is no decision "${String(request.decision)}". Known: ${decisionKinds.join(', ')}.`,
      );
    }
    const isMark = marks.includes(request.decision);
    if (request.reason.trim() === '' && !isMark)
      refuse('NoReason', 'A decision needs a reason: it stands in the record.');
    const before = this.decided.get(request.epoch);
    if (before !== undefined) {
      refuse('AlreadyDecided', `${before.by.actor.name} already decided "${before.decision}" here: ${before.reason}`);
    }
    const parked = this.open.get(request.epoch);
    if (parked === undefined) this.refuseUnknown(request);
    const { parking } = parked;
    if (parking.step !== request.step || parking.item !== request.item) {
      refuse('WrongStep', `Parking ${parking.epoch} is of ${nameOf(parking)}, not of ${nameOf(request)}.`);
    }
    if (isMark) return parked;
    if (!parking.allowed.includes(request.decision)) {
      refuse(
        'NotAllowed',
        `"${request.decision}" is not possible at ${nameOf(parking)}. Possible: ${parking.allowed.join(', ')}.`,
      );
    }
    this.checkInput(request, parking);
    return parked;
  }

  /** The answer to what `check` returned. */
  settle(parked: Parked, request: DecisionRequest): void {
    parked.answer = request;
    this.decided.set(request.epoch, request);
  }

  private refuseUnknown(request: DecisionRequest): never {
    const waiting = this.list();
    if (waiting.length === 0) refuse('NotParked', 'Nothing waits for a decision in this run now.');
    const here = waiting.find((parking) => parking.step === request.step && parking.item === request.item);
    if (here !== undefined) {
      refuse(
        'StaleParking',
        `${nameOf(here)} is parked anew as ${here.epoch}; the answer was for ${request.epoch}. Look at it again.`,
      );
    }
    refuse('WrongStep', `${nameOf(request)} does not wait. Waiting: ${waiting.map(nameOf).join(', ')}.`);
  }

  private checkInput(request: DecisionRequest, parking: Parking): void {
    const index = this.indexOf(parking.step);
    const from = request.from === null ? index : this.indexOf(request.from);
    if (request.from !== null) {
      if (from === -1) refuse('BadInput', `There is no step "${request.from}".`);
      if (from > index)
        refuse('BadInput', `Step "${request.from}" comes after "${parking.step}"; only going back is possible.`);
      if (request.decision !== 'retry' && request.decision !== 'provide') {
        refuse('BadInput', `"${request.decision}" takes no step to go back to; retry and provide do.`);
      }
      if (parking.undo) refuse('BadInput', 'An undo cannot go back to an earlier step.');
    }
    const fields = Object.keys(request.input ?? {});
    if (request.decision === 'provide' && fields.length === 0) {
      refuse('BadInput', `"provide" needs a corrected value. Possible here: ${parking.provides.join(', ') || 'none'}.`);
    }
    for (const field of fields) this.checkField(field, request, from, index);
  }

  private checkField(field: string, request: DecisionRequest, from: number, index: number): void {
    const known = correctableFields.find((one) => one === field);
    if (known === undefined) {
      refuse('BadInput', `"${field}" cannot be corrected. Known: ${correctableFields.join(', ')}.`);
    }
    const problem = correctionProblem(known, request.input?.[known]);
    if (problem !== null) refuse('BadInput', problem);
    const users = this.steps.filter((step) => step.provides.includes(known));
    const within = users.some((step) => this.indexOf(step.id) >= from && this.indexOf(step.id) <= index);
    if (!within) {
      const back = users.filter((step) => this.indexOf(step.id) < from).at(-1);
      refuse(
        'BadInput',
        `"${field}" is not used at "${request.step}".${back === undefined ? '' : ` Go back to step "${back.id}" (from) to use it.`}`,
      );
    }
  }

  private indexOf(step: string): number {
    return this.steps.findIndex((declared) => declared.id === step);
  }
}

export function nameOf(place: { step: string; item: string | null }): string {
  return place.item === null ? place.step : `${place.step}/${place.item}`;
}

/** What may be answered at a stuck step. */
export function allowedWhenStuck(step: StepDeclaration, undo: boolean, irrevocable: boolean): DecisionKind[] {
  if (undo) return ['retry', 'skip'];
  return [
    'retry',
    ...(step.skippable ? (['skip'] as const) : []),
    ...(irrevocable ? [] : (['provide', 'abort'] as const)),
  ];
}

/** Where and by whom a decision is recorded. */
export const placeOf = ({ step, item, by }: DecisionRequest): { step: string; item?: string; by: Provenance } => ({
  step,
  ...(item === null ? {} : { item }),
  by,
});

export const whoOf = ({ actor: { id, name } }: Provenance): Who => ({ id, name });
