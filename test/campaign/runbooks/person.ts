/**
 * The scripted people of one run of a runbook: one imports it, starts it, answers what waits in its servers' runs and has the last
 * word; another one, because nobody approves their own, lets it through its gate. What is stuck is tried again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ParkingView, RunView } from '../../../model/run-view';
import type { DecisionKind } from '../../../model/steps';
import type { PlanView } from '../../../model/plan-view/plan-view';
import { act, describeReply, push, retryCounter, type Act } from '../acts';
import type { ApiClient } from '../api-client';
import type { Listeners } from '../person';
import type { RunbookSeed } from './seed';
import { startOf } from './text';

export interface People {
  readonly requester: ApiClient;
  readonly approver: ApiClient;
}

export interface RunbooksRun {
  readonly runId: string;
  readonly view: PlanView;
  /** By server, as the API shows them when all is over. */
  readonly servers: ReadonlyMap<string, RunView>;
  /** By run. */
  readonly acts: ReadonlyMap<string, readonly Act[]>;
  readonly findings: readonly string[];
}

const lookEveryMs = 700;

/** `name`: of the runbook with this text, which is imported first. */
export async function playPeople(
  people: People,
  seed: RunbookSeed,
  { name, text }: { readonly name: string; readonly text: string },
  listeners: Listeners,
): Promise<RunbooksRun> {
  const { requester } = people;
  const imported = await requester.call('POST', '/runbooks', { body: { text } });
  if (imported.status > 201) throw new Error(`The runbook was not imported: ${JSON.stringify(imported.body)}`);
  const findings: string[] = [];
  const button = { path: `/runbooks/${name}/runs`, body: startOf(seed), key: `button-of-${name}` };
  listeners.onStart();
  const runId = await push(requester, { ...button, impatient: seed.impatient }, findings);
  const answers = answering(people, seed, listeners);
  for (let told = false; ; await sleep(lookEveryMs)) {
    const view = await viewOf<PlanView>(requester, runId, findings);
    if (view === undefined) continue;
    if (!told) listeners.onRun([runId, ...view.order.servers.map((server) => server.runId)]);
    told = true;
    const servers = view.waves.flatMap((wave) => wave.servers);
    listeners.onLook(`${seenIn(view)}; ${servers.map((one) => `${one.name} ${one.stage}`).join(', ')}`);
    if (view.isRecorded)
      return { runId, view, servers: await serverViews(requester, view), acts: answers.acts, findings };
    await answers.to(view);
    for (const { runId: ofServer, stage } of servers) {
      if (ofServer === null || (stage !== 'waiting' && stage !== 'stuck')) continue;
      const its = await viewOf<RunView>(requester, ofServer, findings);
      if (its !== undefined) await answers.to(its);
    }
  }
}

/** undefined: it cannot be shown just now, or not yet. `isRecorded`: closed, and all of it stands in the journal. */
async function viewOf<V extends { readonly closedAt: string | null }>(
  api: ApiClient,
  runId: string,
  findings: string[],
): Promise<(V & { isRecorded: boolean }) | undefined> {
  const reply = await api.call('GET', `/runs/${runId}`);
  if (reply.status !== 200) {
    if (reply.status !== 404) findings.push(`GET of run ${runId} was answered ${describeReply(reply)}`);
    return undefined;
  }
  const view = reply.body.view as V;
  return { ...view, isRecorded: view.closedAt !== null && reply.body.source === 'journal' };
}

async function serverViews(api: ApiClient, plan: PlanView): Promise<Map<string, RunView>> {
  const views = new Map<string, RunView>();
  for (const { name, runId } of plan.waves.flatMap((wave) => wave.servers)) {
    const reply = await api.call('GET', `/runs/${runId}`);
    if (reply.status === 200) views.set(name, reply.body.view as RunView);
  }
  return views;
}

function answering({ requester, approver }: People, seed: RunbookSeed, { onDecision }: Listeners) {
  const acts = new Map<string, Act[]>();
  const countRetry = retryCounter();
  return {
    acts,
    async to({ runId, parkings }: Pick<RunView, 'runId' | 'parkings'>): Promise<void> {
      for (const parking of parkings) {
        const { step, item, epoch, until } = parking;
        const its = acts.get(runId) ?? [];
        acts.set(runId, its);
        if (until !== null || its.some((one) => one.epoch === epoch)) continue;
        const decision = answerTo(seed, parking);
        if (decision === 'retry') countRetry(runId, parking);
        onDecision();
        const body = { step, item, epoch, decision, reason: 'as the seed says' };
        const key = `${decision}-${epoch}-of-${runId}`;
        const who = step === 'gate' ? approver : requester;
        const send = { path: `/runs/${runId}/decisions`, body, key, impatient: seed.impatient };
        its.push({ decision, epoch, answers: await act(who, send) });
      }
    },
  };
}

function answerTo({ ending }: RunbookSeed, { kind, step }: ParkingView): DecisionKind {
  if (kind === 'stuck') return 'retry';
  if (step !== 'commit') return 'approve';
  return ending === 'roll-back' ? 'roll-back' : 'commit';
}

function seenIn({ state, currentStep, parkings }: PlanView): string {
  const open = parkings.filter(({ until }) => until === null).map(({ step, cause }) => `${step}: ${cause}`);
  return `${state} at ${currentStep ?? 'no step'}; ${open.join('; ') || 'nothing of the plan itself waits'}`;
}
