/** How long a run waits by itself, against the RTO of what waits meanwhile: gates, and optional servers that are stuck. */
import { formatDuration } from '../durations';
import type { RunbookFile } from '../schema/runbook';
import type { Inventory } from './check';
import { findCycle, followersOf, inOrder, planGraph, type NodeId, type PlanGraph } from './graph';
import { warning, type RunbookProblem } from './problems';

/** Whose RTO it is, in words, and how long. */
interface Rto {
  readonly of: string;
  readonly ms: number;
}

/** Warnings: people may answer sooner, and what is stuck may be mended. */
export function checkPatience(file: RunbookFile, inventory: Inventory | null): RunbookProblem[] {
  const servers = file.waves.flatMap((wave) =>
    wave.servers.map(({ name, after }) => ({ name, after, wave: wave.name })),
  );
  const graph = planGraph({ waves: file.waves, servers, includes: file.includes });
  if (findCycle(graph) !== null) return [];
  const behind = strictestBehind(graph, rtosOf(file, inventory));
  const whole = file.objectives.rto === undefined ? [] : [{ of: 'the whole', ms: file.objectives.rto }];
  return [...gates(file, behind, whole), ...optional(file, behind, whole)];
}

function gates(file: RunbookFile, behind: ReadonlyMap<NodeId, Behind>, whole: readonly Rto[]): RunbookProblem[] {
  return Object.entries(file.gates).flatMap(([name, gate]) => {
    if (gate.within === undefined || !gate.in.includes('recovery')) return [];
    const waiting = file.waves.filter((wave) => wave.gate === name).map((wave) => behind.get(`open:${wave.name}`)!);
    const rto = strictest([...waiting.flatMap((one) => one.rto ?? []), ...(waiting.length === 0 ? [] : whole)]);
    return longerThan(['gates', name, 'within'], `people have ${formatDuration(gate.within)}`, gate.within, rto);
  });
}

function optional(file: RunbookFile, behind: ReadonlyMap<NodeId, Behind>, whole: readonly Rto[]): RunbookProblem[] {
  const said = new Set<string>();
  return file.waves.flatMap((wave, w) =>
    wave.servers.flatMap(({ name, failure: own }, s) => {
      const failure = own ?? file.defaults.failure;
      if (failure === undefined || failure === 'critical') return [];
      const { rto, isWaitedFor } = behind.get(`server:${name}`)!;
      if (!isWaitedFor) return [];
      const place = own === undefined ? ['defaults'] : ['waves', w, 'servers', s];
      const found = longerThan(
        [...place, 'failure', 'giveUpAfter'],
        `${name} may be stuck for ${formatDuration(failure.giveUpAfter)}`,
        failure.giveUpAfter,
        strictest([...(rto === null ? [] : [rto]), ...whole]),
      );
      // The default is one place, however many servers have it.
      return found.filter(({ at }) => own !== undefined || (!said.has(at.join()) && said.add(at.join())));
    }),
  );
}

function longerThan(at: RunbookProblem['at'], what: string, ms: number, rto: Rto | null): RunbookProblem[] {
  if (rto === null || ms <= rto.ms) return [];
  const found = `${what}, and what waits for it has an RTO of ${formatDuration(rto.ms)} (${rto.of})`;
  return [
    warning(at, found, `less than the RTO of what waits for it`, 'Make it shorter, or state an RTO that can be kept.'),
  ];
}

const strictest = (rtos: readonly Rto[]): Rto | null =>
  rtos.reduce<Rto | null>((least, one) => (least === null || one.ms < least.ms ? one : least), null);

/** By server; of tiers of the inventory as well, where that is known. */
function rtosOf(file: RunbookFile, inventory: Inventory | null): ReadonlyMap<NodeId, Rto> {
  const rtos = new Map<NodeId, Rto>();
  for (const { name, objectives } of file.waves.flatMap(({ servers }) => servers)) {
    const known = inventory?.servers.get(name);
    const own = objectives?.rto ?? known?.objectives.rtoMs;
    const ofTier = known === undefined ? undefined : file.objectives.tiers[known.tier]?.rto;
    const rto = strictest([
      ...(own === undefined ? [] : [{ of: name, ms: own }]),
      ...(ofTier === undefined ? [] : [{ of: `tier ${known!.tier}`, ms: ofTier }]),
    ]);
    if (rto !== null) rtos.set(`server:${name}`, rto);
  }
  return rtos;
}

interface Behind {
  /** null: none that is known. */
  readonly rto: Rto | null;
  /** A server or an included runbook comes after it. */
  readonly isWaitedFor: boolean;
}

/** The strictest RTO of all that comes after each, from the end to the beginning: once over the graph. */
function strictestBehind(graph: PlanGraph, rtos: ReadonlyMap<NodeId, Rto>): ReadonlyMap<NodeId, Behind> {
  const followers = followersOf(graph);
  const behind = new Map<NodeId, Behind>();
  for (const { id } of inOrder(graph).reverse()) {
    const next = followers.get(id) ?? [];
    behind.set(id, {
      rto: strictest(next.flatMap((one) => [rtos.get(one) ?? [], behind.get(one)!.rto ?? []].flat())),
      isWaitedFor: next.some((one) => /^(server|include):/.test(one) || behind.get(one)!.isWaitedFor),
    });
  }
  return behind;
}
