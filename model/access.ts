/**
 * Whom a runbook means by its people, and whether a role that holds at some places holds at these. Pure; the door asks it
 * (api/reach.ts) and the workflow asks it again.
 */
import { everyServerOf } from './every-server';
import type { Actor, RecoveryOrder } from './order';
import { actingRoles, type AccessScope } from './people';
import type { PlanOrder } from './plan';
import type { People } from './runbook/runbook';

/** Where something is: recovery sites, and the runbooks whose part it is. */
export interface Places {
  readonly sites: readonly string[];
  readonly runbooks: readonly string[];
}

/** One of several things that a request names, in words: `server db01`. The role has to hold at each. */
export interface NamedPlaces extends Places {
  readonly what: string;
}

export const placesOfRecovery = ({
  target,
  partOf,
  rehearsedIn,
}: Pick<RecoveryOrder, 'target' | 'partOf' | 'rehearsedIn'>): Places => ({
  sites: [target.siteId],
  runbooks: (partOf ?? rehearsedIn)?.runbooks ?? [],
});

export const placesOfPlan = (order: PlanOrder): Places => ({ sites: sitesOf(order), runbooks: runbooksOf(order) });

/** The plan's own, and those of what it includes. */
export const sitesOf = (plan: Pick<PlanOrder, 'servers' | 'parts'>): string[] => [
  ...new Set(everyServerOf(plan).map(({ order }) => order.target.siteId)),
];

/** The runbooks that what belongs to the plan is part of, the outermost first. */
export const runbooksOf = ({ partOf, runbook }: Pick<PlanOrder, 'partOf' | 'runbook'>): string[] => [
  ...(partOf?.runbooks ?? []),
  runbook.name,
];

/**
 * Whether a role with these scopes holds at all of these places: one of the runbooks is a scope, or every site is. Without
 * scopes it holds everywhere; with some it never holds for what is at no place at all.
 */
export function holdsAt(scopes: readonly AccessScope[] | undefined, places: Places): boolean {
  if (scopes === undefined || scopes.length === 0) return true;
  const has = (kind: AccessScope['kind'], name: string): boolean =>
    scopes.some((scope) => scope.kind === kind && scope.name === name);
  if (places.runbooks.some((name) => has('runbook', name))) return true;
  return places.sites.length > 0 && places.sites.every((name) => has('site', name));
}

/** Whether who has this role acts at all: a runbook may name fewer people, never more. */
export const mayAct = (role: string | undefined): boolean => actingRoles.some((one) => one === role);

/** Whether the person is one of them, by role or by name; what their role may do beside that is not asked here. */
export function isAmong(people: People, { role, name }: Pick<Actor, 'role' | 'name'>): boolean {
  return people.people.includes(name) || people.roles.some((one) => one === role);
}

/** `operator or admin, or Anna`: for sentences that say who may. */
export function peopleWords({ roles, people }: People): string {
  const byRole = roles.length === 0 ? [] : [`anybody who is ${listed(roles)}`];
  const words = [...byRole, ...(people.length === 0 ? [] : [listed(people)])];
  return words.length === 0 ? 'nobody' : words.join(', or ');
}

/** `site recovery, runbook shop`; `everywhere` for none. */
export function scopeWords(scopes: readonly AccessScope[] | undefined): string {
  if (scopes === undefined || scopes.length === 0) return 'everywhere';
  return scopes.map(({ kind, name }) => `${kind} ${name}`).join(', ');
}

export function placeWords({ sites, runbooks }: Places): string {
  const parts = [
    ...runbooks.map((name) => `runbook ${name}`),
    ...(sites.length === 0 ? [] : [`${sites.length === 1 ? 'site' : 'sites'} ${sites.join(', ')}`]),
  ];
  return parts.length === 0 ? 'no site and no runbook' : parts.join(' at ');
}

export function listed(words: readonly string[], or = 'or'): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${or} ${words.at(-1)}`;
}

/** Both together, without repeating a name. */
export function bothPeople(one: People, other: People): People {
  return {
    roles: [...new Set([...one.roles, ...other.roles])],
    people: [...new Set([...one.people, ...other.people])],
  };
}
