/** How long a plan is expected to take, from what its servers took before: the scheduler, with those times in place of work. */
import { planGraph, type NodeId } from './graph';
import type { Runbook } from './runbook';
import { Scheduler, type Place } from './scheduler';

/** From past runs of the same server, mode and option; absent: no such run. */
export interface PastRuns {
  readonly medianMs: number;
  readonly slowestMs: number;
  readonly runs: number;
}

export interface Expectation {
  readonly nodes: ReadonlyMap<NodeId, { readonly startMs: number; readonly endMs: number }>;
  readonly totalMs: number;
  /** Servers for which there is no past run, and a stranger's median stands in. */
  readonly guessed: readonly string[];
  /** many: five runs or more of every server; few: less; none: no past run of any. */
  readonly confidence: 'many' | 'few' | 'none';
}

export function expectPlan(
  plan: Runbook,
  past: (server: string) => PastRuns | undefined,
  placeOf: (server: string) => Place,
  pick: 'medianMs' | 'slowestMs' = 'medianMs',
): Expectation | undefined {
  const known = plan.servers.flatMap(({ name }) => past(name) ?? []);
  if (known.length === 0 && plan.servers.length > 0) return undefined;
  const stand = [...known.map((one) => one[pick])].sort((a, b) => a - b)[Math.floor(known.length / 2)] ?? 0;
  const scheduler = new Scheduler(planGraph(plan), plan.limits, placeOf);
  const nodes = new Map<NodeId, { startMs: number; endMs: number }>();
  const ends: { atMs: number; id: NodeId }[] = [];
  let nowMs = 0;
  while (!scheduler.isOver) {
    for (const node of scheduler.take()) {
      const tookMs = node.kind === 'server' ? (past(node.name)?.[pick] ?? stand) : 0;
      nodes.set(node.id, { startMs: nowMs, endMs: nowMs + tookMs });
      ends.push({ atMs: nowMs + tookMs, id: node.id });
    }
    ends.sort((a, b) => a.atMs - b.atMs);
    const next = ends.shift();
    if (next === undefined) throw new Error('The plan cannot go on: a limit of none, or a cycle, was not checked.');
    nowMs = next.atMs;
    scheduler.end(next.id);
  }
  const guessed = plan.servers.filter(({ name }) => past(name) === undefined).map(({ name }) => name);
  const confidence = guessed.length === 0 && known.every(({ runs }) => runs >= 5) ? 'many' : 'few';
  return { nodes, totalMs: nowMs, guessed, confidence };
}
