/** The waves of a plan with their servers, and what each waits for. */
import { clocksWithin, type Clocks } from '../clocks';
import type { PlanHeader } from '../plan';
import { inOrder, planGraph, type NodeId, type PlanNode } from '../runbook/graph';
import type { StepState } from '../steps';
import type { ChildRun } from './child-run';
import { groupBy } from './group-by';
import { countStages, partView, type PartView, type StageCounts } from './parts';
import { activeOf, isDone, serverView, waitsOf, type ServerOfPlanView } from './server-of-plan';

export type { PartView, StageCounts };

export interface WaveView {
  readonly name: string;
  readonly title: string;
  readonly after: readonly string[];
  /** Name of the gate before it that holds in this mode, and how it stands. */
  readonly gate: {
    readonly name: string;
    readonly title: string;
    readonly state: 'ahead' | 'waiting' | 'passed';
  } | null;
  /** What it comes after and is not done. */
  readonly waitsFor: readonly string[];
  readonly servers: readonly ServerOfPlanView[];
  readonly counts: StageCounts;
  readonly done: number;
  readonly startedAt: string | null;
  /** When the last of its servers was proven; null until all are done. */
  readonly doneAt: string | null;
  readonly clocks: Clocks;
}

export interface PlanFacts {
  readonly header: PlanHeader;
  /** Items of the plan's steps, by step and item. */
  readonly items: Readonly<Record<string, ReadonlyMap<string, StepState>>>;
  /** All runs below the plan, those of included runbooks, too; oldest first. */
  readonly children: readonly ChildRun[];
  /** Gates that were reached, by wave. */
  readonly gates: ReadonlyMap<string, 'waiting' | 'passed'>;
  readonly now: string;
}

export function wavesAndParts(facts: PlanFacts): { waves: WaveView[]; parts: PartView[] } {
  const { header, children, items, now } = facts;
  const byParent = groupBy(children, ({ parentRunId }) => parentRunId);
  const byServer = groupBy(
    (byParent.get(header.runId) ?? []).filter(({ procedure }) => procedure !== 'plan'),
    ({ serverName }) => serverName,
  );
  const servers = header.servers.map((server) =>
    serverView(server, { item: items['recover']?.get(server.name), runs: byServer.get(server.name) ?? [], now }),
  );
  const waits = whatWaits(facts, servers);
  const views = groupBy(
    servers.map((server): ServerOfPlanView => ({
      ...server,
      waitsFor: server.stage === 'pending' ? waits(`server:${server.name}`) : [],
    })),
    ({ wave }) => wave,
  );
  return {
    waves: header.plan.waves.map((wave) => waveView(facts, wave, views.get(wave.name) ?? [], byServer, waits)),
    parts: header.parts.map((part) =>
      partView(part, {
        ...{ parentRunId: header.runId, byParent, now, waitsFor: waits(`include:${part.name}`) },
        item: items['include']?.get(part.name),
      }),
    ),
  };
}

type Waits = (id: NodeId) => string[];

function waveView(
  { header, gates, now }: PlanFacts,
  { name, title, after, gate: gateName }: PlanHeader['plan']['waves'][number],
  servers: readonly ServerOfPlanView[],
  byServer: ReadonlyMap<string, readonly ChildRun[]>,
  waits: Waits,
): WaveView {
  const runs = servers.flatMap((server) => byServer.get(server.name) ?? []);
  const done = servers.filter(isDone).length;
  const started = runs.map(({ startedAt }) => startedAt).sort();
  const ends = servers.map(({ provenAt, closedAt }) => provenAt ?? closedAt ?? '').sort();
  const gate = gateOf(header, gateName);
  return {
    name,
    title,
    after,
    gate: gate && { ...gate, state: gates.get(name) ?? (started.length > 0 ? 'passed' : 'ahead') },
    waitsFor: started.length > 0 ? [] : waits(`open:${name}`),
    servers,
    counts: countStages(servers),
    done,
    startedAt: started[0] ?? null,
    doneAt: done === servers.length ? ends.at(-1) || null : null,
    clocks: clocksWithin(activeOf(runs, now), waitsOf(runs, now)),
  };
}

function gateOf({ plan, mode }: PlanHeader, name: string | null): { name: string; title: string } | null {
  const gate = name === null ? undefined : plan.gates[name];
  return name !== null && gate?.in.includes(mode) ? { name, title: gate.title } : null;
}

/** What of a node's predecessors is not done, by the names that people use. */
function whatWaits(facts: PlanFacts, servers: readonly Omit<ServerOfPlanView, 'waitsFor'>[]): Waits {
  const { header, items } = facts;
  const graph = planGraph({
    waves: header.plan.waves,
    servers: header.servers,
    includes: header.parts.map(({ name, after }) => ({ runbook: name, after })),
  });
  const byName = new Map(servers.map((server) => [server.name, server]));
  const done = new Set<NodeId>();
  const ownEnd = (node: PlanNode): boolean => {
    switch (node.kind) {
      case 'server':
        // One that has given up, and is not undone yet, is done for the plan.
        return isDone(byName.get(node.name)!) || items['recover']?.get(node.name) === 'done';
      case 'include':
        return items['include']?.get(node.name) === 'done';
      case 'open':
        return !gateIsAhead(facts, node.name);
      case 'wave':
        return true;
    }
  };
  for (const node of inOrder(graph)) {
    const isFree = node.kind === 'server' || node.after.every((id) => done.has(id));
    if (isFree && ownEnd(node)) done.add(node.id);
  }
  return (id) => [...new Set(namesOf(id))];
  function namesOf(id: NodeId): string[] {
    return graph.nodes.get(id)!.after.flatMap((before) => {
      if (done.has(before)) return [];
      const { kind, name } = graph.nodes.get(before)!;
      if (kind !== 'open') return [name];
      const further = namesOf(before);
      return further.length > 0 ? further : [`gate ${gateNameOf(header, name)}`];
    });
  }
}

/** A gate that nobody has let pass yet; known from the plan's own record. */
function gateIsAhead({ header, gates }: PlanFacts, wave: string): boolean {
  const gate = header.plan.waves.find(({ name }) => name === wave)?.gate ?? null;
  return gateOf(header, gate) !== null && gates.get(wave) !== 'passed';
}

const gateNameOf = ({ plan }: PlanHeader, wave: string): string =>
  plan.waves.find(({ name }) => name === wave)?.gate ?? wave;
