/** A plan's order that needs no world: a web shop of three tiers. */
import { buildPlan, type PlanContext } from '../../model/orders/build-plan';
import type { PlanOrder } from '../../model/plan';
import { runbookOf } from '../../model/schema/normalise';
import { readRunbook } from '../../model/schema/read-runbook';
import type { ServerSpec } from '../../model/server';
import { ines, storyRunId, storyServer, storyStart } from './order';

export const sampleRunbook = `format: 1
name: shop
title: Web shop
tier: 1
objectives: { rpo: 1m, rto: 30m, tiers: { 1: { rto: 10m } } }
networks: { recovery: { prod: dr-prod }, rehearsal: { prod: isolated } }
defaults: { hardware: kvm-virtio }
waves:
  - name: data
    title: Databases
    servers: [{ name: db01 }, { name: db02, failure: { giveUpAfter: 20m } }]
  - name: application
    title: Application
    after: [db01]
    gate: data-is-good
    servers: [{ name: app01 }]
  - name: web
    title: Web
    after: [application]
    servers: [{ name: web01, after: [db02] }, { name: web02 }]
gates:
  data-is-good: { title: Data, question: Are the data good?, approvers: { roles: [coordinator] } }
`;

const specOf = (name: string): ServerSpec => ({
  ...storyServer,
  id: `id-${name}`,
  name,
  tier: name.startsWith('db') ? 1 : 2,
});

export function samplePlan(changes: Partial<PlanContext> = {}, text = sampleRunbook): PlanOrder {
  const runbook = runbookOf(readRunbook(text).file!);
  const servers = new Map(runbook.servers.map(({ name }) => [name, specOf(name)]));
  let next = 0;
  const made = buildPlan(
    { runbook, version: 3, sha256: 'a'.repeat(64) },
    { servers, runbooks: new Map(), physicalMachines: {} },
    {
      ...{ tenantId: 'main', coreId: 'main', mode: 'recovery', intent: 'disaster', points: {}, lostAt: null },
      ...{ requestedAt: storyStart, requestedBy: ines, reason: 'Site A lost power', runId: storyRunId },
      newRunId: () => `0195923c-70b4-7c31-9a55-${String(++next).padStart(12, '0')}`,
      ...changes,
    },
  );
  if ('problems' in made) throw new Error(JSON.stringify(made.problems));
  return made.ok;
}
