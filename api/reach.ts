/**
 * What every operation touches, and so where a person's role has to hold for it: one table beside authorisation.ts, and one
 * function that decides by both. An operation without a row does not compile, nor does a row without an operation.
 */
import { holdsAt, nowhere, placeWords, scopeWords, type Places } from '../model/access';
import type { Person } from '../store/contract';
import { authorisation, mayDo, type Operation } from './authorisation';

export type Reach =
  /** No place: the role is enough. */
  | 'nothing'
  /** The installation as a whole: only roles that hold everywhere. */
  | 'everything'
  /** A list: it shows what is where the role holds, and nothing else. */
  | 'filtered'
  /** One server (by its recovery site), run (by its site and runbooks), runbook or site, named in the request. */
  | { readonly of: 'server' | 'run' | 'runbook' | 'site'; readonly in: 'path' | 'body'; readonly at: string };

const server = { of: 'server', in: 'path', at: 'server' } as const;
const run = { of: 'run', in: 'path', at: 'runId' } as const;
const runbook = { of: 'runbook', in: 'path', at: 'name' } as const;

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
  askReadiness: 'everything',
  askRunbookReadiness: runbook,
  listMachines: 'filtered',
  releaseMachine: 'everything',
  checkRunbook: 'nothing',
  // Of an imported one; a text may name any server, so it names no place.
  planRunbook: { of: 'runbook', in: 'body', at: 'name' },
  planEvacuation: 'everything',
  // Its text may name any server, and whoever holds the runbook could start it there.
  importRunbook: 'everything',
  listRunbooks: 'filtered',
  getRunbook: runbook,
  startPlan: runbook,
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
 * Why the person may not, or null: the one place where this is decided. `places`: where what the operation names is; null where
 * the operation names nothing, or before it is known; `nowhere` where it could name a place and this request does not.
 */
export function whyNot(
  { role, scopes }: Pick<Person, 'role' | 'scopes'>,
  operation: Operation,
  places: Places | null,
): string | null {
  if (!mayDo(role, operation)) return `role ${role}, needed ${authorisation[operation].join(' or ')}`;
  if (scopes === undefined || scopes.length === 0) return null;
  if (reaches[operation] === 'everything' || places === nowhere)
    return `role ${role} at ${scopeWords(scopes)}, needed one that holds everywhere`;
  if (places === null || holdsAt(scopes, places)) return null;
  return `role ${role} at ${scopeWords(scopes)}, needed one that holds at ${placeWords(places)}`;
}

/** For lists: whether the person is shown what is there. */
export const sees =
  ({ scopes }: Pick<Person, 'scopes'>) =>
  (places: Places): boolean =>
    holdsAt(scopes, places);

export const atSite = (siteId: string): Places => ({ sites: [siteId], runbooks: [] });
export const ofRunbook = (name: string): Places => ({ sites: [], runbooks: [name] });
