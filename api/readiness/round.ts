/** One round: everything is asked, and what was found is kept, with people told of what appeared and what went. */
import type { ReadinessAnswer } from '../../model/readiness/site-readiness';
import type { ReplicaView } from '../../model/replica';
import { certificateRisks, notAskedRisk } from '../../model/readiness/plan-risks';
import { replicationRisks } from '../../model/readiness/replication-risks';
import { installationSource, siteSource, type RiskFound } from '../../model/readiness/risks';
import { siteRisks, type AskedOrder } from '../../model/readiness/site-risks';
import type { NotificationRule } from '../../model/runbook/runbook';
import { describeSecretRef } from '../../model/secrets';
import type { ServerSpec } from '../../model/server';
import type { ApiDeps } from '../deps';
import type { KnownServers } from '../known-servers';
import { viewReplicas } from '../replicas';
import { readinessOf } from '../deps';
import { gather, type Gathered } from './gather';

export type RoundDeps = Pick<ApiDeps, 'store' | 'temporal' | 'config' | 'clock' | 'log' | 'certificates'>;

/** Servers in one question: its answer has to come before the question's deadline. */
const serversAtOnce = 50;

export interface RoundEnded {
  readonly appeared: number;
  readonly gone: number;
  readonly silent: readonly string[];
}

/** @throws the store's errors; a site that does not answer is a risk. */
export async function readinessRound(deps: RoundDeps, servers: KnownServers): Promise<RoundEnded> {
  const { store, config, clock } = deps;
  const { dueMs, certificateMs } = readinessOf(config);
  const gathered = await gather(deps, dueMs);
  const siteIds = [...new Set([...config.siteIds, ...gathered.servers.map((server) => server.recoverySiteId)])];
  const replicas = await viewReplicas(deps, servers);
  const away = new Map(replicas.unavailable.map(({ siteId, because }) => [siteId, because]));
  const bySite = new Map(replicas.items.map((item) => [item.serverId, item]));
  const asked: string[] = [installationSource];
  const silent: string[] = [];
  const found: RiskFound[] = [...gathered.found];
  for (const siteId of siteIds) {
    const answered = await askSite(deps, siteId, gathered, bySite, away.get(siteId));
    const at = clock().toISOString();
    if ('found' in answered) {
      found.push(...answered.found);
      asked.push(siteSource(siteId));
      await store.risks.noteAsked(siteSource(siteId), at, null);
      continue;
    }
    silent.push(siteId);
    await store.risks.noteAsked(siteSource(siteId), at, answered.because);
    const before = (await store.risks.asked()).find(({ source }) => source === siteSource(siteId));
    found.push(notAskedRisk(siteId, before?.answeredAt ?? null, answered.because));
  }
  const nowMs = clock().getTime();
  found.push(...certificateRisks((await deps.certificates?.()) ?? [], certificateMs, nowMs));
  const at = new Date(nowMs).toISOString();
  const sources = [installationSource, ...siteIds.map(siteSource)];
  const kept = await store.risks.reconcile({ at, asked, sources, found, rules: rulesOf(gathered) });
  await store.risks.noteAsked(installationSource, at, null);
  return { ...kept, silent };
}

type SiteAnswered = { readonly found: readonly RiskFound[] } | { readonly because: string };

async function askSite(
  { temporal, log }: RoundDeps,
  siteId: string,
  gathered: Gathered,
  replicas: ReadonlyMap<string, ReplicaView>,
  away: string | undefined,
): Promise<SiteAnswered> {
  if (away !== undefined) return { because: away };
  const servers = gathered.servers.filter((server) => server.recoverySiteId === siteId);
  const orders = gathered.asked.filter(({ order }) => order.target.siteId === siteId);
  const planned = new Set(orders.map(({ order }) => order.server.id));
  try {
    const answer = await askInParts(temporal, siteId, servers, orders);
    return {
      found: [
        ...servers.flatMap((server) => replicationRisks(server, replicas.get(server.id), planned.has(server.id))),
        ...siteRisks(siteId, servers, orders, answer),
      ],
    };
  } catch (error) {
    log.warn({ err: error, siteId }, 'A site did not say whether it is ready');
    return { because: error instanceof Error ? error.message : String(error) };
  }
}

async function askInParts(
  temporal: RoundDeps['temporal'],
  siteId: string,
  servers: readonly ServerSpec[],
  asked: readonly AskedOrder[],
): Promise<ReadinessAnswer> {
  const secrets = secretsOf(servers, asked);
  let whole: ReadinessAnswer | undefined;
  for (let start = 0; start < Math.max(1, servers.length); start += serversAtOnce) {
    const some = servers.slice(start, start + serversAtOnce);
    const ids = new Set(some.map(({ id }) => id));
    const orders = asked.filter(({ order }) => ids.has(order.server.id)).map(({ order }) => order);
    const part = await temporal.examineReadiness({
      siteId,
      servers: some,
      orders,
      secrets: start === 0 ? secrets : [],
    });
    whole =
      whole === undefined
        ? part
        : { ...whole, orders: [...whole.orders, ...part.orders], sources: [...whole.sources, ...part.sources] };
  }
  return whole!;
}

/** Of encrypted volumes, and of programs that run on the worker. */
function secretsOf(servers: readonly ServerSpec[], asked: readonly AskedOrder[]): string[] {
  const ofServers = servers.flatMap(({ unlockKeys = [] }) => unlockKeys.map(describeSecretRef));
  const ofScripts = asked.flatMap(({ order }) =>
    (order.scripts ?? []).flatMap(({ environment }) =>
      Object.values(environment).flatMap((value) => (typeof value === 'string' ? [] : [value.secret])),
    ),
  );
  return [...new Set([...ofServers, ...ofScripts])];
}

/** Those of every runbook that the risk concerns; none: those of the installation. Put in order once: risks may be thousands. */
function rulesOf({ runbooks, servers }: Gathered): (risk: RiskFound) => readonly NotificationRule[] | null {
  const sites = new Map(servers.map(({ name, recoverySiteId }) => [name, recoverySiteId]));
  const concerned = new Map<string, NotificationRule[]>();
  for (const { ready } of runbooks) {
    const { name, servers: own, notify } = ready.runbook;
    if (notify.length === 0) continue;
    const ofServers = own.flatMap((server) => [`server/${server.name}`, `site/${sites.get(server.name)}`]);
    for (const key of new Set([`runbook/${name}`, ...ofServers])) {
      const known = concerned.get(key);
      if (known === undefined) concerned.set(key, [...notify]);
      else known.push(...notify);
    }
  }
  return ({ subject: { kind, name } }) => concerned.get(`${kind}/${name}`) ?? null;
}
