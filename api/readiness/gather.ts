/** The installation as a round looks at it: runbooks read, planned as they would run now, and their verification. */
import { v7 as uuidv7 } from 'uuid';
import { buildPlan, type ReadyRunbook } from '../../model/orders/build-plan';
import type { Provenance } from '../../model/order';
import { collisionRisks, planRisks } from '../../model/readiness/plan-risks';
import { installationSource, risk, type RiskFound } from '../../model/readiness/risks';
import type { AskedOrder } from '../../model/readiness/site-risks';
import type { Verification } from '../../model/readiness/verified';
import type { ServerSpec } from '../../model/server';
import type { ApiDeps } from '../deps';
import { Problem } from '../problems';
import { readStored } from '../runbooks/stored';
import { within } from '../within';
import { Verifier } from './verify';

export interface RunbookFound {
  readonly ready: ReadyRunbook;
  readonly verification: Verification;
}

/** What the store knows: servers, and the newest runbooks with their verification as it is at this moment. */
export interface Installation {
  readonly servers: readonly ServerSpec[];
  readonly runbooks: readonly RunbookFound[];
  /** One for each runbook that this version does not read. */
  readonly unreadable: readonly RiskFound[];
  /** By server: what has changed at its source, as the last round found it. */
  readonly changed: SourceChanges;
}

export type SourceChanges = ReadonlyMap<string, readonly string[]>;

/** The same, with the orders that its runbooks would be now, and what is wrong with them. */
export interface Gathered extends Installation {
  readonly asked: readonly AskedOrder[];
  readonly found: readonly RiskFound[];
  /** Runbooks that cannot be planned now, with their servers: of those nothing is asked. */
  readonly unplanned: ReadonlyMap<string, readonly string[]>;
}

export type GatherDeps = Pick<ApiDeps, 'store' | 'config' | 'clock'>;

const asker: Provenance = {
  actor: { kind: 'workflow', id: 'readiness', name: 'readiness' },
  ...{ authMethod: 'internal', requestId: 'readiness', address: '' },
};

/** @throws the store's errors; a runbook that cannot be read is a risk, not an error. */
export async function readInstallation(deps: GatherDeps): Promise<Installation> {
  const { store, config } = deps;
  const [stored, servers, risks] = await within(
    config.storeDeadlineMs,
    Promise.all([store.runbooks.latest(), store.servers.list(), store.risks.list({})]),
  );
  const ready: ReadyRunbook[] = [];
  const unreadable: RiskFound[] = [];
  for (const one of stored) {
    const read = await readStored(one).catch((error: unknown) => {
      // Too busy to read it now says nothing of the text.
      if (!(error instanceof Problem) || error.kind !== 'conflict') throw error;
      unreadable.push(unreadableRisk(one.name, error));
    });
    if (read) ready.push(read);
  }
  const changed = changedAtSource(risks);
  return { servers, runbooks: await verifyAll(deps, ready, servers, changed), unreadable, changed };
}

/** Each with its verification, given what has changed at the sources. @throws the store's errors. */
export async function verifyAll(
  { store, clock }: GatherDeps,
  ready: readonly ReadyRunbook[],
  servers: readonly ServerSpec[],
  changed: SourceChanges,
): Promise<RunbookFound[]> {
  const byName = new Map(servers.map((server) => [server.name, server]));
  const runbooks = new Map(ready.map((one) => [one.runbook.name, one]));
  const verifier = new Verifier(store, runbooks, byName, clock().getTime(), changed);
  const found: RunbookFound[] = [];
  for (const [name, one] of runbooks) found.push({ ready: one, verification: await verifier.of(name) });
  return found;
}

/** By server; what could not be looked at has not changed. */
export function changedAtSource(risks: readonly RiskFound[]): Map<string, string[]> {
  const changes = new Map<string, string[]>();
  for (const { kind, severity, subject, found } of risks) {
    if (kind !== 'changed-source' || severity === 'info') continue;
    changes.set(subject.name, [...(changes.get(subject.name) ?? []), found]);
  }
  return changes;
}

/** For a round: plans every runbook as it would run now. @throws as readInstallation. */
export async function gather(deps: GatherDeps): Promise<Gathered> {
  const installation = await readInstallation(deps);
  const { servers, runbooks, unreadable } = installation;
  const ready = new Map(runbooks.map((one) => [one.ready.runbook.name, one.ready]));
  const byName = new Map(servers.map((server) => [server.name, server]));
  const planned = runbooks.map((one) => plan(deps, one.ready, ready, byName));
  const asked = planned.flatMap((one) => one.asked);
  const found = [...unreadable, ...planned.flatMap((one) => one.found), ...collisionRisks(asked)];
  const unplanned = new Map(planned.flatMap((one) => (one.unplanned === null ? [] : [one.unplanned])));
  return { ...installation, asked, found, unplanned };
}

function plan(
  { config, clock }: GatherDeps,
  ready: ReadyRunbook,
  runbooks: ReadonlyMap<string, ReadyRunbook>,
  servers: ReadonlyMap<string, ServerSpec>,
): { asked: AskedOrder[]; found: RiskFound[]; unplanned: [string, string[]] | null } {
  const { tenantId, coreId, physicalMachines = {} } = config;
  const built = buildPlan(
    ready,
    { servers, runbooks, physicalMachines },
    {
      ...{ tenantId, coreId, mode: 'recovery', intent: 'disaster', points: {}, lostAt: null },
      ...{ requestedAt: clock().toISOString(), requestedBy: asker, reason: 'readiness' },
      ...{ runId: uuidv7(), newRunId: uuidv7 },
    },
  );
  const { runbook } = ready;
  if ('problems' in built) {
    const unplanned: [string, string[]] = [runbook.name, runbook.servers.map(({ name }) => name)];
    return { asked: [], found: planRisks(runbook.direction, built.problems), unplanned };
  }
  const rehearsal = new Map(runbook.servers.map(({ name, networks }) => [name, networks.rehearsal]));
  const asked = built.ok.servers.map(({ name, order }) => ({
    ...{ runbook: runbook.name, order, rehearsal: rehearsal.get(name) ?? {} },
  }));
  return { asked, found: [], unplanned: null };
}

function unreadableRisk(name: string, error: Problem): RiskFound {
  return risk('runbook', 'critical', { kind: 'runbook', name }, 'text', installationSource, {
    found: error.message,
    needed: 'a text that this version of Muster reads',
    remedy: 'Correct it and import it again (`muster runbook import`).',
  });
}
