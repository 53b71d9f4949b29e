/** Readiness as it is shown: risks as the last round left them, and verification as it is at this moment. */
import { nearNames } from '../../model/near';
import { installationSource, severities, siteSource, type Risk, type RiskSubject } from '../../model/readiness/risks';
import { notFound } from '../problems';
import { plain } from '../register';
import type { ReadinessDocument, ReadinessQuery } from '../schemas/readiness';
import { within } from '../within';
import { readInstallation, type GatherDeps, type Installation } from './gather';

/** @throws Problem `not-found` for a name that is neither a runbook's nor a server's. */
export async function readReadiness(deps: GatherDeps, query: ReadinessQuery): Promise<ReadinessDocument> {
  const { store, config } = deps;
  const [installation, risks, asked] = await Promise.all([
    readInstallation(deps),
    within(
      config.storeDeadlineMs,
      store.risks.list(query.goneSince === undefined ? {} : { goneSince: query.goneSince }),
    ),
    within(config.storeDeadlineMs, store.risks.asked()),
  ]);
  const scope = query.of === undefined ? null : scopeOf(installation, query.of);
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
  const worst = severities.indexOf(query.severity ?? 'info');
  const items = risks.filter(
    (risk) =>
      severities.indexOf(risk.severity) >= worst &&
      (query.kind === undefined || risk.kind === query.kind) &&
      (scope === null || concerns(scope, risk.subject)),
  );
  const askedAt = asked.find(({ source }) => source === installationSource)?.answeredAt ?? null;
  return plain<ReadinessDocument>({ askedAt, sites, runbooks, items: items.map(shown) });
}

const shown = ({ source: _, ...risk }: Risk) => risk;

interface Scope {
  readonly runbooks: ReadonlySet<string>;
  readonly servers: ReadonlySet<string>;
  readonly sites: ReadonlySet<string>;
}

/** A runbook with what it contains, its servers and their sites; or a server with its site and every runbook that has it. */
function scopeOf({ runbooks, servers }: Installation, name: string): Scope {
  const byName = new Map(runbooks.map(({ ready }) => [ready.runbook.name, ready.runbook]));
  const sitesOf = (names: ReadonlySet<string>) =>
    new Set(servers.filter((server) => names.has(server.name)).map((server) => server.recoverySiteId));
  if (byName.has(name)) {
    const inside = new Set<string>();
    const wanted = [name];
    for (let next = wanted.shift(); next !== undefined; next = wanted.shift()) {
      if (inside.has(next)) continue;
      inside.add(next);
      wanted.push(...(byName.get(next)?.includes.map(({ runbook }) => runbook) ?? []));
    }
    const own = new Set([...inside].flatMap((one) => byName.get(one)?.servers.map((server) => server.name) ?? []));
    return { runbooks: inside, servers: own, sites: sitesOf(own) };
  }
  const server = servers.find((one) => one.name === name || one.id === name);
  if (server === undefined) {
    const names = [...byName.keys(), ...servers.map((one) => one.name)];
    throw notFound('runbook or server', name, nearNames(name, names));
  }
  const own = new Set([server.name]);
  const having = [...byName.values()].filter((runbook) => runbook.servers.some((one) => one.name === server.name));
  return { runbooks: new Set(having.map((runbook) => runbook.name)), servers: own, sites: sitesOf(own) };
}

function concerns({ runbooks, servers, sites }: Scope, { kind, name }: RiskSubject): boolean {
  switch (kind) {
    case 'runbook':
      return runbooks.has(name);
    case 'server':
      return servers.has(name);
    case 'site':
      return sites.has(name);
    case 'installation':
      return true;
  }
}
