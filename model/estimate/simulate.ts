/**
 * A plan run through in thought: the scheduler of the real one, with expected times in place of real ones. People are taken to
 * answer at once; what never ran takes no time, and everything behind it says `atLeast`.
 */
import type { PlanOrder, RunbookOfPlan, ServerOfPlan } from '../plan';
import type { RecoveryOption } from '../replica';
import { planGraph, type NodeId, type PlanGraph, type PlanNode } from '../runbook/graph';
import { Scheduler } from '../runbook/scheduler';
import { Agenda } from './agenda';

export interface Span {
  readonly startsMs: number;
  readonly endsMs: number;
  /** It may take longer: it, or something that it waits for, never ran here. */
  readonly atLeast: boolean;
}

/** What a start waited for: the end of something that it comes after, a place within a limit, or its turn to boot. */
export interface Cause {
  readonly kind: 'after' | 'limit' | 'boot';
  /** Of the server or included runbook whose end let it start. */
  readonly name: string;
}

export interface SimulatedServer extends Span {
  readonly name: string;
  readonly because: Cause | null;
}

export interface SimulatedPlan extends Span {
  readonly waves: ReadonlyMap<string, Span>;
  readonly servers: ReadonlyMap<string, SimulatedServer>;
  readonly parts: ReadonlyMap<string, SimulatedPlan>;
  /** What makes it as long as it is, from its start to its end. */
  readonly limitedBy: readonly (SimulatedServer & { readonly kind: 'server' | 'runbook' })[];
}

/** Until it wants to boot, and from then to its proof. */
export interface ExpectedTimes {
  readonly beforeBootMs: number;
  readonly bootMs: number;
}

/** What of an order says how long it takes; any PlanOrder is one. */
export interface OrderInThought {
  readonly plan: Pick<RunbookOfPlan, 'waves' | 'limits'>;
  readonly servers: readonly ServerInThought[];
  readonly parts: readonly {
    readonly name: string;
    readonly after: readonly string[];
    readonly order: OrderInThought;
  }[];
}

export interface ServerInThought extends Pick<ServerOfPlan, 'name' | 'wave' | 'after' | 'datastore'> {
  readonly order: {
    readonly option: RecoveryOption;
    readonly server: { readonly id: string; readonly disks: readonly { readonly sizeBytes: number }[] };
    readonly target: { readonly siteId: string };
    readonly bootsAtOnce?: number;
  };
}

/** No more of the order than that: 2,000 orders of servers are megabytes. */
export function inThought({ plan: { waves, limits }, servers, parts }: PlanOrder): OrderInThought {
  return {
    plan: { waves, limits },
    servers: servers.map(({ name, wave, after, datastore, order: { option, server, target, bootsAtOnce } }) => ({
      ...{ name, wave, after, datastore },
      order: {
        option,
        server: { id: server.id, disks: server.disks.map(({ sizeBytes }) => ({ sizeBytes })) },
        target: { siteId: target.siteId },
        ...(bootsAtOnce === undefined ? {} : { bootsAtOnce }),
      },
    })),
    parts: parts.map(({ name, after, order }) => ({ name, after, order: inThought(order) })),
  };
}

/** null: it never ran here. */
export type TimesOf = (server: ServerInThought) => ExpectedTimes | null;

interface Seen {
  startsMs: number;
  endsMs: number;
  atLeast: boolean;
  because: Cause | null;
}

/** Times count from the start of the outermost plan. @throws Error on a cycle; buildPlan has refused it before. */
export function simulate(order: OrderInThought, timesOf: TimesOf, startsMs = 0): SimulatedPlan {
  return new Simulation(order, timesOf, startsMs).run();
}

class Simulation {
  private readonly agenda = new Agenda<() => void>();
  private readonly scheduler: Scheduler;
  private readonly seen = new Map<NodeId, Seen>();
  private readonly parts = new Map<string, SimulatedPlan>();
  private readonly servers: ReadonlyMap<string, ServerInThought>;
  private readonly booting = new Map<string, number>();
  /** Those whose turn to boot has not come, by site; each is told who made room. */
  private readonly waiting = new Map<string, ((freedBy: string) => void)[]>();
  private nowMs: number;
  private readonly graph: PlanGraph;

  constructor(
    private readonly order: OrderInThought,
    private readonly timesOf: TimesOf,
    startsMs: number,
  ) {
    this.nowMs = startsMs;
    this.servers = new Map(order.servers.map((server) => [server.name, server]));
    const includes = order.parts.map(({ name, after }) => ({ runbook: name, after }));
    this.graph = planGraph({ waves: order.plan.waves, servers: order.servers, includes });
    this.scheduler = new Scheduler(this.graph, order.plan.limits, (name) => {
      const { order, datastore } = this.servers.get(name)!;
      return { siteId: order.target.siteId, datastore };
    });
  }

  run(): SimulatedPlan {
    const startsMs = this.nowMs;
    this.start(null);
    for (let next = this.agenda.take(); next !== undefined; next = this.agenda.take()) {
      this.nowMs = next.atMs;
      next.what();
    }
    if (!this.scheduler.isOver) throw new Error('The plan has a cycle; it was not checked before it was used.');
    return this.result(startsMs);
  }

  /** Starts what may start now, because `ended` has. */
  private start(ended: PlanNode | null): void {
    for (const node of this.scheduler.take()) {
      const because = this.causeOf(node, ended);
      const after = node.after.map((id) => this.seen.get(id)!);
      const unsure = after.some(({ atLeast }) => atLeast) || (ended !== null && this.seen.get(ended.id)!.atLeast);
      const seen = { startsMs: this.nowMs, endsMs: this.nowMs, atLeast: unsure, because };
      this.seen.set(node.id, seen);
      if (node.kind === 'server') this.startServer(node, seen);
      else if (node.kind === 'include') this.startPart(node, seen);
      else this.end(node, seen);
    }
  }

  /** Waves take no time: behind one stands what ended it. */
  private causeOf(node: PlanNode, ended: PlanNode | null): Cause | null {
    if (ended === null) return null;
    if (ended.kind === 'server' || ended.kind === 'include') {
      return { kind: node.after.includes(ended.id) ? 'after' : 'limit', name: ended.name };
    }
    const behind = this.seen.get(ended.id)!.because;
    return behind === null ? null : { ...behind, kind: 'after' };
  }

  private startServer(node: PlanNode, seen: Seen): void {
    const server = this.servers.get(node.name)!;
    const times = this.timesOf(server);
    if (times === null) seen.atLeast = true;
    const { beforeBootMs, bootMs } = times ?? { beforeBootMs: 0, bootMs: 0 };
    const { target, bootsAtOnce = Infinity } = server.order;
    const boot = (freedBy: string | null): void => {
      this.booting.set(target.siteId, (this.booting.get(target.siteId) ?? 0) + 1);
      if (freedBy !== null) seen.because = { kind: 'boot', name: freedBy };
      this.agenda.add(this.nowMs + bootMs, () => {
        this.booting.set(target.siteId, this.booting.get(target.siteId)! - 1);
        this.waiting.get(target.siteId)?.shift()?.(node.name);
        this.end(node, seen);
      });
    };
    this.agenda.add(this.nowMs + beforeBootMs, () => {
      if ((this.booting.get(target.siteId) ?? 0) < bootsAtOnce) return boot(null);
      const queue = this.waiting.get(target.siteId) ?? [];
      this.waiting.set(target.siteId, queue);
      queue.push(boot);
    });
  }

  private startPart(node: PlanNode, seen: Seen): void {
    const part = this.order.parts.find(({ name }) => name === node.name)!;
    const simulated = simulate(part.order, this.timesOf, this.nowMs);
    this.parts.set(node.name, simulated);
    if (simulated.atLeast) seen.atLeast = true;
    this.agenda.add(simulated.endsMs, () => this.end(node, seen));
  }

  private end(node: PlanNode, seen: Seen): void {
    seen.endsMs = this.nowMs;
    this.scheduler.end(node.id);
    this.start(node);
  }

  private result(startsMs: number): SimulatedPlan {
    const all = [...this.seen].map(([id, seen]) => ({ ...seen, ...this.graph.nodes.get(id)! }));
    const servers = all.filter(({ kind }) => kind === 'server').map(spanOf);
    return {
      startsMs,
      endsMs: Math.max(startsMs, ...all.map(({ endsMs }) => endsMs)),
      atLeast: all.some(({ atLeast }) => atLeast),
      waves: new Map(all.filter(({ kind }) => kind === 'wave').map(({ name }) => [name, this.waveSpan(name)])),
      servers: new Map(servers.map((server) => [server.name, server])),
      parts: this.parts,
      limitedBy: this.chain(),
    };
  }

  /** From its gate to its last server. */
  private waveSpan(name: string): Span {
    const opened = this.seen.get(`open:${name}`)!;
    const { endsMs, atLeast } = this.seen.get(`wave:${name}`)!;
    return { startsMs: opened.startsMs, endsMs, atLeast };
  }

  /** From the last that ends back to the first, each by what it waited for. */
  private chain(): SimulatedPlan['limitedBy'] {
    const members = [...this.seen].flatMap(([id, seen]) => {
      const { kind, name } = this.graph.nodes.get(id)!;
      return kind === 'server' || kind === 'include' ? [{ ...spanOf({ ...seen, name }), kind }] : [];
    });
    const byName = new Map(members.map((one) => [one.name, one]));
    let at = members.reduce<(typeof members)[number] | undefined>(
      (last, one) => (last === undefined || one.endsMs > last.endsMs ? one : last),
      undefined,
    );
    const chain: SimulatedPlan['limitedBy'][number][] = [];
    for (; at !== undefined; at = at.because === null ? undefined : byName.get(at.because.name)) {
      chain.unshift({ ...at, kind: at.kind === 'server' ? 'server' : 'runbook' });
    }
    return chain;
  }
}

const spanOf = ({ name, startsMs, endsMs, atLeast, because }: Seen & { readonly name: string }): SimulatedServer => ({
  ...{ name, startsMs, endsMs, atLeast, because },
});
