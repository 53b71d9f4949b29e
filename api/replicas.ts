/** Replicas as their sites see them, with the session's own state where a session answers. */
import type { ReplicaView } from '../model/replica';
import type { ServerSpec } from '../model/server';
import type { SessionView } from '../workflows/messages';
import { fewAtOnce } from '../model/few-at-once';
import type { ApiDeps } from './deps';
import type { KnownServers } from './known-servers';

export interface ReplicaOverview {
  readonly items: ReplicaView[];
  readonly unavailable: { siteId: string; because: string }[];
}

/** Sessions that are asked at the same time: each is a workflow that a worker has to bring into its memory. */
export const sessionsAtOnce = 20;

/** Asks every site that servers recover to. A site that does not answer is named; the others are shown. */
export async function viewReplicas(
  { temporal, config, log }: Pick<ApiDeps, 'temporal' | 'config' | 'log'>,
  servers: KnownServers,
  wanted: (server: ServerSpec) => boolean = () => true,
): Promise<ReplicaOverview> {
  const known = (await servers.list()).filter(wanted);
  const sites = [...new Set(known.map((server) => server.recoverySiteId))];
  const answers = await Promise.allSettled(sites.map((siteId) => temporal.viewReplicas(siteId)));
  const items: ReplicaView[] = [];
  const starting: ServerSpec[] = [];
  const unavailable: ReplicaOverview['unavailable'] = [];
  for (const [i, siteId] of sites.entries()) {
    const answer = answers[i]!;
    if (answer.status === 'rejected') {
      log.warn({ err: answer.reason, siteId }, 'A site did not show its replicas');
      unavailable.push({ siteId, because: answer.reason instanceof Error ? answer.reason.message : 'unknown' });
      continue;
    }
    const here = new Map(
      known.filter((server) => server.recoverySiteId === siteId).map((server) => [server.id, server]),
    );
    items.push(...answer.value.filter((view) => here.has(view.serverId)));
    const seen = new Set(items.map((item) => item.serverId));
    // Protected, and nothing at the site yet: shown, because what keeps it from starting must be seen.
    starting.push(...[...here.values()].filter((server) => !seen.has(server.id)));
  }
  const ask = askSessions(temporal, config);
  const merged = await fewAtOnce(items, sessionsAtOnce, async (item) => mergeSession(item, await ask(item.serverId)));
  const waiting = await fewAtOnce(starting, sessionsAtOnce, async (server) =>
    viewStarting(server, await ask(server.id)),
  );
  merged.push(...waiting.filter((view) => view !== undefined));
  return { items: merged.sort((a, b) => a.serverName.localeCompare(b.serverName)), unavailable };
}

/** undefined: no session, or it did not answer in time. When as many as are asked at once have not, nobody waits for more. */
export function askSessions(
  temporal: Pick<ApiDeps['temporal'], 'session'>,
  { tenantId, queryDeadlineMs }: ApiDeps['config'],
): (serverId: string) => Promise<SessionView | undefined> {
  let silent = 0;
  return async (serverId) => {
    if (silent >= sessionsAtOnce) return undefined;
    const askedAt = performance.now();
    const session = await temporal.session(tenantId, serverId).catch(() => undefined);
    if (session === undefined && performance.now() - askedAt >= 0.9 * queryDeadlineMs) silent += 1;
    return session;
  };
}

/** A session that has no replica at its site; undefined where there is no session either. */
function viewStarting(server: ServerSpec, session: SessionView | undefined): ReplicaView | undefined {
  if (session === undefined || session.state === 'removed') return undefined;
  const { state, heldBy, lastError } = session;
  return {
    serverId: server.id,
    serverName: server.name,
    state,
    heldBy,
    points: [],
    lagMs: null,
    storedBytes: 0,
    lastError,
  };
}

/** The session knows what it was told and what went wrong; the site knows what is on disk. */
function mergeSession(replica: ReplicaView, session: SessionView | undefined): ReplicaView {
  if (!session) return replica;
  return {
    ...replica,
    // A run's hold stands in a file beside the manifests and binds, whatever the session has seen of it yet.
    state: replica.heldBy === null ? session.state : replica.state,
    heldBy: replica.heldBy ?? session.heldBy,
    lastError: session.lastError ?? replica.lastError,
  };
}
