/**
 * Turning a server's protection round after a recovery: from where it runs now to where it ran before. Called after a recovery it
 * makes the failback possible; called after the failback it protects the server in the first direction again (docs/failback.md).
 *
 * May be called again after any crash: each part looks first whether it is done.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { printable } from '../../model/names';
import type { Provenance, RecoveryOrder } from '../../model/order';
import type { ServerSpec } from '../../model/server';
import { serverProblems } from '../../model/server-problems';
import type { Person } from '../../store/contract';
import type { SessionView } from '../../workflows/messages';
import type { ApiDeps } from '../deps';
import type { KnownServers } from '../known-servers';
import { Problem } from '../problems';
import { atSite, whyNot } from '../reach';
import { refuseWhileRunning } from '../recoveries/refuse-running';
import { updateIdOf } from '../runs/acts';
import { within } from '../within';
import { lastRecovered } from './last-recovered';

export interface ReversePush {
  readonly server: ServerSpec;
  readonly reason: string;
  readonly by: Provenance;
  readonly person: Person;
}

export interface Reversed {
  /** As it is from now on. */
  readonly server: ServerSpec;
  /** Protection in this direction was there already. */
  readonly existed: boolean;
}

/**
 * @throws Problem `recovery-running` while a run has the server; `conflict` for one that no run recovered, for one that runs where
 * nothing can be copied from, and where the site that it came from cannot receive; `no-worker`.
 */
export async function reverseProtection(
  deps: ApiDeps,
  servers: KnownServers,
  { server, reason, by, person }: ReversePush,
): Promise<Reversed> {
  const { temporal, config } = deps;
  await refuseWhileRunning(deps, server, 'protected the other way');
  const last = await lastRecovered(deps, server);
  const isTurned = server.source.siteId === last.siteId && server.source.machineName === last.machineName;
  const turned = isTurned ? server : await turnedRound(deps, server, last, person);
  if (!isTurned) await record(deps, server, turned, { runId: last.order.runId, reason, by });
  await endOldSession(deps, turned, last.order, { reason, by });
  if (!isTurned) {
    await within(config.storeDeadlineMs, deps.store.servers.save(turned));
    await servers.refresh();
  }
  const { tenantId, coreId } = config;
  const { existed } = await temporal.startSession({ tenantId, coreId, server: turned, by });
  return { server: turned, existed };
}

/** Its hardware is read anew: the machine is another one. What people said of the server stays. */
async function turnedRound(
  { temporal, config }: ApiDeps,
  server: ServerSpec,
  source: { readonly siteId: string; readonly machineName: string },
  person: Person,
): Promise<ServerSpec> {
  const { siteId, machineName } = source;
  const recoverySiteId = server.source.siteId;
  refuseSite(config.siteIds, server, recoverySiteId);
  const because = whyNot(person, 'reverseProtection', atSite(recoverySiteId));
  if (because !== null) {
    throw new Problem('forbidden', `"reverseProtection" is not allowed for ${person.name}: found ${because}`);
  }
  const found = await temporal.discoverServer({ recoverySiteId, sourceSiteId: siteId, machineName });
  const problems = serverProblems(found);
  if (problems.length > 0) {
    throw new Problem(
      'conflict',
      `${server.name} cannot be protected as ${machineName} was found: ${problems.map(printable).join('; ')}. Correct the machine at ${siteId}`,
    );
  }
  // A machine that Muster made is asked through its agent, which need not run.
  const os = found.os.family === 'unknown' ? server.os : found.os;
  return { ...server, ...found, os, source: { siteId, machineName }, recoverySiteId };
}

function refuseSite(known: readonly string[], { name }: ServerSpec, siteId: string): void {
  if (known.includes(siteId)) return;
  throw new Problem(
    'conflict',
    `${name} cannot be protected the other way: found no recovery site "${siteId}", where it came from; needed it among ${known.join(', ')}. Add it under \`sites\` of the configuration, and where the server runs now under \`sources\`, and restart Muster`,
  );
}

/** Before it is done, so that whoever finds it half done finds who wanted it. */
async function record(
  { store, config, clock }: ApiDeps,
  before: ServerSpec,
  after: ServerSpec,
  { runId, reason, by }: { runId: string; reason: string; by: Provenance },
): Promise<void> {
  const direction = ({ source, recoverySiteId }: ServerSpec) => ({ ...source, recoverySiteId });
  const data = { server: before.name, from: direction(before), to: direction(after), afterRun: runId, reason };
  const at = clock().toISOString();
  const event = { kind: 'protection-reversed', at, by, step: null, item: null, attempt: null, data } as const;
  await within(config.storeDeadlineMs, store.journal.note(event));
}

/**
 * The session of the other direction. Its replica stays where the recovered machine stands on it, and is taken up again when the
 * server is protected in that direction; a destructive recovery has taken it, and only what is left of it goes.
 */
async function endOldSession(
  deps: ApiDeps,
  { id, name, recoverySiteId }: ServerSpec,
  { option }: RecoveryOrder,
  { reason, by }: { reason: string; by: Provenance },
): Promise<void> {
  const { temporal, config } = deps;
  const { tenantId } = config;
  const old = await oldSession(deps, id, recoverySiteId);
  if (old === null) return;
  const request = { reason, by, ofSite: old.recoverySiteId ?? '', keepReplica: option !== 'destructive' };
  const { ofSite: _, ...ofAny } = request;
  const wanted = old.recoverySiteId === undefined ? ofAny : request;
  const answer = await temporal.changeSession(
    tenantId,
    id,
    'remove',
    wanted,
    updateIdOf('remove', by.actor.id, by.requestId),
  );
  if (answer.kind === 'refused' && answer.refusal !== 'Closed') {
    throw new Problem('refused', `${name}: ${answer.message}`, { refusal: answer.refusal });
  }
  if (await temporal.untilSessionEnds(tenantId, id, config.closingMs)) return;
  throw new Problem(
    'part-unavailable',
    `The replication of ${name} in the other direction has not ended yet${old.lastError === null ? '' : ` (${old.lastError})`}. Look at \`muster replicas ${name}\`, then ask again: what is done is found done`,
  );
}

const lookEveryMs = 200;

/** null: none runs, or only that of the wanted direction. A run that has ended lets its replica go a moment later. */
async function oldSession(
  { temporal, config, clock }: ApiDeps,
  serverId: string,
  recoverySiteId: string,
): Promise<SessionView | null> {
  const until = clock().getTime() + config.closingMs;
  for (;;) {
    if (!(await temporal.sessionRuns(config.tenantId, serverId))) return null;
    const session = await temporal.session(config.tenantId, serverId);
    if (session?.recoverySiteId === recoverySiteId) return null;
    const late = clock().getTime() >= until;
    if (session !== undefined && (session.heldBy === null || late)) return session;
    if (late) {
      throw new Problem(
        'no-worker',
        'No worker answered for the replication of this server. Start one, then ask again',
      );
    }
    await sleep(lookEveryMs);
  }
}
