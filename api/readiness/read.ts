/** Readiness as it is shown: risks as the last round left them, and verification as it is at this moment. */
import { installationSource, rankOf, siteSource, type Risk } from '../../model/readiness/risks';
import { plain } from '../register';
import type { ReadinessDocument, ReadinessQuery } from '../schemas/readiness';
import { within } from '../within';
import { readInstallation, type GatherDeps } from './gather';
import { concerns, scopeOf } from './scope';

/** @param seen which runbooks are shown; @throws Problem `not-found` for a name that is neither a runbook's nor a server's. */
export async function readReadiness(
  deps: GatherDeps,
  query: ReadinessQuery,
  seen: (runbook: string) => boolean = () => true,
): Promise<ReadinessDocument> {
  const { store, config } = deps;
  const [installation, risks, asked] = await Promise.all([
    readInstallation(deps),
    within(
      config.storeDeadlineMs,
      store.risks.list(query.goneSince === undefined ? {} : { goneSince: query.goneSince }),
    ),
    within(config.storeDeadlineMs, store.risks.asked()),
  ]);
  const whole = query.of === undefined ? null : scopeOf(installation, query.of);
  const scope = whole && { ...whole, runbooks: new Set([...whole.runbooks].filter(seen)) };
  const siteIds = [
    ...new Set([...config.siteIds, ...installation.servers.map((server) => server.recoverySiteId)]),
  ].sort();
  const sites = siteIds.flatMap((siteId) => {
    const seen = asked.find(({ source }) => source === siteSource(siteId));
    if (seen === undefined || (scope !== null && !scope.sites.has(siteId))) return [];
    const { askedAt, answeredAt, because } = seen;
    return [{ siteId, askedAt, answeredAt, because }];
  });
  const runbooks = installation.runbooks
    .filter(({ ready }) => scope === null || scope.runbooks.has(ready.runbook.name))
    .map(({ ready: { runbook, version }, verification }) => ({ name: runbook.name, version, verification }));
  const worst = rankOf(query.severity ?? 'info');
  const items = risks.filter(
    (risk) =>
      rankOf(risk.severity) >= worst &&
      (query.kind === undefined || risk.kind === query.kind) &&
      (scope === null || concerns(scope, risk.subject)),
  );
  const askedAt = asked.find(({ source }) => source === installationSource)?.answeredAt ?? null;
  return plain<ReadinessDocument>({ askedAt, sites, runbooks, items: items.map(shown) });
}

const shown = ({ source: _, ...risk }: Risk) => risk;
