/** Physical machines: whose each is, and giving one up that no live run uses. */
import type { MachineClaim, MachineHolding } from '../model/machine-holding';
import type { Provenance } from '../model/order';
import type { RunRow } from '../store/contract';
import type { ApiDeps } from './deps';
import { nearNames } from '../model/near';
import { notFound, Problem } from './problems';
import type { Refusals } from './refusals';
import type { MachineDocument, MachinesDocument, Release, ReleasedDocument } from './schemas/machines';
import { within } from './within';

type Deps = Pick<ApiDeps, 'store' | 'temporal' | 'config' | 'clock' | 'log'>;

interface Found {
  readonly siteId: string;
  readonly machine: MachineHolding;
}

/** Every machine of every site that has some; a site that does not answer is named. */
export async function viewMachines(deps: Deps): Promise<MachinesDocument> {
  const { found, unavailable } = await askSites(deps, sitesWithMachines(deps));
  const items = await Promise.all(found.map((one) => describe(deps, one)));
  items.sort((a, b) => a.siteId.localeCompare(b.siteId) || a.name.localeCompare(b.name));
  return { items, unavailable };
}

/**
 * Gives the machine up, by the decision of a person, which is recorded before it is done. Free already: `released` false.
 *
 * @throws Problem `conflict` with the run that uses it, or with the site's own words; `part-unavailable` when nobody can say whether the run goes on, or the decision cannot be recorded.
 */
export async function releaseMachine(
  deps: Deps,
  refusals: Refusals,
  name: string,
  wanted: Release & { readonly by: Provenance },
): Promise<ReleasedDocument> {
  const { siteId, machine } = await findMachine(deps, name, wanted.siteId);
  const { claim } = machine;
  if (claim === null) return { siteId, machine: name, released: false, runId: null };
  const refused = (error: unknown): never => {
    const because = error instanceof Error ? error.message : 'unknown';
    refusals.note(`release of machine ${name} at site ${siteId}`, because, wanted.by);
    throw error;
  };
  await refuseWhileUsed(deps, name, claim).catch(refused);
  await record(deps, { siteId, machine: name, ofRun: claim.runId, reason: wanted.reason }, wanted.by);
  const owner = { tenantId: claim.tenantId, runId: claim.runId };
  const order = { siteId, machine: name, owner, switchedOff: wanted.switchedOff };
  const { released } = await deps.temporal.releaseMachine(order).catch(refused);
  return { siteId, machine: name, released, runId: claim.runId };
}

function sitesWithMachines({ config }: Deps): string[] {
  return config.siteIds.filter((siteId) => (config.physicalMachines?.[siteId] ?? []).length > 0);
}

async function askSites(
  { temporal, log }: Deps,
  sites: readonly string[],
): Promise<{ found: Found[]; unavailable: MachinesDocument['unavailable'] }> {
  const answers = await Promise.allSettled(sites.map((siteId) => temporal.viewMachines(siteId)));
  const found: Found[] = [];
  const unavailable: MachinesDocument['unavailable'] = [];
  for (const [i, siteId] of sites.entries()) {
    const answer = answers[i]!;
    if (answer.status === 'fulfilled') found.push(...answer.value.map((machine) => ({ siteId, machine })));
    else {
      log.warn({ err: answer.reason, siteId }, 'A site did not show its physical machines');
      unavailable.push({ siteId, because: answer.reason instanceof Error ? answer.reason.message : 'unknown' });
    }
  }
  return { found, unavailable };
}

/** Only sites that can have it are asked, so that another one that is away keeps nobody waiting. */
async function findMachine(deps: Deps, name: string, siteId: string | undefined): Promise<Found> {
  const all = sitesWithMachines(deps);
  if (siteId !== undefined && !all.includes(siteId)) {
    throw new Problem('validation', `Site "${siteId}" has no physical machines. Known: ${all.join(', ') || 'none'}`, {
      issues: [{ at: 'body.siteId', message: 'is no site with physical machines' }],
    });
  }
  const configured = all.filter((id) => deps.config.physicalMachines?.[id]?.some((one) => one.name === name));
  const sites = siteId !== undefined ? [siteId] : configured.length > 0 ? configured : all;
  const { found, unavailable } = await askSites(deps, sites);
  const named = found.filter(({ machine }) => machine.name === name);
  if (named.length > 1) {
    const at = named.map((one) => one.siteId).join(', ');
    throw new Problem('validation', `Several sites have a machine "${name}": ${at}. Say which one ("siteId")`, {
      issues: [{ at: 'body.siteId', message: `is needed: ${at}` }],
    });
  }
  if (named[0] !== undefined) return named[0];
  if (unavailable[0] !== undefined) throw new Problem('no-worker', unavailable[0].because);
  throw notFound(
    'physical machine',
    name,
    nearNames(
      name,
      found.map(({ machine }) => machine.name),
    ),
  );
}

async function refuseWhileUsed(deps: Deps, name: string, claim: MachineClaim): Promise<void> {
  const { tenantId } = deps.config;
  if (claim.tenantId !== tenantId) {
    throw new Problem('conflict', `Machine ${name} is claimed by tenant ${claim.tenantId}, needed ${tenantId}`);
  }
  const { live } = await lookAtRun(deps, claim.runId);
  if (live === false) return;
  const { runId } = claim;
  if (live === null) {
    throw new Problem(
      'part-unavailable',
      `Machine ${name} is not released: whether run ${runId} still uses it cannot be known now. Look at /api/v1/health`,
    );
  }
  throw new Problem(
    'conflict',
    `Machine ${name} is not released: run ${runId} uses it. Let it end, or abort it, which gives the machine up`,
    { runId },
  );
}

interface RunFacts {
  readonly row: RunRow | undefined;
  /** null: neither part that would know could be asked. */
  readonly live: boolean | null;
}

/** The lock is Temporal's; Postgres alone knows enough only of a run whose end it has. */
async function lookAtRun({ store, temporal, config }: Deps, runId: string): Promise<RunFacts> {
  let row: RunRow | undefined;
  let rowKnown = true;
  try {
    row = await within(config.storeDeadlineMs, store.runs.get(runId));
  } catch {
    rowKnown = false;
  }
  if (row !== undefined && row.closedAt !== null) return { row, live: false };
  try {
    const execution = await temporal.findRecovery(config.tenantId, runId, row?.serverId);
    if (execution !== undefined) return { row, live: execution.running };
    // Not found by a search alone is no proof; with the row's server, or no row at all, it is.
    return { row, live: rowKnown ? false : null };
  } catch {
    return { row, live: null };
  }
}

async function describe(deps: Deps, { siteId, machine }: Found): Promise<MachineDocument> {
  const { claim, devices, ...facts } = machine;
  const shown = { siteId, ...facts, devices: [...devices] };
  if (claim === null) return { ...shown, heldBy: null };
  const { row, live } = await lookAtRun(deps, claim.runId);
  const { runId, claimedAt, poweredOnAt } = claim;
  const run = { serverName: row?.serverName ?? null, runState: row?.state ?? null };
  return { ...shown, heldBy: { runId, since: claimedAt, poweredOnAt, live, ...run } };
}

async function record(
  { store, config, clock }: Deps,
  data: { siteId: string; machine: string; ofRun: string; reason: string },
  by: Provenance,
): Promise<void> {
  const at = clock().toISOString();
  const event = { kind: 'release-decided', at, by, step: null, item: null, attempt: null, data } as const;
  await within(config.storeDeadlineMs, store.journal.note(event));
}
