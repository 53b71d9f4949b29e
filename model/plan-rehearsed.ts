/** A runbook's rehearsal summed up: per server its isolation and its clean-up as they were shown, and the networks of all of them. */
import type { RunEvent } from './events';
import type { PartView } from './plan-view/parts';
import type { PlanView } from './plan-view/plan-view';
import type { ServerOfPlanView } from './plan-view/server-of-plan';
import type { RehearsedFacts } from './rehearsed-facts';

export interface PlanRehearsed {
  readonly servers: readonly RehearsedServer[];
  readonly networks: {
    /** null: its servers needed none made for them, or an outer plan made them. */
    readonly made: readonly string[] | null;
    /** Site by site, as the platform was asked after their removal. */
    readonly gone: readonly NetworksOfSite[];
  };
}

export interface RehearsedServer {
  readonly name: string;
  /** Names of the included runbooks that it is in. */
  readonly within: readonly string[];
  /** null: it had no run. */
  readonly runId: string | null;
  /** null: its row is of an earlier version, and its own report tells. */
  readonly rehearsed: RehearsedFacts | null;
}

export interface NetworksOfSite {
  readonly siteId: string;
  readonly gone: readonly string[];
  readonly lookedAt: string;
}

/** null: no rehearsal. */
export function planRehearsed({ order, waves, parts }: PlanView, events: readonly RunEvent[]): PlanRehearsed | null {
  if (order.mode !== 'rehearsal') return null;
  const own = waves.flatMap((wave) => wave.servers).map((server) => rehearsedServer(server, []));
  const servers = [...own, ...parts.flatMap((part) => ofPart(part, []))];
  return { servers, networks: { made: madeIn(events), gone: goneIn(events) } };
}

const rehearsedServer = ({ name, runId, rehearsed }: ServerOfPlanView, within: readonly string[]): RehearsedServer => ({
  ...{ name, within, runId, rehearsed },
});

function ofPart({ name, servers, parts }: PartView, above: readonly string[]): RehearsedServer[] {
  const within = [...above, name];
  return [...servers.map((one) => rehearsedServer(one, within)), ...parts.flatMap((part) => ofPart(part, within))];
}

type Fields = Readonly<Record<string, unknown>>;

/** One result for each site; of an earlier version the last site's alone, or nothing. */
const resultsOf = (result: unknown): readonly Fields[] =>
  (Array.isArray(result) ? result : [result]).filter((one): one is Fields => typeof one === 'object' && one !== null);

const namesIn = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];

function madeIn(events: readonly RunEvent[]): readonly string[] | null {
  const done = events.findLast((event) => event.kind === 'step-done' && event.step === 'make-networks');
  if (done?.kind !== 'step-done') return null;
  return [...new Set(resultsOf(done.data.result).flatMap(({ networks }) => namesIn(networks)))].sort();
}

/** Removed as a step of the clean-up, or as the undo of what made them. */
function goneIn(events: readonly RunEvent[]): NetworksOfSite[] {
  const removed = events.findLast(
    (event) =>
      event.kind === 'attempt-succeeded' &&
      (event.step === 'remove-networks' || (event.step === 'make-networks' && event.data.undo)),
  );
  if (removed?.kind !== 'attempt-succeeded') return [];
  return networksGone(removed.data.result);
}

/** What the result of a removal says; absent parts of a record of an earlier version prove nothing. */
export const networksGone = (result: unknown): NetworksOfSite[] =>
  resultsOf(result).flatMap(({ siteId, gone, lookedAt }) =>
    typeof siteId === 'string' && typeof lookedAt === 'string' ? [{ siteId, gone: namesIn(gone), lookedAt }] : [],
  );
