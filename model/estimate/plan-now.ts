/** How far each server of a running plan is, from its runs' rows, as an estimate of the rest needs it. */
import type { ChildRun } from '../plan-view/child-run';
import { isDone } from '../plan-view/server-of-plan';
import type { WaveView } from '../plan-view/waves';
import type { RunFacts, StepTime } from '../run-facts';
import { isClosedRun, provingStep } from '../steps';
import type { ServerNow, StepNow } from './time-left';

/**
 * By server id; servers that have not started are absent. `children`: all runs below the plan, those of included runbooks, too,
 * oldest first. `steps`: ids of the procedure's steps in their order.
 */
export function serversNow(
  waves: readonly Pick<WaveView, 'servers'>[],
  children: readonly ChildRun[],
  steps: readonly string[],
  now: string,
): ReadonlyMap<string, ServerNow> {
  const toProof = steps.slice(0, steps.indexOf(provingStep) + 1);
  const servers = new Map<string, ServerNow>();
  for (const { procedure, serverId, state, facts } of children) {
    if (procedure === 'plan') continue;
    const objectives = facts?.server?.objectives;
    const isProven = objectives !== undefined && objectives.proof !== null && objectives.undoneBecause === null;
    const isOver = isProven || state === 'undoing' || isClosedRun(state);
    servers.set(serverId, isOver ? { state: 'done' } : { state: 'running', steps: stepsNow(facts, toProof, now) });
  }
  // What the plan itself skipped has no run, or one that says nothing of it.
  for (const { servers: own } of waves) {
    for (const one of own) if (isDone(one)) servers.set(one.serverId, { state: 'done' });
  }
  return servers;
}

/** What came before a step that has begun is over, also where its own end is not in the row. */
function stepsNow(facts: RunFacts | null, toProof: readonly string[], now: string): StepNow[] {
  const last = toProof.findLastIndex((id) => facts?.steps[id] !== undefined);
  return toProof.map((id, at): StepNow => {
    const time = facts?.steps[id];
    if (facts === null || time === undefined) return { id, state: at < last ? 'done' : 'pending', machineMs: 0 };
    return { id, state: time.since === null ? 'done' : 'running', machineMs: machineMs(facts, id, time, now) };
  });
}

function machineMs({ waits }: RunFacts, step: string, { elapsedMs, since }: StepTime, now: string): number {
  const nowMs = Date.parse(now);
  const elapsed = elapsedMs + (since === null ? 0 : Math.max(0, nowMs - Date.parse(since)));
  const waited = waits
    .filter((wait) => wait.step === step)
    .reduce(
      (sum, wait) => sum + Math.max(0, (wait.until === null ? nowMs : Date.parse(wait.until)) - Date.parse(wait.since)),
      0,
    );
  return Math.max(0, elapsed - waited);
}
