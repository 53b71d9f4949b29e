/**
 * Four eyes: a decision that a runbook wants to see twice takes effect when a second person gives the same at the same
 * place. The first stays open and can be withdrawn; at 3 a.m. with one person there it waits, and everybody can see it.
 */
import type { FourEyesAct } from '../../model/runbook/runbook';
import type { DecisionKind } from '../../model/steps';
import type { HalfDecision } from '../../model/waiting';
import type { DecisionRequest } from '../messages';
import type { RunRules } from './access';
import { refuse } from './parkings';

type Decided = Pick<DecisionRequest, 'decision' | 'reason' | 'from' | 'input' | 'by'>;

/** Whether the decision at this step has to be seen by two. Roll-back is the other answer to the question of the commit. */
export function needsFourEyes({ fourEyes }: RunRules, decision: DecisionKind, step: string | null): boolean {
  const act = actOf(decision, step);
  return act !== null && fourEyes.includes(act);
}

function actOf(decision: DecisionKind, step: string | null): FourEyesAct | null {
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

export const secondWords = ({ decision }: Pick<HalfDecision, 'decision'>): string =>
  `1 of 2: "${decision}" takes effect when a second person who may decide here does the same.`;
