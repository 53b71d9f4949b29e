/**
 * What may start now. Pure and deterministic: the plan workflow asks after everything that ended, and the preview asks it with
 * expected durations in place of real ones, so that both show the same order.
 */
import { followersOf, type NodeId, type PlanGraph, type PlanNode } from './graph';
import type { Room } from './places';

export class Scheduler {
  private readonly waiting: Map<NodeId, number>;
  private readonly followers: Map<NodeId, NodeId[]>;
  /** May start as far as order goes; in the order of the file. */
  private ready: NodeId[];
  private readonly running = new Set<NodeId>();
  private readonly over = new Set<NodeId>();
  private readonly held = new Set<NodeId>();
  private readonly rank: Map<NodeId, number>;

  constructor(
    private readonly graph: PlanGraph,
    private readonly room: Room,
  ) {
    this.waiting = new Map([...graph.nodes.values()].map((node) => [node.id, node.after.length]));
    this.followers = followersOf(graph);
    this.rank = new Map([...graph.nodes.keys()].map((id, index) => [id, index]));
    this.ready = [...graph.nodes.values()].filter(({ after }) => after.length === 0).map(({ id }) => id);
  }

  /** Starts, in the order of the file, all that order, room and holds allow, and says what. */
  take(): PlanNode[] {
    const taken: PlanNode[] = [];
    const left: NodeId[] = [];
    for (const id of this.ready) {
      const node = this.graph.nodes.get(id)!;
      if (this.held.has(id) || (node.kind === 'server' && !this.room.take(node.name))) {
        left.push(id);
        continue;
      }
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
    const node = this.graph.nodes.get(id)!;
    if (node.kind === 'server') this.room.end(node.name);
    const fresh = (this.followers.get(id) ?? []).filter((follower) => {
      const left = this.waiting.get(follower)! - 1;
      this.waiting.set(follower, left);
      return left === 0;
    });
    if (fresh.length > 0) this.ready = [...this.ready, ...fresh].sort((a, b) => this.rank.get(a)! - this.rank.get(b)!);
  }

  /** Servers that nothing but the room keeps from starting, in the order of the file. */
  withoutRoom(): string[] {
    return this.ready.flatMap((id) => {
      const { kind, name } = this.graph.nodes.get(id)!;
      return kind === 'server' && !this.held.has(id) ? [name] : [];
    });
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
}
