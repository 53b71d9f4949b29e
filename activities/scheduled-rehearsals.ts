/** What a scheduled rehearsal needs of Postgres: the runbook as it is now, made into an order; and that it was skipped, recorded. */
import { v7 as uuidv7 } from 'uuid';
import {
  buildPlan,
  plansWithin,
  type PlanContext,
  type PlanInventory,
  type ReadyRunbook,
} from '../model/orders/build-plan';
import type { PrepareRehearsal, PreparedRehearsal, RehearsedServer } from '../model/scheduled-rehearsal';
import { runbookOf } from '../model/schema/normalise';
import { readRunbook } from '../model/schema/read-runbook';
import type { Store, StoredRunbook } from '../store/contract';
import type { ScheduleActivities } from './contract';

export interface ScheduleDeps {
  readonly store: Pick<Store, 'runbooks' | 'servers' | 'rehearsals'>;
  readonly physicalMachines: PlanInventory['physicalMachines'];
  readonly now: () => number;
}

export function createScheduleActivities(deps: ScheduleDeps): ScheduleActivities {
  return {
    prepareRehearsal: (input) => prepare(deps, input),
    skipRehearsal: async ({ runbook, at, because, by, asked }) => {
      const stored = await deps.store.runbooks.find(runbook);
      const rules = (stored && read(stored)?.runbook.notify) ?? null;
      await deps.store.rehearsals.skip({ runbook, at, because, by, rules, askedBy: asked?.by.actor.name ?? null });
    },
  };
}

const skipped = (because: string): PreparedRehearsal => ({ kind: 'skipped', because });

async function prepare(deps: ScheduleDeps, input: PrepareRehearsal): Promise<PreparedRehearsal> {
  const { store, physicalMachines } = deps;
  const [latest, servers] = await Promise.all([store.runbooks.latest(), store.servers.list()]);
  const stored = latest.find(({ name }) => name === input.runbook);
  if (stored === undefined) return skipped(`there is no runbook ${input.runbook} any more`);
  const ready = read(stored);
  if (ready === undefined) return skipped(`version ${stored.version} of ${input.runbook} cannot be read any more`);
  const runbooks = includedBy(ready, latest);
  const inventory = { servers: new Map(servers.map((server) => [server.name, server])), runbooks, physicalMachines };
  const built = buildPlan(ready, inventory, contextOf(deps, input));
  if ('problems' in built) {
    const [first, ...more] = built.problems;
    const others = more.length === 0 ? '' : ` (and ${more.length} more)`;
    return skipped(`it cannot be run as it is: found ${first!.found}, needed ${first!.needed}${others}`);
  }
  const used = plansWithin(built.ok).flatMap((plan) =>
    plan.servers.map(({ name, order }): RehearsedServer => {
      const { id: serverId, objectives } = order.server;
      return { serverId, name, siteId: order.target.siteId, rpoMs: objectives.rpoMs };
    }),
  );
  const [holder] = await store.rehearsals.holders(used.map(({ serverId }) => serverId));
  if (holder !== undefined) {
    return skipped(`run ${holder.runId} (${holder.mode}) has ${holder.serverName}`);
  }
  const { schedule } = ready.runbook.rehearsal;
  return { kind: 'ready', order: built.ok, servers: used, catchUpMs: schedule?.catchUpMs ?? null };
}

function contextOf({ now }: ScheduleDeps, { tenantId, coreId, requestedBy, asked }: PrepareRehearsal): PlanContext {
  return {
    ...{ tenantId, coreId, mode: 'rehearsal', intent: 'disaster', points: {}, lostAt: null, requestedBy },
    ...{ requestedAt: new Date(now()).toISOString(), reason: asked?.reason ?? 'scheduled rehearsal' },
    ...{ runId: uuidv7(), newRunId: uuidv7 },
  };
}

/** Read as far as they are needed: what it includes, and what those include. */
function includedBy(ready: ReadyRunbook, latest: readonly StoredRunbook[]): Map<string, ReadyRunbook> {
  const byName = new Map(latest.map((stored) => [stored.name, stored]));
  const found = new Map<string, ReadyRunbook>();
  const wanted = ready.runbook.includes.map(({ runbook }) => runbook);
  for (let name = wanted.shift(); name !== undefined; name = wanted.shift()) {
    const stored = byName.get(name);
    const part = stored === undefined || found.has(name) ? undefined : read(stored);
    if (part === undefined) continue;
    found.set(name, part);
    wanted.push(...part.runbook.includes.map(({ runbook }) => runbook));
  }
  return found;
}

/** undefined: this version of Muster does not read it. */
function read({ text, version, sha256 }: StoredRunbook): ReadyRunbook | undefined {
  const { file } = readRunbook(text);
  return file && { runbook: runbookOf(file), version, sha256 };
}
