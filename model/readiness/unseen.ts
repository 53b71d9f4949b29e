/** What a round could not look at although its site answered: a risk that is known there stays as it was. */
import type { RiskFound, RiskKind } from './risks';
import type { AskedOrder } from './site-risks';
import { systemWords } from './shape';
import type { ReadinessAnswer, SourceSeen } from './site-readiness';
import type { ServerSpec } from '../server';

/** By name. */
export interface Unseen {
  /** Servers whose source did not answer. */
  readonly sources: ReadonlySet<string>;
  /** Servers whose source answered without its guest: of their operating system nothing was seen. */
  readonly systems: ReadonlySet<string>;
  /** Servers whose recovery could not be planned, or not be checked at the site. */
  readonly servers: ReadonlySet<string>;
  /** Runbooks of such servers, and those that include one of them. */
  readonly runbooks: ReadonlySet<string>;
  /** Runbooks that could not be planned. */
  readonly unplanned: ReadonlySet<string>;
}

/** What only a look at a server's recovery tells, of the server or of all of its runbook. */
const ofOrders: readonly RiskKind[] = ['space', 'memory', 'host', 'network', 'hardware', 'target', 'collision'];

export function isUnseen(unseen: Unseen, { kind, found, subject: { kind: of, name } }: RiskFound): boolean {
  // A runbook's servers are known where it was planned, and their lag whatever the site says of them.
  if (of === 'runbook' && kind === 'replication') return unseen.unplanned.has(name);
  if (of === 'runbook') return ofOrders.includes(kind) && unseen.runbooks.has(name);
  if (of !== 'server') return false;
  if (kind !== 'changed-source') return ofOrders.includes(kind) && unseen.servers.has(name);
  return isChangeUnseen(unseen, name, found);
}

/** Whether nobody could see if a known change of a server's source is still one. */
export const isChangeUnseen = ({ sources, systems }: Unseen, name: string, change: string): boolean =>
  sources.has(name) ||
  // A silent agent was itself such a change in earlier versions.
  (systems.has(name) && change.startsWith(systemWords(name)) && !change.includes(' is unknown, was '));

interface Looked {
  readonly servers: readonly ServerSpec[];
  readonly asked: readonly AskedOrder[];
  readonly answers: readonly ReadinessAnswer[];
  /** Runbooks that could not be planned, with their servers. */
  readonly unplanned: ReadonlyMap<string, readonly string[]>;
  /** The servers of each runbook, and what it includes. */
  readonly runbooks: ReadonlyMap<string, { readonly servers: readonly string[]; readonly includes: readonly string[] }>;
}

/** The check that stands for all where an order could not be looked at (activities/readiness-answers.ts). */
export const orderCheck = 'order';

export function unseenOf({ servers, asked, answers, unplanned, runbooks }: Looked): Unseen {
  const byId = new Map(servers.map(({ id, name }) => [id, name]));
  const byRun = new Map(asked.map(({ order }) => [order.runId, order.server.name]));
  const lookedAt = answers.flatMap((answer) => answer.sources);
  const whereIt = (is: (now: SourceSeen['now']) => boolean) =>
    new Set(lookedAt.filter(({ now }) => is(now)).map(({ serverId }) => byId.get(serverId) ?? ''));
  const unchecked = answers.flatMap((answer) =>
    answer.orders.flatMap(({ runId, failed }) =>
      failed.some(({ name }) => name === orderCheck) ? [byRun.get(runId) ?? ''] : [],
    ),
  );
  const lost = new Set([...unchecked, ...[...unplanned.values()].flat()]);
  const own = [...runbooks].flatMap(([name, one]) => (one.servers.some((server) => lost.has(server)) ? [name] : []));
  return {
    sources: whereIt((now) => now === null),
    systems: whereIt((now) => now?.os.family === 'unknown'),
    servers: lost,
    runbooks: including(new Set(own), runbooks),
    unplanned: new Set(unplanned.keys()),
  };
}

function including(names: ReadonlySet<string>, runbooks: Looked['runbooks']): ReadonlySet<string> {
  const more = [...runbooks].flatMap(([name, { includes }]) =>
    !names.has(name) && includes.some((one) => names.has(one)) ? [name] : [],
  );
  return more.length === 0 ? names : including(new Set([...names, ...more]), runbooks);
}
