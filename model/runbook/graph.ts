/**
 * What comes after what, as nodes and edges. A wave is two nodes, the one that opens it (its gate) and the one that is done when
 * all its servers are: so a server waits for what it depends on and for no stranger, and 2,000 servers need few edges.
 */
import type { Runbook } from './runbook';

export type NodeKind = 'open' | 'server' | 'wave' | 'include';

export interface PlanNode {
  readonly id: NodeId;
  readonly kind: NodeKind;
  /** Of the wave, the server or the included runbook. */
  readonly name: string;
  readonly after: readonly NodeId[];
}

export type NodeId = `${NodeKind}:${string}`;

export interface PlanGraph {
  readonly nodes: ReadonlyMap<NodeId, PlanNode>;
}

/** What of a runbook gives the order. */
interface Planned {
  readonly waves: readonly Pick<Runbook['waves'][number], 'name' | 'after'>[];
  readonly servers: readonly Pick<Runbook['servers'][number], 'name' | 'wave' | 'after'>[];
  readonly includes: Runbook['includes'];
}

/** Names that lead nowhere are left out; check.ts reports them. A name means a wave before a server before an included runbook. */
export function planGraph(plan: Planned): PlanGraph {
  const resolve = resolver(plan);
  const nodes = new Map<NodeId, PlanNode>();
  const add = (kind: NodeKind, name: string, after: readonly NodeId[]): void => {
    const id: NodeId = `${kind}:${name}`;
    nodes.set(id, { id, kind, name, after: [...new Set(after)] });
  };
  for (const wave of plan.waves) {
    const members = plan.servers
      .filter((server) => server.wave === wave.name)
      .map(({ name }): NodeId => `server:${name}`);
    add('open', wave.name, resolve(wave.after));
    add('wave', wave.name, [`open:${wave.name}`, ...members]);
  }
  for (const server of plan.servers) add('server', server.name, [`open:${server.wave}`, ...resolve(server.after)]);
  for (const { runbook, after } of plan.includes) add('include', runbook, resolve(after));
  return { nodes };
}

function resolver(plan: Planned): (names: readonly string[]) => NodeId[] {
  const meaning = new Map<string, NodeId>();
  for (const { runbook } of plan.includes) meaning.set(runbook, `include:${runbook}`);
  for (const { name } of plan.servers) meaning.set(name, `server:${name}`);
  for (const { name } of plan.waves) meaning.set(name, `wave:${name}`);
  return (names) => names.flatMap((name) => meaning.get(name) ?? []);
}

/** The nodes of one cycle, in its order; null where there is none. Iterative: a chain of thousands is no stack overflow. */
export function findCycle({ nodes }: PlanGraph): NodeId[] | null {
  const state = new Map<NodeId, 'open' | 'done'>();
  for (const start of nodes.keys()) {
    if (state.has(start)) continue;
    const path: { id: NodeId; next: number }[] = [{ id: start, next: 0 }];
    state.set(start, 'open');
    while (path.length > 0) {
      const top = path.at(-1)!;
      const next = nodes.get(top.id)!.after[top.next++];
      if (next === undefined) {
        state.set(top.id, 'done');
        path.pop();
      } else if (state.get(next) === 'open') {
        return [...path.slice(path.findIndex(({ id }) => id === next)).map(({ id }) => id), next].reverse();
      } else if (!state.has(next)) {
        state.set(next, 'open');
        path.push({ id: next, next: 0 });
      }
    }
  }
  return null;
}

/** Each node behind all that it comes after, in the order of the file where that leaves a choice. @throws Error on a cycle. */
export function inOrder({ nodes }: PlanGraph): PlanNode[] {
  const waiting = new Map([...nodes.values()].map((node) => [node.id, node.after.length]));
  const followers = followersOf({ nodes });
  const ready = [...nodes.values()].filter(({ after }) => after.length === 0);
  for (let at = 0; at < ready.length; at += 1) {
    for (const id of followers.get(ready[at]!.id) ?? []) {
      const left = waiting.get(id)! - 1;
      waiting.set(id, left);
      if (left === 0) ready.push(nodes.get(id)!);
    }
  }
  if (ready.length < nodes.size) throw new Error('The plan has a cycle; it was not checked before it was used.');
  return ready;
}

/** The same plan from its end to its beginning: what depends on a thing comes before it. */
export function reversed(graph: PlanGraph): PlanGraph {
  const followers = followersOf(graph);
  const nodes = [...graph.nodes.values()].reverse();
  return { nodes: new Map(nodes.map((node) => [node.id, { ...node, after: followers.get(node.id) ?? [] }])) };
}

export function followersOf({ nodes }: PlanGraph): Map<NodeId, NodeId[]> {
  const followers = new Map<NodeId, NodeId[]>();
  for (const node of nodes.values()) {
    for (const before of node.after) {
      const list = followers.get(before);
      if (list) list.push(node.id);
      else followers.set(before, [node.id]);
    }
  }
  return followers;
}
