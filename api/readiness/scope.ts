/** What a runbook or a server has to do with: shown where one is asked for, and looked at where one is asked about now. */
import { nearNames } from '../../model/near';
import type { RiskSubject } from '../../model/readiness/risks';
import type { Runbook } from '../../model/runbook/runbook';
import { notFound } from '../problems';
import type { Installation } from './gather';

export interface ReadinessScope {
  readonly runbooks: ReadonlySet<string>;
  readonly servers: ReadonlySet<string>;
  readonly sites: ReadonlySet<string>;
}

/**
 * A runbook with what it contains, its servers and their sites; or a server with its site and every runbook that has it.
 *
 * @throws Problem `not-found` for a name that is neither.
 */
export function scopeOf({ runbooks, servers, unreadable }: Installation, name: string): ReadinessScope {
  const byName = byNameOf(runbooks);
  const sitesOf = (names: ReadonlySet<string>) =>
    new Set(servers.filter((server) => names.has(server.name)).map((server) => server.recoverySiteId));
  if (byName.has(name)) {
    const inside = withinRunbook(name, byName);
    const own = serversOf(inside, byName);
    return { runbooks: inside, servers: own, sites: sitesOf(own) };
  }
  // Of a text that this version does not read nothing is known but that.
  if (unreadable.some(({ subject }) => subject.name === name)) {
    return { runbooks: new Set([name]), servers: new Set(), sites: new Set() };
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

/** The same without runbooks that have a server that is not in it: what they take all together cannot be said by looking here. */
export function wholeOnly(scope: ReadinessScope, { runbooks }: Installation): ReadinessScope {
  const byName = byNameOf(runbooks);
  const whole = [...scope.runbooks].filter((name) =>
    [...serversOf(withinRunbook(name, byName), byName)].every((server) => scope.servers.has(server)),
  );
  return { ...scope, runbooks: new Set(whole) };
}

export function concerns({ runbooks, servers, sites }: ReadinessScope, { kind, name }: RiskSubject): boolean {
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

type ByName = ReadonlyMap<string, Runbook>;

const byNameOf = (runbooks: Installation['runbooks']): ByName =>
  new Map(runbooks.map(({ ready }) => [ready.runbook.name, ready.runbook]));

/** It and all that it includes. */
function withinRunbook(name: string, byName: ByName): ReadonlySet<string> {
  const inside = new Set([name]);
  // A set is walked with what is added to it meanwhile.
  for (const one of inside) byName.get(one)?.includes.forEach(({ runbook }) => inside.add(runbook));
  return inside;
}

const serversOf = (runbooks: ReadonlySet<string>, byName: ByName): ReadonlySet<string> =>
  new Set([...runbooks].flatMap((one) => byName.get(one)?.servers.map((server) => server.name) ?? []));
