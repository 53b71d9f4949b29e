/**
 * What every operation touches, and so where a person's role has to hold for it: one table beside authorisation.ts, and one
 * function that decides by both. An operation without a row does not compile, nor does a row without an operation.
 */
import { holdsAt, listed, placeWords, scopeWords, type NamedPlaces, type Places } from '../model/access';
import type { Person } from '../store/contract';
import { authorisation, mayDo, type Operation } from './authorisation';

export type Reach =
  /** No place: the role is enough. */
  | 'nothing'
  /** The installation as a whole: only roles that hold everywhere. */
  | 'everything'
  /** A list: it shows what is where the role holds, and nothing else. */
  | 'filtered'
  /** One server (by its recovery site), run (by its sites and runbooks), runbook (by itself or its sites) or site. */
  | ({
      readonly of: 'server' | 'run' | 'runbook' | 'site';
      readonly in: 'path' | 'body';
      readonly at: string;
    } & Version)
  /**
   * A runbook's text in the body: every server, site and included runbook of it. Without one, the runbook that `name` says.
   * `import`: with the imported runbook of its name, too.
   */
  | ({ readonly of: 'text' | 'import'; readonly in: 'body'; readonly at: 'text' } & Version);

/** Where the request says which version of the runbook; absent: it is about the newest. */
interface Version {
  readonly version?: 'query' | 'body';
}

const server = { of: 'server', in: 'path', at: 'server' } as const;
const run = { of: 'run', in: 'path', at: 'runId' } as const;
const runbook = { of: 'runbook', in: 'path', at: 'name' } as const;
const text = { of: 'text', in: 'body', at: 'text' } as const;

export const reaches: Readonly<Record<Operation, Reach>> = {
  whoAmI: 'nothing',
  readMetrics: 'nothing',
  listServers: 'filtered',
  getServer: server,
  addServer: { of: 'site', in: 'body', at: 'recoverySiteId' },
  removeServer: server,
  protectServer: server,
  pauseProtection: server,
  resumeProtection: server,
  removeProtection: server,
  reverseProtection: server,
  listReplicas: 'filtered',
  getReplica: server,
  getReadiness: 'everything',
  getRunbookReadiness: runbook,
  getServerReadiness: server,
  askReadiness: 'everything',
  askRunbookReadiness: runbook,
  askServerReadiness: server,
  listMachines: 'filtered',
  releaseMachine: 'everything',
  checkRunbook: text,
  planRunbook: { ...text, version: 'body' },
  planEvacuation: 'everything',
  // Its text may name any server, and whoever holds the runbook could start it there: so its sites count, not its name.
  importRunbook: { of: 'import', in: 'body', at: 'text' },
  listRunbooks: 'filtered',
  getRunbook: { ...runbook, version: 'query' },
  startPlan: { ...runbook, version: 'body' },
  listSchedules: 'filtered',
  actOnSchedule: runbook,
  startRecovery: { of: 'server', in: 'body', at: 'server' },
  cleanUpRehearsal: run,
  listRuns: 'filtered',
  getRun: run,
  streamRunEvents: run,
  decide: run,
  getDecision: run,
  abortRun: run,
  withdrawAbort: run,
  closeRun: run,
  holdPlan: run,
  letPlanGoOn: run,
  listStuck: 'filtered',
  getReport: run,
  getEvidence: run,
  listNotifications: 'everything',
  testNotification: 'everything',
  issueToken: 'everything',
  listTokens: 'everything',
  revokeToken: 'everything',
};

/**
 * Why the person may not, or null: the one place where this is decided. `places`: where what the operation names is, or where each
 * of several things is; null where the operation names nothing, or before it is known.
 */
export function whyNot(
  { role, scopes }: Pick<Person, 'role' | 'scopes'>,
  operation: Operation,
  places: Places | readonly NamedPlaces[] | null,
): string | null {
  if (!mayDo(role, operation)) return `role ${role}, needed ${authorisation[operation].join(' or ')}`;
  if (scopes === undefined || scopes.length === 0) return null;
  const found = `role ${role} at ${scopeWords(scopes)}, needed one that holds`;
  if (reaches[operation] === 'everything') return `${found} everywhere`;
  if (places === null) return null;
  if ('sites' in places) return holdsAt(scopes, places) ? null : `${found} at ${placeWords(places)}`;
  const outside = places.filter((one) => !holdsAt(scopes, one));
  return outside.length === 0 ? null : `${found} at ${namedWords(outside)}`;
}

const mostNamed = 5;

/** `server db01 (site rome) and limits.sites (site rome)`. */
function namedWords(named: readonly NamedPlaces[]): string {
  const first = named.slice(0, mostNamed).map(({ what, ...places }) => `${what} (${placeWords(places)})`);
  const more = named.length - first.length;
  return listed(more === 0 ? first : [...first, `${more} more`], 'and');
}

/** For lists: whether the person is shown what is there. */
export const sees =
  ({ scopes }: Pick<Person, 'scopes'>) =>
  (places: Places): boolean =>
    holdsAt(scopes, places);

export const atSite = (siteId: string): Places => ({ sites: [siteId], runbooks: [] });
export const ofRunbook = (name: string): Places => ({ sites: [], runbooks: [name] });
