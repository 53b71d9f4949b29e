/**
 * The scripted person of one run: pushes the button, answers what waits as the plan says, and sends everything again under
 * the same key until it is answered. A step that lost three workers is simply tried again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DecisionKind } from '../../model/steps';
import type { ParkingView, RunView } from '../../model/run-view';
import type { ApiClient, Reply } from './api-client';
import type { Plan } from './plan';
import type { ProtectedServer } from './server';

/** One thing that the person did, and what became of it. */
export interface Act {
  readonly decision: DecisionKind;
  /** 0: an abort of the whole run. */
  readonly epoch: number;
  readonly answers: readonly string[];
}

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
  readonly onRun: (runId: string) => void;
  readonly onDecision: () => void;
  /** What the person saw last, in one line. */
  readonly onLook: (seen: string) => void;
}

const lookEveryMs = 500;
/** Faults strike once or twice and kills rarely three times in a row: what stays stuck longer will stay so for ever. */
const mostRetries = 8;

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
  const runId = await push(api, plan, server, listeners, findings);
  listeners.onRun(runId);
  const answered = new Set<number>();
  const retries = new Map<string, number>();
  const send = async (epoch: number, decision: DecisionKind, path: string, body: object): Promise<void> => {
    answered.add(epoch);
    listeners.onDecision();
    const key = `${decision}-${epoch}-of-seed-${plan.seed}-at-${server.site}`;
    const answers = await patiently(plan.impatient, () => settled(api, path, body, key));
    acts.push({ decision, epoch, answers });
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
        if (decision === 'retry') countRetry(retries, parking);
        const { step, item, epoch } = parking;
        await send(epoch, decision, `/runs/${runId}/decisions`, { step, item, epoch, decision, reason: 'as planned' });
      }
      if (wantsAbort(plan, view) && !answered.has(0))
        await send(0, 'abort', `/runs/${runId}/abort`, { reason: 'as planned' });
    } else if (reply.status !== 404) {
      findings.push(`GET of the run was answered ${describe(reply)}`);
    }
    await sleep(lookEveryMs);
  }
}

/** Pushes under one key; whoever answers must name one and the same run. */
async function push(
  api: ApiClient,
  plan: Plan,
  server: ProtectedServer,
  listeners: Listeners,
  findings: string[],
): Promise<string> {
  const key = `button-of-seed-${plan.seed}-at-${server.site}`;
  const body = orderOf(plan, server);
  listeners.onStart();
  const pushOnce = (): Promise<Reply> => api.call('POST', '/recoveries', { body, key });
  const replies = plan.impatient ? await Promise.all([pushOnce(), pushOnce()]) : [await pushOnce()];
  if (plan.impatient) replies.push(await pushOnce());
  const runIds = new Set(replies.map((reply) => reply.body.runId as string | undefined));
  if (runIds.size !== 1 || replies.some((reply) => reply.status > 201)) {
    findings.push(`one button, several answers: ${replies.map(describe).join(' | ')}`);
  }
  const [runId] = runIds;
  if (runId === undefined) throw new Error(`The button was refused: ${replies.map(describe).join(' | ')}`);
  return runId;
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

function countRetry(retries: Map<string, number>, { step, item, undo, cause }: ParkingView): void {
  const place = [undo ? 'undo of' : '', step, item ?? ''].join(' ').trim();
  const count = (retries.get(place) ?? 0) + 1;
  retries.set(place, count);
  if (count > mostRetries) throw new Error(`${place} is still stuck after ${mostRetries} retries: ${cause}`);
}

function seenIn({ state, currentStep, parkings }: RunView): string {
  const open = parkings.filter(({ until }) => until === null).map(({ step, cause }) => `${step}: ${cause}`);
  return `${state} at ${currentStep ?? 'no step'}; ${open.join('; ') || 'nothing waits for people'}`;
}

function wantsAbort({ ending }: Plan, view: RunView): boolean {
  if (ending.kind !== 'abort-in-passing' || view.closedAt !== null) return false;
  return view.steps.some((step) => step.id === ending.step && step.state !== 'pending');
}

/** Until it is accepted or refused for good; `pending` is asked again under the same key. */
async function settled(api: ApiClient, path: string, body: object, key: string): Promise<string> {
  for (;;) {
    const reply = await api.call('POST', path, { body, key });
    if (reply.status === 200) return 'accepted';
    if (reply.status !== 202) return describe(reply);
    await sleep(lookEveryMs);
  }
}

/** An impatient person sends the same twice at once, and once more when it is done. */
async function patiently(impatient: boolean, send: () => Promise<string>): Promise<string[]> {
  if (!impatient) return [await send()];
  return [...(await Promise.all([send(), send()])), await send()];
}

function describe({ status, body }: Reply): string {
  const { refusal, detail, title } = body ?? {};
  return [status, refusal, detail ?? title].filter((part) => part !== undefined).join(' ');
}
