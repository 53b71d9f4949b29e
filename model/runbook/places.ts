/**
 * Places within limits, of a plan and of all that it includes: a server takes one in its own plan and in every plan above that,
 * all at the same time or none, so that nobody holds one place while it waits for another. A runbook itself takes none.
 * Pure and deterministic: used by the workflow of a plan, and by the preview in thought.
 */
import type { Limits } from './runbook';

/** What counts servers that are recovered at the same time; boots are counted by the sites themselves, over all runs. */
export type LimitsOfPlaces = Pick<Limits, 'atOnce' | 'sites' | 'datastores'>;

/** What of a plan is needed; any PlanOrder is one. */
export interface PlanWithLimits {
  readonly plan: { readonly limits: LimitsOfPlaces };
  readonly servers: readonly ServerWithPlace[];
  readonly parts: readonly { readonly name: string; readonly order: PlanWithLimits }[];
}

interface ServerWithPlace {
  readonly name: string;
  readonly datastore: string | null;
  readonly order: { readonly target: { readonly siteId: string } };
}

/** Who gives places to the servers of one plan. */
export interface Room {
  /** False: not now. It has the place until its end; asked again meanwhile, it is the same one. */
  take(server: string): boolean;
  /** Nothing for one that has none. */
  end(server: string): void;
}

/** Where nothing is limited. */
export const roomForAll: Room = { take: () => true, end: () => undefined };

export const areLimits = ({ atOnce, sites, datastores }: LimitsOfPlaces): boolean =>
  atOnce !== null || Object.keys(sites).length + Object.keys(datastores).length > 0;

/** Whether it has to give places to what it includes, where no plan above it does. */
export const givesPlaces = ({ plan, parts }: PlanWithLimits): boolean => parts.length > 0 && areLimits(plan.limits);

export class Places implements Room {
  /** Of what it includes, by name, in the order of the file. */
  readonly parts: ReadonlyMap<string, Places>;
  private readonly limits: LimitsOfPlaces;
  private readonly servers: ReadonlyMap<string, { readonly rank: number; readonly keys: readonly string[] }>;
  private readonly taken = new Set<string>();
  /** By this plan and all below it. */
  private readonly used = new Map<string, number>();
  /** Itself first. */
  private readonly upwards: readonly Places[];

  constructor({ plan, servers, parts }: PlanWithLimits, above: Places | null = null) {
    this.upwards = [this, ...(above?.upwards ?? [])];
    this.limits = plan.limits;
    this.servers = new Map(servers.map((server, rank) => [server.name, { rank, keys: keysOf(server) }]));
    this.parts = new Map(parts.map(({ name, order }) => [name, new Places(order, this)]));
  }

  /** @throws Error for a server that is not of this plan */
  take(server: string): boolean {
    if (this.taken.has(server)) return true;
    const { keys } = this.of(server);
    if (this.upwards.some((one) => one.isFullFor(keys))) return false;
    for (const one of this.upwards) one.count(keys, 1);
    this.taken.add(server);
    return true;
  }

  end(server: string): void {
    if (!this.taken.delete(server)) return;
    const { keys } = this.of(server);
    for (const one of this.upwards) one.count(keys, -1);
  }

  /** Its own servers have no places any more. */
  clear(): void {
    for (const server of [...this.taken]) this.end(server);
  }

  /** By names of included runbooks, from this plan on; undefined where there is no such. */
  within(path: readonly string[]): Places | undefined {
    return path.reduce<Places | undefined>((at, name) => at?.parts.get(name), this);
  }

  /** This one, then what it includes, in the order of the files: the order in which they get places. */
  inOrder(): Places[] {
    return [this, ...[...this.parts.values()].flatMap((part) => part.inOrder())];
  }

  /** No server of it can get a place, wherever it is. */
  get isFull(): boolean {
    return this.upwards.some((one) => one.isFullFor(['all']));
  }

  has(server: string): boolean {
    return this.servers.has(server);
  }

  /** In the order of the file. */
  sorted(servers: Iterable<string>): string[] {
    return [...servers].sort((a, b) => this.of(a).rank - this.of(b).rank);
  }

  private of(server: string): { readonly rank: number; readonly keys: readonly string[] } {
    const found = this.servers.get(server);
    if (found === undefined)
      throw new Error(`Places are kept for ${this.servers.size} servers; ${server} is none of them.`);
    return found;
  }

  private isFullFor(keys: readonly string[]): boolean {
    return keys.some((key) => (this.used.get(key) ?? 0) >= this.limitOf(key));
  }

  private count(keys: readonly string[], more: 1 | -1): void {
    for (const key of keys) this.used.set(key, (this.used.get(key) ?? 0) + more);
  }

  private limitOf(key: string): number {
    const { atOnce, sites, datastores } = this.limits;
    if (key === 'all') return atOnce ?? Infinity;
    if (key.startsWith('site ')) return sites[key.slice('site '.length)] ?? Infinity;
    return datastores[key.slice('datastore '.length)] ?? Infinity;
  }
}

/** What a server counts against. */
const keysOf = ({ datastore, order: { target } }: ServerWithPlace): string[] => [
  'all',
  `site ${target.siteId}`,
  ...(datastore === null ? [] : [`datastore ${datastore}`]),
];
