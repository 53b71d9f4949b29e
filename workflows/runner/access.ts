/** Who may act on a run, by what its order says and by where their role holds: asked again here, after the door. */
import {
  holdsAt,
  isAmong,
  listed,
  mayAct,
  peopleWords,
  placesOfPlan,
  placesOfRecovery,
  placeWords,
  scopeWords,
  type Places,
} from '../../model/access';
import type { Provenance, RecoveryOrder } from '../../model/order';
import { actingRoles } from '../../model/people';
import type { PlanOrder } from '../../model/plan';
import type { FourEyesAct, People } from '../../model/runbook/runbook';
import { refuse } from './parkings';

export interface RunRules {
  /** null: whoever the door lets in. */
  readonly decide: People | null;
  /** Acts that take effect when a second person has done the same. */
  readonly fourEyes: readonly FourEyesAct[];
  readonly places: Places;
}

export const rulesOfRecovery = (order: RecoveryOrder): RunRules => ({
  decide: order.access?.decide ?? null,
  fourEyes: order.access?.fourEyes ?? [],
  places: placesOfRecovery(order),
});

export const rulesOfPlan = (order: PlanOrder): RunRules => ({
  decide: order.plan.access.decide,
  fourEyes: order.plan.access.fourEyes,
  places: placesOfPlan(order),
});

/** Machines are not asked: what they tell each other is no decision. @throws the refusal `NotAllowed` naming who may */
export function refuseUnlessMay({ decide, places }: RunRules, { actor }: Provenance, what: string): void {
  if (actor.kind !== 'person') return;
  refuseWithoutRole(places, { actor }, what);
  if (decide === null || isAmong(decide, actor)) return;
  refuse('NotAllowed', `${actor.name} may not ${what}: ${roleWords(actor.role)}, needed ${peopleWords(decide)}.`);
}

/** @throws the refusal `NotAllowed` where the person's role only reads, also of who is named, or does not hold at this run */
export function refuseWithoutRole(places: Places, { actor }: Pick<Provenance, 'actor'>, what: string): void {
  if (actor.kind !== 'person') return;
  if (!mayAct(actor.role))
    refuse('NotAllowed', `${actor.name} may not ${what}: ${roleWords(actor.role)}, needed ${listed(actingRoles)}.`);
  if (holdsAt(actor.scopes, places)) return;
  const found = `${roleWords(actor.role)} at ${scopeWords(actor.scopes)}`;
  refuse('NotAllowed', `${actor.name} may not ${what}: ${found}, needed a role at ${placeWords(places)}.`);
}

const roleWords = (role: string | undefined): string => `found the role ${role ?? 'none'}`;
