/** One round: everything is asked, and what was found is kept, with people told of what appeared and what went. */
import type { ReadinessAnswer } from '../../model/readiness/site-readiness';
import type { ReplicaView } from '../../model/replica';
import { certificateRisks, notAskedRisk, rehearsalRisks } from '../../model/readiness/plan-risks';
import { lagRisksOfRunbooks, replicationRisks } from '../../model/readiness/replication-risks';
import { installationSource, siteSource, type RiskFound, type RiskSubject } from '../../model/readiness/risks';
import { siteRisks, type AskedOrder } from '../../model/readiness/site-risks';
import { isChangeUnseen, isUnseen, unseenOf } from '../../model/readiness/unseen';
import type { NotificationRule, Runbook, Script } from '../../model/runbook/runbook';
import { describeSecretRef } from '../../model/secrets';
import type { ServerSpec } from '../../model/server';
import type { ApiDeps } from '../deps';
import type { KnownServers } from '../known-servers';
import { viewReplicas } from '../replicas';
import { readinessOf } from '../deps';
import { changedAtSource, gather, verifyAll, type Gathered } from './gather';
import { concerns, scopeOf, wholeOnly, type ReadinessScope } from './scope';

export type RoundDeps = Pick<ApiDeps, 'store' | 'temporal' | 'config' | 'clock' | 'log' | 'certificates'>;

/** Servers in one question: its answer has to come before the question's deadline. */
const serversAtOnce = 50;

export interface RoundEnded {
  readonly appeared: number;
  readonly gone: number;
  readonly silent: readonly string[];
}

/**
 * @param of a runbook or a server: only its sites are asked, and only about its servers; what concerns others stays as it was
 * @throws the store's errors, and Problem `not-found` as scopeOf; a site that does not answer is a risk.
 */
export async function readinessRound(deps: RoundDeps, servers: KnownServers, of?: string): Promise<RoundEnded> {
  const { store, config, clock } = deps;
  const { dueMs, certificateMs } = readinessOf(config);
  const all = await gather(deps);
  const scope = of === undefined ? null : wholeOnly(scopeOf(all, of), all);
  const gathered = scope === null ? all : only(all, scope);
  const everySite = [...new Set([...config.siteIds, ...all.servers.map((server) => server.recoverySiteId)])];
  const siteIds = scope === null ? everySite : everySite.filter((siteId) => scope.sites.has(siteId));
  const replicas = await viewReplicas(deps, servers);
  const away = new Map(replicas.unavailable.map(({ siteId, because }) => [siteId, because]));
  const bySite = new Map(replicas.items.map((item) => [item.serverId, item]));
  const asked: string[] = [installationSource];
  const silent: string[] = [];
  const found: RiskFound[] = [...gathered.found];
  const answers: ReadinessAnswer[] = [];
  for (const siteId of siteIds) {
    const answered = await askSite(deps, siteId, gathered, all, bySite, away.get(siteId));
    const at = clock().toISOString();
    if ('found' in answered) {
      found.push(...answered.found);
      answers.push(answered.answer);
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
  const unseen = unseenOf({ ...gathered, answers, runbooks: partsOf(all) });
  const ofAsked = gathered.servers.filter(({ recoverySiteId }) => asked.includes(siteSource(recoverySiteId)));
  const seen = new Set(ofAsked.map(({ name }) => name));
  const stands = (name: string, change: string) => !seen.has(name) || isChangeUnseen(unseen, name, change);
  found.push(...rehearsalRisksOf(await verifiedNow(deps, all, stands, found), dueMs, nowMs));
  found.push(...certificateRisks((await deps.certificates?.()) ?? [], certificateMs, nowMs));
  const at = new Date(nowMs).toISOString();
  const sources = [installationSource, ...everySite.map(siteSource)];
  const looked = scope === null ? {} : { looked: (subject: RiskSubject) => concerns(scope, subject) };
  const kept = await store.risks.reconcile({
    at,
    asked,
    sources,
    found,
    rules: rulesOf(all),
    unseen: (risk) => isUnseen(unseen, risk),
    ...looked,
  });
  if (scope === null) await store.risks.noteAsked(installationSource, at, null);
  return { ...kept, silent };
}

/** What sites are asked about; what the installation itself knows is whole all the same. */
function only(all: Gathered, { servers }: ReadinessScope): Gathered {
  return {
    ...all,
    servers: all.servers.filter(({ name }) => servers.has(name)),
    asked: all.asked.filter(({ order }) => servers.has(order.server.name)),
  };
}

const rehearsalRisksOf = (runbooks: Gathered['runbooks'], dueMs: number, nowMs: number): RiskFound[] =>
  runbooks.flatMap((one) => rehearsalRisks(one.ready.runbook.name, one.verification, dueMs, nowMs));

/**
 * Verified anew where a source was seen to have changed, or no longer: what turns a runbook is told in the same round.
 *
 * @param stands whether a change that was known was not looked at, and stays known
 */
async function verifiedNow(
  deps: RoundDeps,
  { runbooks, servers, changed }: Gathered,
  stands: (name: string, change: string) => boolean,
  found: readonly RiskFound[],
): Promise<Gathered['runbooks']> {
  const now = changedAtSource(found);
  for (const [name, changes] of changed) {
    const known = changes.filter((change) => stands(name, change));
    if (known.length > 0) now.set(name, [...known, ...(now.get(name) ?? [])]);
  }
  const isSame = now.size === changed.size && [...now].every(([name, is]) => is.join() === changed.get(name)?.join());
  const ready = runbooks.map((one) => one.ready);
  return isSame ? runbooks : verifyAll(deps, ready, servers, now);
}

type SiteAnswered =
  { readonly found: readonly RiskFound[]; readonly answer: ReadinessAnswer } | { readonly because: string };

async function askSite(
  { temporal, log, config, clock }: RoundDeps,
  siteId: string,
  gathered: Gathered,
  all: Gathered,
  replicas: ReadonlyMap<string, ReplicaView>,
  away: string | undefined,
): Promise<SiteAnswered> {
  if (away !== undefined) return { because: away };
  const here = ({ recoverySiteId }: ServerSpec): boolean => recoverySiteId === siteId;
  const servers = gathered.servers.filter(here);
  const orders = gathered.asked.filter(({ order }) => order.target.siteId === siteId);
  const planned = new Set(all.runbooks.flatMap(({ ready }) => ready.runbook.servers.map(({ name }) => name)));
  try {
    // A secret is the site's: whoever is asked about, all of them are looked at, so that none is taken for mended.
    const secrets = secretsOf(all.servers.filter(here), all.runbooks);
    const answer = await askInParts(temporal, siteId, servers, orders, secrets);
    return {
      answer,
      found: [
        ...servers.flatMap((server) => replicationRisks(server, replicas.get(server.id), planned.has(server.name))),
        ...lagRisksOfRunbooks(orders, servers, replicas, objectivesOf(gathered), includesOf(gathered)),
        ...siteRisks(siteId, servers, orders, answer, includesOf(gathered)),
        ...certificateRisks(answer.certificates ?? [], readinessOf(config).certificateMs, clock().getTime(), siteId),
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
  secrets: readonly string[],
): Promise<ReadinessAnswer> {
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
      certificates: start === 0,
    });
    whole =
      whole === undefined
        ? part
        : { ...whole, orders: [...whole.orders, ...part.orders], sources: [...whole.sources, ...part.sources] };
  }
  return whole!;
}

const partsOf = ({ runbooks }: Gathered) =>
  new Map(
    runbooks.map(({ ready: { runbook } }) => {
      const includes = runbook.includes.map((one) => one.runbook);
      return [runbook.name, { servers: runbook.servers.map(({ name }) => name), includes }];
    }),
  );

const includesOf = ({ runbooks }: Gathered): ReadonlyMap<string, readonly string[]> =>
  new Map(runbooks.map(({ ready: { runbook } }) => [runbook.name, runbook.includes.map((one) => one.runbook)]));

const objectivesOf = ({ runbooks }: Gathered): ReadonlyMap<string, Runbook['objectives']> =>
  new Map(runbooks.map(({ ready: { runbook } }) => [runbook.name, runbook.objectives]));

/** Of encrypted volumes, and of every program that a runbook runs with these servers, on whatever occasion. */
function secretsOf(servers: readonly ServerSpec[], runbooks: Gathered['runbooks']): string[] {
  const here = new Set(servers.map(({ name }) => name));
  const ofServers = servers.flatMap(({ unlockKeys = [] }) => unlockKeys.map(describeSecretRef));
  const ofScripts = runbooks.flatMap(({ ready: { runbook } }) =>
    runbook.scripts
      .filter((script) => serversOfScript(runbook, script).some((name) => here.has(name)))
      .flatMap(({ environment }) =>
        Object.values(environment).flatMap((value) => (typeof value === 'string' ? [] : [value.secret])),
      ),
  );
  return [...new Set([...ofServers, ...ofScripts])];
}

/** A wave's runs where its first server is recovered. */
function serversOfScript({ servers }: Runbook, { at, servers: which }: Script): string[] {
  const names = servers.map(({ name }) => name);
  if (at.kind === 'step') return which === 'all' ? names : [...which];
  return servers
    .filter(({ wave }) => wave === at.wave)
    .map(({ name }) => name)
    .slice(0, 1);
}

/**
 * Those of every runbook that the risk concerns, on whatever occasion; where none names its own, those of the installation hold. Put
 * in order once: risks may be thousands.
 */
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
