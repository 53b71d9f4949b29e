/** Who could approve at a gate of a runbook, as far as roles, names and scopes tell before it runs. */
import { holdsAt, isAmong } from '../access';
import { actingRoles, type Role } from '../people';
import type { RunbookFile } from '../schema/runbook';
import type { Inventory } from './check';
import type { People } from './runbook';

export interface AblePerson {
  readonly name: string;
  readonly role: Role;
}

/**
 * Of those who could log in now. A role that holds at some places only counts when it holds for this runbook, or for one that
 * includes it; where the servers of included runbooks are is not asked here.
 */
export function peopleAble(file: RunbookFile, who: People, inventory: Inventory): AblePerson[] {
  const runbooks = [file.name, ...includers(file.name, inventory)];
  const sites = ownSites(file, inventory);
  return [...inventory.people].flatMap(([name, { role, scopes = [] }]) => {
    if (!actingRoles.includes(role) || !isAmong(who, { name, role })) return [];
    const unknownSites = sites.length === 0 && scopes.some(({ kind }) => kind === 'site');
    return unknownSites || holdsAt(scopes, { sites, runbooks }) ? [{ name, role }] : [];
  });
}

function includers(name: string, { runbooks }: Inventory): string[] {
  const found = new Set([name]);
  // A set is walked with what is added to it meanwhile.
  for (const one of found) {
    for (const [outer, included] of runbooks) if (included.includes(one)) found.add(outer);
  }
  return [...found].slice(1);
}

function ownSites({ waves, defaults }: RunbookFile, { servers }: Inventory): string[] {
  const sites = waves.flatMap((wave) =>
    wave.servers.flatMap(({ name, site }) => site ?? defaults.site ?? servers.get(name)?.recoverySiteId ?? []),
  );
  return [...new Set(sites)];
}
