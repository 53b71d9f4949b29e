/** Kills parts of the stack at the moments that the plans name, while their runs go on. */
import { writeFaults, readFaults, type FaultRule } from '../../platforms/faults';
import { effectsSizeBytes, readEffects } from '../../platforms/simulated/effects';
import type { KillableStack } from './killable-stack';
import { lastingFault, type Listeners } from './person';
import type { Fault, Kill, PartName, Plan } from './plan';
import type { ProtectedServer } from './server';
import { faultsFile, type SitePair } from './sites';

/** What of a seed says who is killed when. */
export type Killing = Pick<Plan, 'seed' | 'kills'>;

export interface Storm {
  /** What the person of this seed reports, so that kills can wait for it. */
  listenersOf(plan: Killing): Omit<Listeners, 'onLook'>;
  /** No more kills from now on. Resolves with the parts that were killed, once for each time. */
  calmDown(): Promise<readonly PartName[]>;
}

const lookEveryMs = 40;

const subjectOf = (about: Fault['about'], server: ProtectedServer): { machine?: string } => {
  if (about === 'anybody') return {};
  return { machine: about === 'machine' ? server.machineName : server.spec.id };
};

/** The faults of a plan, met in calm and storm alike; and the kills that a call of the worker's own triggers. */
export function rulesOf(plan: Plan, server: ProtectedServer, withKills: boolean): FaultRule[] {
  const faults = plan.faults.map(({ method, error, when, about }) => ({
    ...{ method, error, when, times: 1 },
    ...subjectOf(about, server),
    message: `fault of seed ${plan.seed}`,
  }));
  const { ending } = plan;
  const lasting: FaultRule[] =
    ending.kind === 'abort-when-stuck'
      ? [
          {
            ...{ method: ending.weakness.method, error: 'OperatorError', times: 1_000_000 },
            ...subjectOf(ending.weakness.about, server),
            message: lastingFault(plan.seed),
          },
        ]
      : [];
  // The first rule that is due fires: a kill comes before the faults of the same call.
  return [...(withKills ? killRules(plan, (about) => subjectOf(about, server)) : []), ...faults, ...lasting];
}

/** The kills that a call of the worker's own triggers. */
export function killRules(
  { kills }: Killing,
  subject: (about: Fault['about']) => Pick<FaultRule, 'machine'> = () => ({}),
): FaultRule[] {
  return kills.flatMap(({ moment }) => {
    if (moment.kind !== 'call') return [];
    const { method, when, about, passing: after = 0 } = moment;
    return [{ method, when, after, kill: true, times: 1, ...subject(about) }];
  });
}

export async function setFaults(pair: SitePair, rules: readonly FaultRule[]): Promise<void> {
  await writeFaults(faultsFile(pair.recovery.site.folder), rules);
}

/** Begins to listen; kills come only from what the persons report and what the runs change. */
export function raiseStorm(stack: KillableStack, pair: SitePair): Storm {
  let over = false;
  const killed: PartName[] = [];
  const timers = new Set<NodeJS.Timeout>();
  /** Of the log of effects; -1: there is somebody new who waits for some of it. */
  let seenBytes = -1;
  const byEffects: { runIds: readonly string[]; plan: Killing; kill: Kill; count: number }[] = [];

  function strike(plan: Killing, { parts, downMs }: Kill, why: string): void {
    if (over) return;
    const hit = parts.filter((name: PartName) => stack.parts[name].kill(downMs));
    killed.push(...hit);
    const missed = parts.filter((name) => !hit.includes(name));
    const also = missed.length > 0 ? ` (down already: ${missed.join(', ')})` : '';
    stack.note(`seed ${plan.seed} kills ${hit.join(' and ') || 'nobody'}${also}, ${why}, for ${downMs} ms`);
  }

  function later(afterMs: number, act: () => void): void {
    const timer = setTimeout(() => {
      timers.delete(timer);
      act();
    }, afterMs);
    timers.add(timer);
  }

  const watching = (async () => {
    while (!over) {
      const sizeBytes = byEffects.length > 0 ? await effectsSizeBytes(pair.recovery.site.folder) : seenBytes;
      if (sizeBytes !== seenBytes) {
        seenBytes = sizeBytes;
        const counts = new Map<string, number>();
        for (const { runId } of await readEffects(pair.recovery.site.folder)) {
          if (runId !== null) counts.set(runId, (counts.get(runId) ?? 0) + 1);
        }
        for (const waiting of [...byEffects]) {
          const seen = waiting.runIds.reduce((sum, runId) => sum + (counts.get(runId) ?? 0), 0);
          if (seen < waiting.count) continue;
          byEffects.splice(byEffects.indexOf(waiting), 1);
          strike(waiting.plan, waiting.kill, `after effect ${waiting.count}`);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    }
  })();

  return {
    listenersOf(plan) {
      let decided = false;
      const atMoment = (kind: 'start' | 'decision'): void => {
        for (const kill of plan.kills) {
          const { moment } = kill;
          if (moment.kind !== kind) continue;
          later(moment.afterMs, () => strike(plan, kill, `${moment.afterMs} ms after its ${kind}`));
        }
      };
      return {
        onStart: () => atMoment('start'),
        onRun(runIds) {
          for (const kill of plan.kills) {
            if (kill.moment.kind === 'effects') byEffects.push({ runIds, plan, kill, count: kill.moment.count });
            seenBytes = -1;
          }
        },
        onDecision() {
          if (!decided) atMoment('decision');
          decided = true;
        },
      };
    },
    async calmDown() {
      over = true;
      for (const timer of timers) clearTimeout(timer);
      await watching;
      const rules = await readFaults(faultsFile(pair.recovery.site.folder));
      // A call kills the worker that makes it, whichever that is.
      const calls = rules.filter((rule) => rule.kill === true && rule.fired > 0);
      return [...killed, ...calls.map((): PartName => 'worker')];
    },
  };
}
