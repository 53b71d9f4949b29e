/** A plan before it runs: its waves with their expected times, what makes it as long as it is, and what will ask whom. */
import type { Mode } from '../order';
import type { PhysicalMachineFacts } from '../orders/build-order';
import type { PlanOrder, ServerOfPlan } from '../plan';
import type { CommitPolicy, Gate, People } from '../runbook/runbook';
import { expectations, timesOf, type Expect } from './expectations';
import { leastSure, type Expected, type Sureness } from './expected';
import type { PastTimes } from './past';
import { reachOf, type Reach } from './reach';
import { simulate, type Cause, type SimulatedPlan, type Span } from './simulate';

export interface Preview extends Span {
  readonly mode: Mode;
  /** Of the servers of which something is known; null: of none. */
  readonly sure: Sureness | null;
  /** Servers that never ran here, nor any that is like them. */
  readonly unknown: readonly string[];
  /** The runbook that was asked for, and each that it includes, in the order in which they start. */
  readonly runbooks: readonly PreviewedRunbook[];
  readonly limitedBy: SimulatedPlan['limitedBy'];
  readonly asks: readonly Ask[];
  readonly objectives: readonly Reach[];
}

export interface PreviewedRunbook extends Span {
  /** Names from the outermost to this one. */
  readonly path: readonly string[];
  readonly title: string;
  /** 0: a text that is not imported. */
  readonly version: number;
  readonly sha256: string;
  readonly waves: readonly PreviewedWave[];
}

export interface PreviewedWave extends Span {
  readonly name: string;
  readonly title: string;
  readonly after: readonly string[];
  readonly gate: string | null;
  readonly servers: readonly PreviewedServer[];
}

export interface PreviewedServer extends Span {
  readonly name: string;
  readonly machineName: string;
  readonly siteId: string;
  readonly hardware: string;
  readonly option: string;
  readonly because: Cause | null;
  /** To its proof; null: unknown, it never ran here. */
  readonly expected: Expected | null;
}

type PhysicalMachines = Readonly<Record<string, readonly PhysicalMachineFacts[]>>;

/** Somebody will be asked; people's time is not in any of the times. */
export interface Ask {
  readonly kind: 'gate' | 'power-on' | 'power-off' | 'try-out' | 'commit';
  readonly runbook: string;
  /** The wave or server; null: the whole. */
  readonly of: string | null;
  readonly question: string;
  readonly who: People;
  readonly approvals: number;
  /** What becomes of it without an answer; null: it waits. */
  readonly otherwise: string | null;
  readonly withinMs: number | null;
  readonly atMs: number;
}

/** @param machines physical ones by site: some are switched by people, who are asked then */
export function previewOf(order: PlanOrder, past: readonly PastTimes[], machines: PhysicalMachines = {}): Preview {
  const expect = expectations(past);
  const plan = simulate(order, (server) => timesOf(expect(server)));
  const runbooks = previewed(order, plan, expect, []).sort((a, b) => a.startsMs - b.startsMs);
  const servers = runbooks.flatMap(({ waves }) => waves.flatMap((wave) => wave.servers));
  return {
    mode: order.mode,
    ...spanOf(plan),
    sure: leastSure(servers.flatMap(({ expected }) => expected?.sure ?? [])),
    unknown: servers.filter(({ expected }) => expected === null).map(({ name }) => name),
    runbooks,
    limitedBy: plan.limitedBy,
    asks: asksOf(order, plan, machines, true).sort((a, b) => a.atMs - b.atMs),
    objectives: reachOf(order, plan, expect),
  };
}

const spanOf = ({ startsMs, endsMs, atLeast }: Span): Span => ({ startsMs, endsMs, atLeast });

function previewed(
  order: PlanOrder,
  plan: SimulatedPlan,
  expect: Expect,
  above: readonly string[],
): PreviewedRunbook[] {
  const { name, title, version, sha256 } = order.runbook;
  const path = [...above, name];
  const waves = order.plan.waves.map((wave) => ({
    ...spanOf(plan.waves.get(wave.name)!),
    ...{
      name: wave.name,
      title: wave.title,
      after: wave.after,
      gate: gateOf(order, wave.gate) === null ? null : wave.gate,
    },
    servers: order.servers
      .filter((server) => server.wave === wave.name)
      .map((server) => previewedServer(server, plan, expect(server)?.toProof ?? null)),
  }));
  const own = { path, title, version, sha256, ...spanOf(plan), waves };
  return [own, ...order.parts.flatMap((part) => previewed(part.order, plan.parts.get(part.name)!, expect, path))];
}

function previewedServer(
  { name, order }: ServerOfPlan,
  plan: SimulatedPlan,
  expected: Expected | null,
): PreviewedServer {
  const { target, option } = order;
  const { because, ...simulated } = plan.servers.get(name)!;
  const { machineName, siteId, hardware } = target;
  return { ...spanOf(simulated), name, machineName, siteId, hardware: hardware.id, option, because, expected };
}

/** null where there is none in this mode. */
function gateOf({ plan, mode }: PlanOrder, name: string | null): Gate | null {
  const gate = name === null ? undefined : plan.gates[name];
  return gate === undefined || !gate.in.includes(mode) ? null : gate;
}

function asksOf(order: PlanOrder, plan: SimulatedPlan, machines: PhysicalMachines, outermost: boolean): Ask[] {
  const runbook = order.runbook.name;
  const decide = { who: order.plan.access.decide, approvals: 1, otherwise: null, withinMs: null };
  const gates = order.plan.waves.flatMap((wave): Ask[] => {
    const gate = gateOf(order, wave.gate);
    return gate === null
      ? []
      : [{ kind: 'gate', runbook, of: wave.name, ...gateAsk(gate), atMs: plan.waves.get(wave.name)!.startsMs }];
  });
  const twoSee = order.plan.access.fourEyes.includes('power-on');
  const powers = order.servers.flatMap((server): Ask[] => {
    const { name } = server;
    const byHand = handOf(server, machines);
    const asked = { ...decide, runbook, of: name, atMs: plan.servers.get(name)!.endsMs };
    const on =
      byHand === null ? `May ${name} be powered on?` : `Switch ${byHand.machine} on: ${byHand.how} Then approve`;
    const off = byHand === null ? '' : `Switch ${byHand.machine} off: ${byHand.how} Then retry`;
    // A rehearsal's machine reaches nobody: two people are asked only where one would be.
    const asks = server.order.powerOn === 'decision' || byHand !== null || (twoSee && order.mode === 'recovery');
    return [
      ...(asks ? [{ ...asked, kind: 'power-on' as const, question: on, approvals: twoSee ? 2 : 1 }] : []),
      // Cleaned up, it is stuck until somebody says that it is off.
      ...(byHand !== null && order.mode === 'rehearsal'
        ? [{ ...asked, kind: 'power-off' as const, question: off, atMs: plan.endsMs }]
        : []),
    ];
  });
  const parts = order.parts.flatMap((part) => asksOf(part.order, plan.parts.get(part.name)!, machines, false));
  return [...gates, ...powers, ...parts, ...(outermost ? lastAsk(order, plan) : [])];
}

/** null: it is switched by a program. */
function handOf(
  { order: { target } }: ServerOfPlan,
  machines: PhysicalMachines,
): { machine: string; how: string } | null {
  const { siteId, machineName, hardware } = target;
  const known = hardware.kind === 'physical' ? machines[siteId]?.find(({ name }) => name === machineName) : undefined;
  return known?.powerByPerson === undefined ? null : { machine: machineName, how: known.powerByPerson };
}

function gateAsk(gate: Gate): Pick<Ask, 'question' | 'who' | 'approvals' | 'otherwise' | 'withinMs'> {
  const { question, approvers, approvals, withinMs, otherwise } = gate;
  return { question, who: approvers, approvals, withinMs, otherwise: otherwise === 'wait' ? null : otherwise };
}

/** What people are asked when all is proven. */
function lastAsk(order: PlanOrder, { endsMs }: SimulatedPlan): Ask[] {
  const { plan, mode } = order;
  const runbook = order.runbook.name;
  if (mode === 'rehearsal') {
    const gate = plan.rehearsal.tryOut === null ? undefined : plan.gates[plan.rehearsal.tryOut];
    return gate === undefined ? [] : [{ kind: 'try-out', runbook, of: null, ...gateAsk(gate), atMs: endsMs }];
  }
  const question = 'Commit: the recovered servers are the ones from now on. Or roll back: everything as before.';
  const common = { kind: 'commit', runbook, of: null, question, who: plan.access.decide, atMs: endsMs } as const;
  const approvals = plan.access.fourEyes.includes('commit') ? 2 : 1;
  return [{ ...common, approvals, ...withoutAnswer(plan.commit) }];
}

function withoutAnswer(policy: CommitPolicy): Pick<Ask, 'otherwise' | 'withinMs'> {
  return policy.kind === 'decision'
    ? { otherwise: null, withinMs: null }
    : { otherwise: policy.act, withinMs: policy.afterMs };
}
