/**
 * Where runbooks are: at the recovery sites of their servers, at the sites that they name, and where what they include is. By this
 * the door decides whether somebody's role holds for an imported runbook, or for a text that came with the request.
 */
import type { NamedPlaces, Places } from '../../model/access';
import type { ReadyRunbook } from '../../model/orders/build-plan';
import type { Runbook } from '../../model/runbook/runbook';
import type { Person, StoredRunbook } from '../../store/contract';
import type { ApiDeps } from '../deps';
import type { Known } from '../known-runbooks';
import { Problem } from '../problems';
import { ofRunbook, sees } from '../reach';
import { within } from '../within';
import { readGiven, readIncluded, readStored } from './stored';

export interface RunbookPlaces {
  /**
   * Of the newest version, or of this one. What is not imported, or has a text that cannot be read, is at no site: only who holds
   * the runbook itself reaches it.
   *
   * @throws Problem `part-unavailable` when Postgres is down and it, or a server of it, not remembered.
   */
  of(name: string, version?: number): Promise<Places>;
  /** All that a text names, each on its own; nothing for one that cannot be read. Who holds its runbook holds what that had. */
  ofText(text: string): Promise<readonly NamedPlaces[]>;
  /** The same, with the runbook whose newest version it would be; who holds that runbook alone does not hold its text. */
  ofImport(text: string): Promise<readonly NamedPlaces[]>;
  /** For lists: whether the person is shown the runbook of this name. @throws the store's errors. */
  seenBy(person: Person): Promise<(name: string) => boolean>;
}

type SiteOf = (server: string) => string | undefined;
type Find = (name: string) => Promise<ReadonlyMap<string, ReadyRunbook>>;

export function runbookPlaces({ store, config }: Pick<ApiDeps, 'store' | 'config'>, known: Known): RunbookPlaces {
  const included: Find = async (name) => (await known.runbooks.included([name])).ready;

  async function siteOf(runbooks: Iterable<Runbook>): Promise<SiteOf> {
    const names = () => [...runbooks].flatMap(({ servers }) => servers.map(({ name }) => name));
    const servers = await known.servers.list().catch(() => known.servers.remembered(names()));
    const sites = new Map(servers.map(({ name, recoverySiteId }) => [name, recoverySiteId]));
    return (name) => sites.get(name);
  }

  async function newest(name: string): Promise<Found | undefined> {
    const inside = await readable(included, name);
    if (inside === 'unreadable') return { places: ofRunbook(name), runbook: undefined };
    const runbook = inside.get(name)?.runbook;
    return runbook && { runbook, places: placesOf(name, inside, await siteOf(runbooksIn(inside))) };
  }

  async function versionOf(name: string, version: number): Promise<Places> {
    const stored = await within(config.storeDeadlineMs, store.runbooks.find(name, version));
    if (stored === undefined) return ofRunbook(name);
    const inside = await readable(async () => {
      const own = await readStored(stored);
      const parts = await known.runbooks.included(own.runbook.includes.map(({ runbook }) => runbook));
      return new Map([...parts.ready, [name, own]]);
    }, name);
    return inside === 'unreadable' ? ofRunbook(name) : placesOf(name, inside, await siteOf(runbooksIn(inside)));
  }

  async function inText(text: string): Promise<{ runbook: Runbook; named: Named } | undefined> {
    const runbook = await readGiven(text);
    if (runbook === undefined) return undefined;
    const own = namedBy(runbook, await siteOf([runbook]));
    const names = [...new Set(runbook.includes.map((one) => one.runbook))];
    const parts = await Promise.all(names.map(async (name) => ({ name, found: await newest(name) })));
    // What is not imported is a mistake of the text, and said by its check.
    const includes = parts.flatMap(({ name, found }) =>
      found === undefined ? [] : [{ what: `included runbook ${name}`, ...found.places }],
    );
    return { runbook, named: { ...own, includes } };
  }

  return {
    async of(name, version) {
      if (version !== undefined) return versionOf(name, version);
      return (await newest(name))?.places ?? ofRunbook(name);
    },
    async ofText(text) {
      const read = await inText(text);
      if (read === undefined) return [];
      const before = await newest(read.runbook.name);
      return before === undefined ? every(read.named) : heldBefore(read.named, before);
    },
    async ofImport(text) {
      const read = await inText(text);
      if (read === undefined) return [];
      const { name } = read.runbook;
      const before = await newest(name);
      const over = before === undefined ? [] : [{ what: `runbook ${name} as it is imported`, ...before.places }];
      return [...every(read.named), ...over];
    },
    async seenBy(person) {
      const shown = sees(person);
      if (!person.scopes?.some(({ kind }) => kind === 'site')) return (name) => shown(ofRunbook(name));
      const all = new Map<string, StoredRunbook>();
      for (const one of await within(config.storeDeadlineMs, store.runbooks.latest())) all.set(one.name, one);
      const find: Find = (name) => readIncluded({ find: (one) => Promise.resolve(all.get(one)) }, [name]);
      const servers = await siteOf([]);
      const places = new Map<string, Places>();
      for (const name of all.keys()) {
        const inside = await readable(find, name);
        places.set(name, inside === 'unreadable' ? ofRunbook(name) : placesOf(name, inside, servers));
      }
      return (name) => shown(places.get(name) ?? ofRunbook(name));
    },
  };
}

interface Found {
  /** undefined: it, or something that it includes, cannot be read. */
  readonly runbook: Runbook | undefined;
  readonly places: Places;
}

/** What a text names, by kind. */
interface Named {
  readonly servers: readonly (NamedPlaces & { readonly server: string })[];
  readonly sites: readonly NamedPlaces[];
  readonly includes: readonly NamedPlaces[];
}

const every = ({ servers, sites, includes }: Named): NamedPlaces[] => [...servers, ...sites, ...includes];

/** A server that nobody knows is at no site but the one that the text may name for it. */
function namedBy({ servers, limits, evacuates }: Runbook, siteOf: SiteOf): Omit<Named, 'includes'> {
  const at = (what: string, sites: readonly (string | null | undefined)[]): NamedPlaces[] => {
    const known = sites.filter((one) => one != null);
    return known.length === 0 ? [] : [{ what, sites: [...new Set(known)], runbooks: [] }];
  };
  return {
    servers: servers.flatMap(({ name, target }) =>
      at(`server ${name}`, [siteOf(name), target.siteId]).map((one) => ({ ...one, server: name })),
    ),
    sites: [
      ...at('limits.sites', Object.keys(limits.sites)),
      ...at('limits.boots', Object.keys(limits.boots)),
      ...at('evacuates', [evacuates]),
    ],
  };
}

/** What the runbook had before belongs to it: the same servers, sites and included runbooks, however they are put in order. */
function heldBefore(named: Named, { runbook, places }: Found): NamedPlaces[] {
  const servers = new Set(runbook?.servers.map(({ name }) => name));
  const includes = new Set(runbook?.includes.map((one) => `included runbook ${one.runbook}`));
  const held = <T extends NamedPlaces>(one: T, was: boolean): NamedPlaces =>
    was && one.sites.every((site) => places.sites.includes(site))
      ? { ...one, runbooks: [...one.runbooks, ...places.runbooks] }
      : one;
  return [
    ...named.servers.map((one) => held(one, servers.has(one.server))),
    ...named.sites.map((one) => held(one, true)),
    ...named.includes.map((one) => held(one, includes.has(one.what))),
  ];
}

const runbooksIn = (inside: ReadonlyMap<string, ReadyRunbook>): Runbook[] =>
  [...inside.values()].map(({ runbook }) => runbook);

function placesOf(name: string, inside: ReadonlyMap<string, ReadyRunbook>, siteOf: SiteOf): Places {
  const sites = runbooksIn(inside).flatMap((runbook) => every({ ...namedBy(runbook, siteOf), includes: [] }));
  return { sites: [...new Set(sites.flatMap((one) => one.sites))], runbooks: [name] };
}

async function readable(find: Find, name: string): Promise<ReadonlyMap<string, ReadyRunbook> | 'unreadable'> {
  try {
    return await find(name);
  } catch (error) {
    if (error instanceof Problem && error.kind === 'conflict') return 'unreadable';
    throw error;
  }
}
