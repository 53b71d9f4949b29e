/**
 * The scripted person of one run: pushes the button, answers what waits as the plan says, and sends everything again under
 * the same key until it is answered. A step that lost three workers is simply tried again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DecisionKind } from '../../model/steps';
import type { ParkingView, RunView } from '../../model/run-view';
import { act, describeReply, push, retryCounter, type Act } from './acts';
import type { ApiClient } from './api-client';
import type { Plan } from './plan';
import type { ProtectedServer } from './server';

export interface PersonsRun {
  readonly runId: string;
  /** As the API showed it once it was closed. */
  readonly view: RunView;
  readonly acts: readonly Act[];
  /** What contradicts what was promised about keys. */
  readonly findings: readonly string[];
}

/** What the storm listens to. */
export interface Listeners {
  readonly onStart: () => void;
  /** The runs whose effects count: the one of a recovery, those of a plan's servers. */
  readonly onRun: (runIds: readonly string[]) => void;
  readonly onDecision: () => void;
  /** What the person saw last, in one line. */
  readonly onLook: (seen: string) => void;
}

const lookEveryMs = 500;

/** Whether a parking is the one that the plan's lasting fault makes. */
export const lastingFault = (seed: number): string => `lasting fault of seed ${seed}`;

export async function playPerson(
  api: ApiClient,
  plan: Plan,
  server: ProtectedServer,
  listeners: Listeners,
): Promise<PersonsRun> {
  const findings: string[] = [];
  const acts: Act[] = [];
  const { impatient } = plan;
  const key = `button-of-seed-${plan.seed}-at-${server.site}`;
  listeners.onStart();
  const runId = await push(api, { path: '/recoveries', body: orderOf(plan, server), key, impatient }, findings);
  listeners.onRun([runId]);
  const answered = new Set<number>();
  const countRetry = retryCounter();
  const send = async (epoch: number, decision: DecisionKind, path: string, body: object): Promise<void> => {
    answered.add(epoch);
    listeners.onDecision();
    const key = `${decision}-${epoch}-of-seed-${plan.seed}-at-${server.site}`;
    acts.push({ decision, epoch, answers: await act(api, { path, body, key, impatient }) });
  };
  for (;;) {
    const reply = await api.call('GET', `/runs/${runId}`);
    if (reply.status === 200) {
      const view = reply.body.view as RunView;
      if (view.closedAt !== null && reply.body.source === 'journal') return { runId, view, acts, findings };
      listeners.onLook(seenIn(view));
      for (const parking of view.parkings) {
        if (parking.until !== null || answered.has(parking.epoch)) continue;
        const decision = answerTo(plan, parking);
        if (decision === null) continue;
        if (decision === 'retry') countRetry(runId, parking);
        const { step, item, epoch } = parking;
        await send(epoch, decision, `/runs/${runId}/decisions`, { step, item, epoch, decision, reason: 'as planned' });
      }
      if (wantsAbort(plan, view) && !answered.has(0))
        await send(0, 'abort', `/runs/${runId}/abort`, { reason: 'as planned' });
    } else if (reply.status !== 404) {
      findings.push(`GET of the run was answered ${describeReply(reply)}`);
    }
    await sleep(lookEveryMs);
  }
}

function orderOf(plan: Plan, server: ProtectedServer): object {
  return {
    server: server.spec.name,
    reason: `seed ${plan.seed}`,
    mode: plan.mode,
    intent: plan.intent,
    option: plan.option,
    finalCycle: plan.finalCycle,
    hardware: 'vmware-pvscsi',
    machineName: server.machineName,
    networks: { lan: plan.mode === 'rehearsal' ? 'isolated' : 'lan' },
    powerOn: plan.powerOn,
    proof: { stableForMs: 50, heartbeatTimeoutMs: 20_000 },
    retry: { maxAttempts: 3, firstDelayMs: 50, factor: 2, maxDelayMs: 500 },
    sourceDeadlineMs: plan.intent === 'planned' ? 60_000 : 5_000,
  };
}

function answerTo(plan: Plan, parking: ParkingView): DecisionKind | null {
  if (parking.kind === 'stuck') {
    const meant = plan.ending.kind === 'abort-when-stuck' && parking.cause.includes(lastingFault(plan.seed));
    return meant ? 'abort' : 'retry';
  }
  if (parking.step === 'resume-replication') return plan.ending.kind === 'roll-back' ? 'roll-back' : 'commit';
  if (plan.ending.kind === 'abort-in-passing') return null;
  return plan.ending.kind === 'abort-at-gate' ? 'abort' : 'approve';
}

function seenIn({ state, currentStep, parkings }: RunView): string {
  const open = parkings.filter(({ until }) => until === null).map(({ step, cause }) => `${step}: ${cause}`);
  return `${state} at ${currentStep ?? 'no step'}; ${open.join('; ') || 'nothing waits for people'}`;
}

function wantsAbort({ ending }: Plan, view: RunView): boolean {
  if (ending.kind !== 'abort-in-passing' || view.closedAt !== null) return false;
  return view.steps.some((step) => step.id === ending.step && step.state !== 'pending');
}
