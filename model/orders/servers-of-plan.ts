/** The orders of a runbook's servers. */
import type { RecoveryOrder } from '../order';
import type { ServerOfPlan } from '../plan';
import type { PlannedServer, Runbook, Script } from '../runbook/runbook';
import { hardwareProfiles, type ServerSpec } from '../server';
import { buildOrder, type OrderContext, type WantedRecovery } from './build-order';
import { intentOf, type Build } from './build-plan';
import { isolatedNetworks } from './isolated-networks';

export function serversOfPlan(runbook: Runbook, build: Build): ServerOfPlan[] {
  return runbook.servers.flatMap((planned) => {
    const order = orderOf(runbook, planned, build);
    const { name, wave, after, failure, target } = planned;
    return order === undefined ? [] : [{ name, wave, after, failure, datastore: target.datastore, order }];
  });
}

/** undefined: refused, and the problem is noted. */
function orderOf(runbook: Runbook, planned: PlannedServer, build: Build): RecoveryOrder | undefined {
  const { inventory, context } = build;
  const server = knownServer(runbook, planned, build);
  if (server === undefined) return undefined;
  const { tenantId, coreId, requestedAt, requestedBy } = context;
  const facts: OrderContext = { runId: context.newRunId(), tenantId, coreId, requestedAt, requestedBy };
  const physicalMachines = inventory.physicalMachines[server.recoverySiteId] ?? [];
  const spec = asPlanned(server, planned);
  const { networks, isolation } = networksOf(planned, server, build);
  const built = buildOrder(wantedOf(runbook, planned, networks, build), spec, { ...facts, physicalMachines });
  if ('refused' in built) {
    const needed = 'what an order can be made of';
    build.problems.push({ ...at(runbook, planned), found: built.refused, needed, remedy: 'Correct the runbook.' });
    return undefined;
  }
  return { ...built.ok, ...isolation, ...rulesOf(runbook, planned, server, build) };
}

const at = (runbook: Runbook, { name }: PlannedServer) => ({ runbook: runbook.name, server: name });

/** The server as the inventory has it today; noted as a problem when it is not where the runbook wants it. */
function knownServer(runbook: Runbook, planned: PlannedServer, build: Build): ServerSpec | undefined {
  const { name, target } = planned;
  const refuse = (found: string, needed: string, remedy: string, more: { isToDo?: true } = {}): undefined => {
    build.problems.push({ ...at(runbook, planned), found, needed, remedy, ...more });
  };
  const other = build.taken.get(name);
  build.taken.set(name, runbook.name);
  if (other !== undefined) {
    return refuse(`"${name}" in runbook ${other}, too`, 'each server once', 'Take it out of one of the two.');
  }
  const server = build.inventory.servers.get(name);
  if (server === undefined) {
    return refuse(
      `no server "${name}"`,
      'a server of the inventory (`muster servers`)',
      'Add it with `muster servers add`, or take it out of the runbook.',
    );
  }
  if (runbook.direction === 'failback' && target.siteId === null) {
    return refuse(
      `no site for "${name}"`,
      'the original site, named: a failback goes where its text says and nowhere else',
      'Name it with `site`, at the server or in `defaults`.',
    );
  }
  if (target.siteId !== null && target.siteId !== server.recoverySiteId) {
    const found = `"${name}" protected from ${server.source.siteId} to ${server.recoverySiteId}`;
    const needed = `a replica at ${target.siteId}`;
    if (runbook.direction !== 'failback') {
      return refuse(found, needed, `Protect it in that direction first, so that ${target.siteId} has its replica.`);
    }
    const remedy = `Protect it in that direction first: \`muster protect ${name} --reverse --reason …\`.`;
    return refuse(found, needed, remedy, { isToDo: true });
  }
  return server;
}

/** What the runbook says of the server itself stands before what the inventory says. */
function asPlanned(server: ServerSpec, { probes, objectives }: PlannedServer): ServerSpec {
  return { ...server, probes: [...server.probes, ...probes], objectives: objectives ?? server.objectives };
}

function wantedOf(
  runbook: Runbook,
  planned: PlannedServer,
  networks: Readonly<Record<string, string>>,
  { context }: Build,
): WantedRecovery {
  const { target, option, inoculate, powerOn, proof, name } = planned;
  const { mode, lostAt, reason } = context;
  return {
    mode,
    intent: intentOf(runbook, context),
    // A rehearsal leaves the replica as it is.
    option: mode === 'rehearsal' && option === 'destructive' ? 'backup-and-recover' : option,
    point: context.points[name] ?? 'latest',
    verify: 'auto',
    hardware: target.hardware ?? '',
    ...(target.machineName === null || !keepsName(target, mode) ? {} : { machineName: target.machineName }),
    ...(target.cpuCount === null ? {} : { cpuCount: target.cpuCount }),
    ...(target.memoryBytes === null ? {} : { memoryBytes: target.memoryBytes }),
    networks,
    inoculate,
    powerOn,
    ...(lostAt === null ? {} : { lostAt }),
    proof: { ...context.proof, ...proof },
    reason,
  };
}

/** A rehearsal's machine has a name of its own by run; a physical one is what it is. */
const keepsName = ({ hardware }: PlannedServer['target'], mode: WantedRecovery['mode']): boolean =>
  mode === 'recovery' || hardwareProfiles[hardware ?? '']?.kind === 'physical';

function networksOf(
  { networks }: PlannedServer,
  server: ServerSpec,
  { context, ownerRunId }: Build,
): { networks: Readonly<Record<string, string>>; isolation: Pick<RecoveryOrder, 'isolation'> } {
  const sources = [...new Set(server.nics.map(({ network }) => network))];
  const mapped = Object.fromEntries(sources.flatMap((one) => pair(one, networks[context.mode][one])));
  if (context.mode === 'recovery') return { networks: mapped, isolation: {} };
  const made = isolatedNetworks(sources, mapped, ownerRunId);
  const isolation = { ownerRunId, networks: Object.values(made), siteId: server.recoverySiteId };
  return {
    networks: { ...mapped, ...made },
    isolation: Object.keys(made).length === 0 ? {} : { isolation },
  };
}

const pair = (key: string, value: string | undefined): [string, string][] =>
  value === undefined ? [] : [[key, value]];

/** What the runbook says of failure, people, limits, programs and addresses, as far as it concerns this server. */
function rulesOf(runbook: Runbook, planned: PlannedServer, server: ServerSpec, build: Build) {
  const { context, giveUpAfterMs } = build;
  const { access } = runbook;
  const optional = planned.failure.kind === 'optional' ? [planned.failure.giveUpAfterMs] : [];
  const giveUp = [...optional, ...(giveUpAfterMs === null ? [] : [giveUpAfterMs])];
  const boots = build.boots[server.recoverySiteId];
  const scripts = scriptsOf(runbook, planned, context.mode);
  const addresses = planned.addresses.flatMap(({ nic, address }) => {
    const settings = address[context.mode];
    return settings === undefined ? [] : [{ nic, address: { [context.mode]: settings } }];
  });
  return {
    access: { decide: access.decide, fourEyes: access.fourEyes },
    ...(giveUp.length === 0 ? {} : { giveUpAfterMs: Math.min(...giveUp) }),
    ...(boots === undefined ? {} : { bootsAtOnce: boots }),
    ...(scripts.length === 0 ? {} : { scripts }),
    ...(addresses.length === 0 ? {} : { addresses }),
  } satisfies Partial<RecoveryOrder>;
}

/** Those at a step of this server that run in this order; those of clean-up with a rehearsal. */
function scriptsOf(runbook: Runbook, { name }: PlannedServer, mode: WantedRecovery['mode']): Script[] {
  const occasions: readonly Script['in'][number][] =
    mode === 'rehearsal' ? ['rehearsal', 'clean-up'] : [runbook.direction === 'failback' ? 'failback' : 'recovery'];
  return runbook.scripts.filter(
    ({ at: place, servers, in: when }) =>
      place.kind === 'step' &&
      (servers === 'all' || servers.includes(name)) &&
      when.some((occasion) => occasions.includes(occasion)),
  );
}
