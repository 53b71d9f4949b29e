/** The installation as a round looks at it: runbooks read, planned as they would run now, and their verification. */
import { v7 as uuidv7 } from 'uuid';
import { buildPlan, type ReadyRunbook } from '../../model/orders/build-plan';
import type { Provenance } from '../../model/order';
import { collisionRisks, planRisks, rehearsalRisks } from '../../model/readiness/plan-risks';
import { installationSource, risk, type RiskFound } from '../../model/readiness/risks';
import type { AskedOrder } from '../../model/readiness/site-risks';
import type { Verification } from '../../model/readiness/verified';
import type { ServerSpec } from '../../model/server';
import type { ApiDeps } from '../deps';
import { readStored } from '../runbooks/stored';
import { within } from '../within';
import { Verifier } from './verify';

export interface RunbookFound {
  readonly ready: ReadyRunbook;
  readonly verification: Verification;
}

export interface Gathered {
  readonly servers: readonly ServerSpec[];
  readonly runbooks: readonly RunbookFound[];
  readonly asked: readonly AskedOrder[];
  readonly found: readonly RiskFound[];
}

export type GatherDeps = Pick<ApiDeps, 'store' | 'config' | 'clock'>;

const asker: Provenance = {
  actor: { kind: 'workflow', id: 'readiness', name: 'readiness' },
  ...{ authMethod: 'internal', requestId: 'readiness', address: '' },
};

/** @throws the store's errors; a runbook that cannot be read is a risk, not an error. */
export async function gather(deps: GatherDeps, dueMs: number): Promise<Gathered> {
  const { store, config, clock } = deps;
  const [stored, servers] = await within(
    config.storeDeadlineMs,
    Promise.all([store.runbooks.latest(), store.servers.list()]),
  );
  const found: RiskFound[] = [];
  const ready = new Map<string, ReadyRunbook>();
  for (const one of stored) {
    const read = await readStored(one).catch((error: Error) => void found.push(unreadable(one.name, error)));
    if (read !== undefined) ready.set(one.name, read);
  }
  const byName = new Map(servers.map((server) => [server.name, server]));
  const verifier = new Verifier(store, ready, byName, clock().getTime());
  const runbooks: RunbookFound[] = [];
  const asked: AskedOrder[] = [];
  for (const [name, one] of ready) {
    const verification = await verifier.of(name);
    runbooks.push({ ready: one, verification });
    found.push(...rehearsalRisks(name, verification, dueMs, clock().getTime()));
    const planned = plan(deps, one, ready, byName);
    found.push(...planned.found);
    asked.push(...planned.asked);
  }
  return { servers, runbooks, asked, found: [...found, ...collisionRisks(asked)] };
}

function plan(
  { config, clock }: GatherDeps,
  ready: ReadyRunbook,
  runbooks: ReadonlyMap<string, ReadyRunbook>,
  servers: ReadonlyMap<string, ServerSpec>,
): { asked: AskedOrder[]; found: RiskFound[] } {
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
  if ('problems' in built) return { asked: [], found: planRisks(runbook.direction, built.problems) };
  const rehearsal = new Map(runbook.servers.map(({ name, networks }) => [name, networks.rehearsal]));
  const asked = built.ok.servers.map(({ name, order }) => ({
    ...{ runbook: runbook.name, order, rehearsal: rehearsal.get(name) ?? {} },
  }));
  return { asked, found: [] };
}

function unreadable(name: string, error: Error): RiskFound {
  return risk('runbook', 'critical', { kind: 'runbook', name }, 'text', installationSource, {
    found: error.message,
    needed: 'a text that this version of Muster reads',
    remedy: 'Correct it and import it again (muster runbook import).',
  });
}
