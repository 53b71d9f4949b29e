/** A site's readiness, asked without a run: what preflight would find for each order, its host, its secrets, its sources. */
import { fewAtOnce } from '../model/few-at-once';
import { isMusterError } from '../model/errors';
import type { RecoveryOrder } from '../model/order';
import type { FailedCheck, ReadinessAnswer, ReadinessQuestion, SourceSeen } from '../model/readiness/site-readiness';
import { orderCheck } from '../model/readiness/unseen';
import { parseSecretRef } from '../model/secrets';
import type { ServerSpec } from '../model/server';
import type { Machine, PlatformHealth } from '../platforms/contract';
import { orAbort, within } from '../programs/within';
import { allMachines } from './all-machines';
import type { SiteActivities } from './contract';
import { bytesToWrite, checksOf, wantedPoint } from './preflight';
import { asActivity } from './session';
import { platformOf, recoverySite, sourceSite, type ActivityDeps, type RecoverySite } from './site';

/** A source answers at once or not at all. */
const longestSourceMs = 8_000;
const atOnce = 8;

export function createReadinessAnswers(deps: ActivityDeps): Pick<SiteActivities, 'examineReadiness'> {
  return { examineReadiness: (question) => asActivity((signal) => examine(deps, question, signal)) };
}

async function examine(deps: ActivityDeps, question: ReadinessQuestion, signal: AbortSignal): Promise<ReadinessAnswer> {
  const site = recoverySite(deps.sites, question.siteId);
  const [health, machines, freeBytes, host, secrets, sources, certificates] = await Promise.all([
    site.platform.health({ signal }),
    allMachines(site.platform, { signal }),
    site.replicas.freeBytes(),
    deps.hostChecks?.() ?? [],
    unresolved(deps, question.secrets),
    lookAtSources(deps, question.servers, signal),
    question.certificates === true ? (site.certificates?.() ?? []) : [],
  ]);
  const seen = { health, machines, freeBytes, nowMs: deps.now() };
  const orders = await fewAtOnce(question.orders, atOnce, (order) => examineOrder(site, order, seen));
  const { memoryFreeBytes, networks } = health;
  return { freeBytes, memoryFreeBytes, networks, host, orders, secrets, sources, certificates };
}

async function examineOrder(
  site: RecoverySite,
  order: RecoveryOrder,
  seen: { health: PlatformHealth; machines: readonly Machine[]; freeBytes: number; nowMs: number },
): Promise<ReadinessAnswer['orders'][number]> {
  const { runId, server } = order;
  try {
    const [points, view] = await Promise.all([site.replicas.points(server.id), site.replicas.view(server.id)]);
    const point = wantedPoint(order, points);
    const physical = platformOf(site, order).given !== undefined;
    const ofPhysical = physical && (await platformOf(site, order).health());
    const writtenBytes = await bytesToWrite(order, site, point);
    const look = { ...seen, ...(ofPhysical ? { health: { ...ofPhysical, networks: seen.health.networks } } : {}) };
    const checks = checksOf(order, site, { ...look, points, point, view, writtenBytes, given: [] });
    return { runId, failed: checks.filter(({ ok }) => !ok), neededBytes: writtenBytes };
  } catch (error) {
    return { runId, failed: [notLooked(error)], neededBytes: 0 };
  }
}

const notLooked = (error: unknown): FailedCheck => ({
  ...{ name: orderCheck, severity: 'problem', found: messageOf(error), needed: 'an order that the site can check' },
});

/** Each is resolved and let go: only whether it can be is said. */
async function unresolved(deps: ActivityDeps, refs: readonly string[]): Promise<ReadinessAnswer['secrets']> {
  const found = await fewAtOnce([...new Set(refs)], atOnce, async (ref) => {
    const parsed = parseSecretRef(ref);
    if (parsed === null) return { ref, because: 'it is no reference' };
    return deps.secrets(parsed).then(
      () => null,
      (error: unknown) => ({ ref, because: messageOf(error) }),
    );
  });
  return found.filter((one) => one !== null);
}

/** A source site that does not answer is not waited for again and again. */
export async function lookAtSources(
  deps: ActivityDeps,
  servers: readonly ServerSpec[],
  signal: AbortSignal,
): Promise<SourceSeen[]> {
  const silent = new Map<string, string>();
  return fewAtOnce(servers, atOnce, async ({ id: serverId, source }): Promise<SourceSeen> => {
    const known = silent.get(source.siteId);
    if (known !== undefined) return { serverId, now: null, because: known };
    return within({ signals: [signal], ms: longestSourceMs }, async (deadline) => {
      try {
        const { source: its } = sourceSite(deps.sites, source.siteId);
        const now = await orAbort(its.discover(source.machineName, { signal: deadline }), deadline);
        return { serverId, now, because: null };
      } catch (error) {
        signal.throwIfAborted();
        const because = deadline.aborted ? `no answer within ${longestSourceMs / 1000} s` : messageOf(error);
        if (deadline.aborted) silent.set(source.siteId, because);
        return { serverId, now: null, because };
      }
    });
  });
}

const messageOf = (error: unknown): string =>
  (isMusterError(error) || error instanceof Error ? error.message : String(error)).slice(0, 500);
