/** Undoing a plan: each server when everything that depends on it is undone, strangers at the same time. */
import type { PlanOrder } from '../model/plan';
import { planGraph, reversed, type NodeId, type PlanGraph } from '../model/runbook/graph';
import { roomForAll } from '../model/runbook/places';
import { Scheduler } from '../model/runbook/scheduler';
import type { Place, Undo } from './runner/run';

/** The plan's own graph, with what it includes. */
export const graphOf = ({ plan, servers, parts }: PlanOrder): PlanGraph =>
  planGraph({ ...plan, servers, includes: parts.map(({ name, after }) => ({ runbook: name, after })) });

/** What is not a server or an included runbook was begun before all of them, and is undone after them. */
export async function undoPlan(
  order: PlanOrder,
  undos: readonly Undo<PlanOrder>[],
  undoOne: (undo: Undo<PlanOrder>) => Promise<void>,
  stuck: (id: NodeId) => Promise<void>,
): Promise<void> {
  const graph = graphOf(order);
  const byNode = new Map(undos.map((undo) => [nodeOf(undo), undo]));
  const work = async (id: NodeId): Promise<void> => {
    const undo = byNode.get(id);
    if (undo !== undefined) await undoOne(undo);
  };
  await inReverse(graph, work, stuck);
  const rest = undos.filter((undo) => !graph.nodes.has(nodeOf(undo)));
  for (const undo of [...rest].reverse()) await undoOne(undo);
}

export const nodeOf = ({ step, item }: Place): NodeId => `${step === 'include' ? 'include' : 'server'}:${item ?? ''}`;

/** The place of a server or an included runbook. */
export function placeOfNode(id: NodeId): { readonly step: 'include' | 'recover'; readonly item: string } {
  const at = id.indexOf(':');
  return { step: id.slice(0, at) === 'include' ? 'include' : 'recover', item: id.slice(at + 1) };
}

/** Resolves when all nodes are done; rejects with the first error, and then starts no more. What is `stuck` keeps none from starting. */
function inReverse(
  graph: PlanGraph,
  work: (id: NodeId) => Promise<void>,
  stuck: (id: NodeId) => Promise<void>,
): Promise<void> {
  const scheduler = new Scheduler(reversed(graph), roomForAll);
  const working = new Set<NodeId>();
  const passed = new Set<NodeId>();
  return new Promise((resolve, reject) => {
    const pass = (id: NodeId): void => {
      if (!passed.has(id)) scheduler.end(id);
      passed.add(id);
      go();
    };
    const go = (): void => {
      for (const { id } of scheduler.take()) {
        working.add(id);
        void stuck(id).then(() => {
          if (working.has(id)) pass(id);
        });
        work(id).then(() => {
          working.delete(id);
          pass(id);
        }, reject);
      }
      if (scheduler.isOver && working.size === 0) resolve();
    };
    go();
  });
}
