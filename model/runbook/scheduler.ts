/**
 * What may start now. Pure and deterministic: the plan workflow asks after everything that ended, and the preview asks it with
 * expected durations in place of real ones, so that both show the same order.
 */
import { followersOf, type NodeId, type PlanGraph, type PlanNode } from './graph';
import type { Limits } from './runbook';

/** What a server counts against. */
export interface Place {
  readonly siteId: string;
  readonly datastore: string | null;
}

export class Scheduler {
  private readonly waiting: Map<NodeId, number>;
  private readonly followers: Map<NodeId, NodeId[]>;
  /** May start as far as order goes; in the order of the file. */
  private ready: NodeId[];
  private readonly running = new Set<NodeId>();
  private readonly over = new Set<NodeId>();
  private readonly held = new Set<NodeId>();
  private readonly used = new Map<string, number>();
  private readonly rank: Map<NodeId, number>;
  /** What each node counts against. */
  private readonly keys: Map<NodeId, readonly string[]>;

  constructor(
    private readonly graph: PlanGraph,
    private readonly limits: Pick<Limits, 'atOnce' | 'sites' | 'datastores'>,
    private readonly placeOf: (server: string) => Place,
  ) {
    this.waiting = new Map([...graph.nodes.values()].map((node) => [node.id, node.after.length]));
    this.followers = followersOf(graph);
    this.rank = new Map([...graph.nodes.keys()].map((id, index) => [id, index]));
    this.ready = [...graph.nodes.values()].filter(({ after }) => after.length === 0).map(({ id }) => id);
    this.keys = new Map([...graph.nodes.values()].map((node) => [node.id, this.keysOf(node)]));
  }

  /** Starts, in the order of the file, all that order, limits and holds allow, and says what. */
  take(): PlanNode[] {
    const taken: PlanNode[] = [];
    const left: NodeId[] = [];
    for (const id of this.ready) {
      const node = this.graph.nodes.get(id)!;
      const keys = this.keys.get(id)!;
      if (this.held.has(id) || keys.some((key) => this.isFull(key))) {
        left.push(id);
        continue;
      }
      for (const key of keys) this.used.set(key, (this.used.get(key) ?? 0) + 1);
      this.running.add(id);
      taken.push(node);
    }
    this.ready = left;
    return taken;
  }

  /** What was taken is over, well or not; what came after it may be ready now. */
  end(id: NodeId): void {
    if (!this.running.delete(id)) throw new Error(`${id} ends without having been started.`);
    this.over.add(id);
    for (const key of this.keys.get(id)!) this.used.set(key, this.used.get(key)! - 1);
    const fresh = (this.followers.get(id) ?? []).filter((follower) => {
      const left = this.waiting.get(follower)! - 1;
      this.waiting.set(follower, left);
      return left === 0;
    });
    if (fresh.length > 0) this.ready = [...this.ready, ...fresh].sort((a, b) => this.rank.get(a)! - this.rank.get(b)!);
  }

  /** Not started while it is held; what runs is not touched. */
  hold(id: NodeId): void {
    this.held.add(id);
  }

  goOn(id: NodeId): void {
    this.held.delete(id);
  }

  /** Whether it is still to be started. */
  isLeft(id: NodeId): boolean {
    return this.graph.nodes.has(id) && !this.running.has(id) && !this.over.has(id);
  }

  get isOver(): boolean {
    return this.over.size === this.graph.nodes.size;
  }

  private keysOf(node: PlanNode): string[] {
    if (node.kind !== 'server') return [];
    const { siteId, datastore } = this.placeOf(node.name);
    return ['all', `site ${siteId}`, ...(datastore === null ? [] : [`datastore ${datastore}`])];
  }

  private isFull(key: string): boolean {
    const limit = this.limitOf(key);
    return limit !== null && (this.used.get(key) ?? 0) >= limit;
  }

  private limitOf(key: string): number | null {
    if (key === 'all') return this.limits.atOnce;
    if (key.startsWith('site ')) return this.limits.sites[key.slice(5)] ?? null;
    return this.limits.datastores[key.slice('datastore '.length)] ?? null;
  }
}
