/**
 * A plan run through in thought with all that it includes: the scheduler and the places of the real one, with expected times in
 * place of real ones. People are taken to answer at once; what never ran takes no time, and everything behind it says `atLeast`.
 */
import type { PlanOrder, RunbookOfPlan, ServerOfPlan } from '../plan';
import type { RecoveryOption } from '../replica';
import { planGraph, type NodeId, type PlanGraph, type PlanNode } from '../runbook/graph';
import { Places } from '../runbook/places';
import { Scheduler } from '../runbook/scheduler';
import { Agenda } from './agenda';
import { BootTurns } from './boot-turns';

export interface Span {
  readonly startsMs: number;
  readonly endsMs: number;
  /** It may take longer: it, or something that it waits for, never ran here. */
  readonly atLeast: boolean;
}

/** What a start waited for: the end of something that it comes after, a place within a limit, or its turn to boot. */
export interface Cause {
  readonly kind: 'after' | 'limit' | 'boot';
  /** Of the server or included runbook whose end let it start; with a limit that reaches further, of a server of another runbook. */
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
  /** The same where it has to wait for its turn, if it differs: what it had of its start so far was waiting. */
  readonly bootInTurnMs?: number;
  /** It boots already, or is over: it counts among those that boot, and waits for no turn. */
  readonly hasTurn?: boolean;
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
export function simulate(order: OrderInThought, timesOf: TimesOf): SimulatedPlan {
  const thought: Thought = { agenda: new Agenda(), boots: new BootTurns(), plans: [], nowMs: 0 };
  const whole = new Simulation(order, timesOf, new Places(order), thought);
  whole.begin(() => undefined);
  for (let next = thought.agenda.take(); next !== undefined; next = thought.agenda.take()) {
    thought.nowMs = next.atMs;
    next.what();
  }
  return whole.result();
}

/** What a plan shares with those that it includes. */
interface Thought {
  readonly agenda: Agenda<() => void>;
  readonly boots: BootTurns;
  /** In the order in which they get places. */
  readonly plans: Simulation[];
  nowMs: number;
}

/** What has just ended, in this plan or, with `node` null, in another one, where it made room. */
interface Ended {
  readonly node: PlanNode | null;
  readonly name: string;
  readonly atLeast: boolean;
}

class Simulation {
  private readonly scheduler: Scheduler;
  private readonly seen = new Map<NodeId, Seen>();
  private readonly parts: ReadonlyMap<string, Simulation>;
  private readonly servers: ReadonlyMap<string, ServerInThought>;
  private readonly graph: PlanGraph;
  private startsMs = 0;
  /** Called once, when everything of it is over; null while it has not begun, and afterwards. */
  private whenOver: (() => void) | null = null;

  constructor(
    private readonly order: OrderInThought,
    private readonly timesOf: TimesOf,
    places: Places,
    private readonly thought: Thought,
  ) {
    thought.plans.push(this);
    this.servers = new Map(order.servers.map((server) => [server.name, server]));
    const includes = order.parts.map(({ name, after }) => ({ runbook: name, after }));
    this.graph = planGraph({ waves: order.plan.waves, servers: order.servers, includes });
    this.scheduler = new Scheduler(this.graph, places);
    this.parts = new Map(
      order.parts.map((part) => [
        part.name,
        new Simulation(part.order, timesOf, places.parts.get(part.name)!, thought),
      ]),
    );
  }

  begin(whenOver: () => void): void {
    this.startsMs = this.thought.nowMs;
    this.whenOver = whenOver;
    this.start(null);
    this.endIfOver();
  }

  private endIfOver(): void {
    const { whenOver } = this;
    if (whenOver === null || !this.scheduler.isOver) return;
    this.whenOver = null;
    whenOver();
  }

  /** Starts what may start now, because `ended` has. */
  private start(ended: Ended | null): void {
    if (this.whenOver === null) return;
    for (const node of this.scheduler.take()) {
      const because = this.causeOf(node, ended);
      const after = node.after.map((id) => this.seen.get(id)!);
      const atLeast = after.some((one) => one.atLeast) || ended?.atLeast === true;
      const seen = { startsMs: this.nowMs, endsMs: this.nowMs, atLeast, because };
      this.seen.set(node.id, seen);
      if (node.kind === 'server') this.startServer(node, seen);
      else if (node.kind === 'include') this.startPart(node, seen);
      else this.end(node, seen);
    }
  }

  private get nowMs(): number {
    return this.thought.nowMs;
  }

  /** Waves take no time: behind one stands what ended it. */
  private causeOf(node: PlanNode, ended: Ended | null): Cause | null {
    if (ended === null) return null;
    const { node: own, name } = ended;
    if (own === null) return { kind: 'limit', name };
    if (own.kind === 'server' || own.kind === 'include') {
      return { kind: node.after.includes(own.id) ? 'after' : 'limit', name };
    }
    const behind = this.seen.get(own.id)!.because;
    return behind === null ? null : { ...behind, kind: 'after' };
  }

  private startServer(node: PlanNode, seen: Seen): void {
    const { agenda, boots } = this.thought;
    const server = this.servers.get(node.name)!;
    const times = this.timesOf(server);
    if (times === null) seen.atLeast = true;
    const { beforeBootMs, bootMs, bootInTurnMs = bootMs, hasTurn = false } = times ?? { beforeBootMs: 0, bootMs: 0 };
    const { target, bootsAtOnce = Infinity } = server.order;
    const boot = (leftMs: number): void =>
      agenda.add(this.nowMs + leftMs, () => {
        boots.end(target.siteId, bootsAtOnce, node.name);
        this.end(node, seen);
      });
    if (hasTurn) {
      boots.join(target.siteId, bootsAtOnce);
      return boot(beforeBootMs + bootMs);
    }
    const take = (): void =>
      boots.take(target.siteId, bootsAtOnce, (freedBy) => {
        if (freedBy !== null) seen.because = { kind: 'boot', name: freedBy };
        boot(freedBy === null ? bootMs : bootInTurnMs);
      });
    // Last: who has a turn already may stand behind what is over at this very time.
    agenda.add(this.nowMs + beforeBootMs, take, { last: true });
  }

  private startPart(node: PlanNode, seen: Seen): void {
    const part = this.parts.get(node.name)!;
    part.begin(() => {
      if (part.isUnsure) seen.atLeast = true;
      this.end(node, seen);
    });
  }

  private get isUnsure(): boolean {
    return [...this.seen.values()].some(({ atLeast }) => atLeast);
  }

  /** A server makes room, in every plan whose limits it counts against. */
  private end(node: PlanNode, seen: Seen): void {
    seen.endsMs = this.nowMs;
    this.scheduler.end(node.id);
    const { name } = node;
    const { atLeast } = seen;
    for (const plan of node.kind === 'server' ? this.thought.plans : [this]) {
      plan.start({ node: plan === this ? node : null, name, atLeast });
    }
    this.endIfOver();
  }

  /** @throws Error where something of it could not start */
  result(): SimulatedPlan {
    if (!this.scheduler.isOver) throw new Error('The plan has a cycle; it was not checked before it was used.');
    const { startsMs } = this;
    const all = [...this.seen].map(([id, seen]) => ({ ...seen, ...this.graph.nodes.get(id)! }));
    const servers = all.filter(({ kind }) => kind === 'server').map(spanOf);
    return {
      startsMs,
      endsMs: Math.max(startsMs, ...all.map(({ endsMs }) => endsMs)),
      atLeast: this.isUnsure,
      waves: new Map(all.filter(({ kind }) => kind === 'wave').map(({ name }) => [name, this.waveSpan(name)])),
      servers: new Map(servers.map((server) => [server.name, server])),
      parts: new Map([...this.parts].map(([name, part]) => [name, part.result()])),
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
