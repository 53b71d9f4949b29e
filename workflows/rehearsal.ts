/**
 * What a rehearsal does beside the recovery that it rehearses: survey, proof of isolation, people who try it, clean-up with a
 * proof that nothing is left, and giving way to a recovery of the same server.
 *
 * Every step of the recovery still registers its undo: an abort, or a limit of time, unwinds them, and the survey's own undo,
 * the last one, compares the site with what was there before. Clean-up retires each undo that its steps have done for good.
 */
import {
  CancellationScope,
  getExternalWorkflowHandle,
  isCancellation,
  patched,
  setHandler,
  sleep,
} from '@temporalio/workflow';
import type { Recorded, RecoveryActivities } from '../activities/contract';
import { isRehearsal, makesNetworks } from '../model/rehearsal';
import type { RecoveryOrder } from '../model/order';
import type { Script } from '../model/runbook/runbook';
import type { ReplicationSeen, Survey } from '../model/survey';
import {
  cleanUpDeclaration,
  cleanUpSteps,
  firstOfCleanUp,
  takesBack,
  type CleanUpStep,
  type RehearsalStep,
} from './rehearsal.steps';
import { rehearsalWorkflowId, yieldToSignal } from './messages';
import { askPeople } from './runner/attempts';
import { conduct, type AroundUndo, type RunOutcome } from './runner/conduct';
import type { Act, Input, Run } from './runner/run';
import { scriptsAround, scriptsWhenUndone } from './runner/scripts';
import * as steps from './runner/steps';
import { activitiesAt } from './site-activities';

type Site = Recorded<RecoveryActivities>;
type Step = <T>(id: RehearsalStep, act: Act<T>, options?: steps.StepOptions<T>) => Promise<T>;

/** What the run remembers from one step to the comparison at its end. */
export interface Rehearsal {
  before: Survey | null;
  during: ReplicationSeen | null;
}

/** The first step that acts; its undo, the last of all, proves that an abort has left nothing. */
export async function survey(run: Run, site: Site): Promise<Rehearsal> {
  const rehearsal: Rehearsal = { before: null, during: null };
  const { step } = words(run, site, false);
  rehearsal.before = await step('survey', (input) => site.surveySite(input), {
    undo: proveClean(run, site, rehearsal),
  });
  return rehearsal;
}

const proveClean = (run: Run, site: Site, rehearsal: Rehearsal) => (input: Input<RecoveryOrder>) =>
  site.proveClean({ ...input, ...rehearsal, ...(run.hasGivenWay ? { gaveWay: true } : {}) });

export async function makeNetworks(run: Run, site: Site): Promise<void> {
  if (!makesNetworks(run.order)) return;
  const { step } = words(run, site, false);
  await step('make-networks', (input) => site.makeNetworks(input), { undo: (input) => site.removeNetworks(input) });
}

export async function proveIsolation(run: Run, site: Site, rehearsal: Rehearsal): Promise<void> {
  const { step } = words(run, site, false);
  rehearsal.during = (await step('prove-isolation', (input) => site.proveIsolation(input))).replication;
}

/** Nobody answering within the run's limit is as good as an answer: everything is cleaned up, and it has failed. */
export async function tryOut(run: Run): Promise<void> {
  const { tryOut: wanted, target, giveUpAfterMs } = run.order;
  if (wanted === undefined || run.memory.has('try-out')) return;
  const place = { step: 'try-out' satisfies RehearsalStep, item: null };
  run.announce(place.step);
  const because = `${target.machineName} is proven and stands in its isolated network.`;
  const limit = new CancellationScope({ cancellable: true });
  const watching = limit.run(async () => {
    if (giveUpAfterMs === undefined) return;
    await sleep(giveUpAfterMs);
    const epoch = run.parkings.list().find(({ step }) => step === place.step)?.epoch;
    if (epoch !== undefined && run.interrupt === null) run.giveUp(place, epoch, giveUpAfterMs, 'nobody tried it.');
  });
  watching.catch((error: unknown) => {
    if (!isCancellation(error)) throw error;
  });
  try {
    const question = `${wanted.title}: ${wanted.question}`;
    await askPeople(run, place, question, because, ['approve', 'abort'], { watched: true });
  } finally {
    limit.cancel();
  }
  run.memory.set(place.step, { value: null, exception: false });
  run.emit('step-done', { result: null }, { step: place.step });
}

export async function cleanUp(run: Run, site: Site, rehearsal: Rehearsal): Promise<string> {
  const { step } = words(run, site, true);
  run.noWayBackFrom = firstOfCleanUp;
  const done = (id: CleanUpStep): void => {
    for (let at = run.undos.length - 1; at >= 0; at -= 1)
      if (takesBack[id].includes(run.undos[at]!.step)) run.undos.splice(at, 1);
  };
  await step('switch-off', (input) => site.switchOffMachines(input), { whenSkipped: undefined });
  done('switch-off');
  await step('forget-disks', (input) => site.forgetDisks(input), { whenSkipped: undefined });
  done('forget-disks');
  await step('remove-machine', (input) => site.removeMachine(input), { whenSkipped: undefined });
  done('remove-machine');
  await step('drop-disks', dropDisks(site), { whenSkipped: undefined });
  done('drop-disks');
  if (makesNetworks(run.order)) {
    await step<unknown>('remove-networks', (input) => site.removeNetworks(input), { whenSkipped: null });
    done('remove-networks');
  }
  await step<unknown>('prove-clean', proveClean(run, site, rehearsal), { whenSkipped: null });
  done('prove-clean');
  return `${run.order.server.name} was rehearsed as ${run.order.target.machineName} and cleaned up.`;
}

/**
 * The clean-up's scripts of a rehearsal that is undone and never comes to its clean-up: each step's once, before the first and after
 * the last undo of what the step takes back; where nothing of that was begun there is nothing to clean up, and they do not run.
 */
export function aroundUndo(run: Run): AroundUndo<RecoveryOrder> | null {
  const { order } = run;
  const has = isRehearsal(order) && (order.scripts ?? []).some((script) => script.in.includes('clean-up'));
  // Asked once, as the undoing begins: what an earlier version began to undo goes on without them.
  if (!has || !patched('clean-up-scripts-when-undone')) return null;
  const site = activitiesAt(order.target.siteId);
  const of = ({ step }: { readonly step: string }) => cleanUpSteps.find((one) => takesBack[one].includes(step));
  const scripts = (step: CleanUpStep, moments: Script['when'][]) =>
    scriptsWhenUndone(run, step, moments, (input) => site.runScript(input));
  return {
    before: async (undo) => {
      const step = of(undo);
      return step === undefined ? [] : scripts(step, ['before', 'instead']);
    },
    after: async (undo, left) => {
      const step = of(undo);
      return step === undefined || left.some((one) => of(one) === step) ? [] : scripts(step, ['after']);
    },
  };
}

/** A rehearsal that was ended between its freeze and its disks still holds the replica. */
const dropDisks =
  (site: Site): Act<void> =>
  async (input) => {
    const dropped = await site.dropDisks(input);
    await site.letReplicaGo(input);
    return dropped;
  };

/** Call before anything is done: a recovery of the same server may come at any time, and is never kept waiting. */
export function giveWay(run: Run): void {
  setHandler(yieldToSignal, ({ runId, by }) => {
    const reason = `A recovery of ${run.order.server.name} has begun (run ${runId}); the rehearsal gives way.`;
    if (run.canAbort && run.noWayBackFrom === null) run.abort(reason, by, { gaveWay: true });
    else run.emit('noted', { message: `${reason} It is being cleaned up already.` });
  });
}

/** Best effort, and not waited for: no rehearsal is the usual case. */
export function sendRehearsalAway(run: Run): void {
  const { tenantId, server, runId } = run.order;
  getExternalWorkflowHandle(rehearsalWorkflowId(tenantId, server.id))
    .signal(yieldToSignal, { runId, by: run.self })
    .catch(() => undefined);
}

/** The same steps alone, for a rehearsal that was ended before it had cleaned up; `order.cleansUp` is its run. */
export function rehearsalCleanUp(order: RecoveryOrder): Promise<RunOutcome> {
  return conduct(order, cleanUpDeclaration, async (run) => {
    const site = activitiesAt(order.target.siteId);
    await cleanUp(run, forRun(site, order.cleansUp ?? order.runId), { before: null, during: null });
    return `Nothing is left of rehearsal ${order.cleansUp}.`;
  });
}

/** The same effects in the name of another run: what they look for has its tag. */
function forRun(site: Site, runId: string): Site {
  const inItsName = <I extends Input<RecoveryOrder>>(input: I): I => ({ ...input, order: { ...input.order, runId } });
  return {
    ...site,
    switchOffMachines: (input) => site.switchOffMachines(inItsName(input)),
    forgetDisks: (input) => site.forgetDisks(inItsName(input)),
    removeMachine: (input) => site.removeMachine(inItsName(input)),
    dropDisks: (input) => site.dropDisks(inItsName(input)),
    letReplicaGo: (input) => site.letReplicaGo(inItsName(input)),
    removeNetworks: (input) => site.removeNetworks(inItsName(input)),
    proveClean: (input) => site.proveClean(inItsName(input)),
    runScript: (input) => site.runScript(inItsName(input)),
  };
}

/** The runner's words with this procedure's step names, and the order's scripts around each. */
function words(run: Run, site: Site, cleansUp: boolean): { step: Step } {
  return {
    step: (id, act, options) => {
      const around = scriptsAround(run, id, (input) => site.runScript(input), cleansUp);
      return steps.step(run, id, act, { ...options, around });
    },
  };
}
