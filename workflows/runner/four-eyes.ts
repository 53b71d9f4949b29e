/**
 * Four eyes: a decision that a runbook wants to see twice takes effect when a second person gives the same at the same
 * place, and the first still may. The first stays open and can be withdrawn; at 3 a.m. with one person there it waits, and everybody can see it.
 */
import { waivesStep } from '../../model/order';
import type { FourEyesAct } from '../../model/runbook/runbook';
import type { HalfDecision } from '../../model/waiting';
import type { DecisionRequest } from '../messages';
import { refuse } from './parkings';
import { peopleNow, whyNot } from './people-now';
import type { Run, RunOrder } from './run';

type Decided = Pick<DecisionRequest, 'decision' | 'reason' | 'from' | 'input' | 'by'>;

/** Whether the decision has to be seen by two. Roll-back is the other answer to the question of the commit. */
export function needsFourEyes<O extends RunOrder>(
  { rules, order }: Pick<Run<O>, 'rules' | 'order'>,
  decided: Pick<DecisionRequest, 'decision' | 'step' | 'input'>,
): boolean {
  const act = actOf(decided) ?? (waivesStep(order, decided.input) ? 'skip' : null);
  return act !== null && rules.fourEyes.includes(act);
}

function actOf({ decision, step }: Pick<DecisionRequest, 'decision' | 'step'>): FourEyesAct | null {
  switch (decision) {
    case 'skip':
      return 'skip';
    case 'abort':
      return 'abort';
    case 'commit':
    case 'roll-back':
      return 'commit';
    case 'approve':
      return step === 'power-on' ? 'power-on' : null;
    default:
      return null;
  }
}

export function half({ decision, reason, from, input, by: { actor } }: Decided, at: string): HalfDecision {
  return { decision, reason, from, input, at, by: { id: actor.id, name: actor.name } };
}

/** The same decision, whoever gives it and for whatever reason. */
export function isSame(one: HalfDecision, other: Decided): boolean {
  return one.decision === other.decision && one.from === other.from && textOf(one.input) === textOf(other.input);
}

const textOf = (input: unknown): string =>
  JSON.stringify(input, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );

/** @throws the refusal `AlreadyDecided` for the same of the same person */
export function refuseTwice(before: HalfDecision | null | undefined, request: Decided): void {
  if (before == null || before.by.id !== request.by.actor.id || !isSame(before, request)) return;
  refuse(
    'AlreadyDecided',
    `You have decided "${before.decision}" here; it takes effect when a second person does the same. You can withdraw it.`,
  );
}

/** While the first is being looked up nobody comes or goes. @throws the refusal `AlreadyDecided` */
export function refuseWhileChecked(before: HalfDecision | null | undefined): void {
  if (before?.checking !== true) return;
  refuse(
    'AlreadyDecided',
    `A second person has decided "${before.decision}" here, too; whether both still may is being looked up.`,
  );
}

/**
 * Why the first of two does not count any more, now that the second has come: a role may have been taken away meanwhile. null: it
 * counts, also where Postgres does not answer, and then the record says so.
 */
export async function whyFirstIsOut<O extends RunOrder>(
  run: Run<O>,
  { by, decision }: HalfDecision,
  place: { readonly step?: string; readonly item?: string },
): Promise<string | null> {
  const people = await peopleNow([by.id]);
  if (run.phase === 'closed') return null;
  if (people === null) {
    const message = `Postgres did not answer: whether ${by.name} still may decide here could not be checked. "${decision}" takes effect by what they were when they decided.`;
    run.emit('noted', { message }, place);
    return null;
  }
  const { decide, places } = run.rules;
  return whyNot(
    decide,
    places,
    people.find(({ id }) => id === by.id),
  );
}

export const secondWords = ({ decision }: Pick<HalfDecision, 'decision'>): string =>
  `1 of 2: "${decision}" takes effect when a second person who may decide here does the same.`;
