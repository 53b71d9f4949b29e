/**
 * Push-button recovery: one server comes back from its replica on other hardware, and is proven to work.
 * Read it from top to bottom: it is the procedure. What each step is for stands in push-button-recovery.steps.ts.
 */
import { patched } from '@temporalio/workflow';
import type { PoweredOn, Recorded, RecoveryActivities } from '../activities/contract';
import type { RecoveryOrder } from '../model/order';
import type { PointId, TakenDisk } from '../model/replica';
import { isRehearsal, letsReplicaGo } from '../model/rehearsal';
import { declarationOf } from './push-button-recovery.steps';
import type { PushButtonStep } from './push-button-recovery.steps';
import { shownOfServer } from './plan-standing';
import { conduct } from './runner/conduct';
import * as rehearsal from './rehearsal';
import { listenToPlan } from './runner/verdict';
import type { RunOutcome } from './runner/conduct';
import { scriptsAround, type RunScript } from './runner/scripts';
import * as steps from './runner/steps';
import type { Act, Run } from './runner/run';
import { activitiesAt, waitingActivitiesAt } from './site-activities';

export function pushButtonRecovery(order: RecoveryOrder): Promise<RunOutcome> {
  // Asked once: an execution of an earlier version answers no for good.
  let sendAway = order.mode === 'recovery' && patched('rehearsals-give-way');
  const procedure = (run: Run): Promise<string> => {
    if (sendAway) rehearsal.sendRehearsalAway(run);
    sendAway = false;
    return recover(run, order);
  };
  return conduct(order, declarationOf(order), procedure, { aroundUndo: rehearsal.aroundUndo });
}

async function recover(run: Run, order: RecoveryOrder): Promise<string> {
  const site = activitiesAt(order.target.siteId);
  const { step, eachDisk } = words(run, (input) => site.runScript(input));
  const plan = order.partOf === undefined ? null : listenToPlan(run, order.partOf, () => shownOfServer(run));
  const rehearses = isRehearsal(order);
  if (rehearses) rehearsal.giveWay(run);

  await step('preflight', (input) => site.preflight(input), { whenSkipped: null });
  const rehearsed = rehearses ? await rehearsal.survey(run, site) : null;

  const frozen = await step('freeze', (input) => site.freezeReplica(input), {
    undo: (input) => site.thawReplica(input),
  });

  const disks = await step('take-disks', takeDisks(site, order, frozen.point.pointId), {
    undo: (input) => site.dropDisks(input),
  });

  await eachDisk('apply-signature', disks, (disk) => (input) => site.applySignature({ ...input, disk }), {
    undo: (disk) => (input) => site.removeSignature({ ...input, disk }),
    whenSkipped: () => [],
  });

  if (run.order.inoculate) {
    await step('inoculate', (input) => site.inoculateDisks({ ...input, disks }), {
      whenSkipped: null,
      waived: ({ inoculate }) => !inoculate,
    });
  } else {
    steps.notApplicable(run, 'inoculate', withoutInoculation);
  }

  const noRegistry = whyNoRegistry(run);
  if (noRegistry === null) {
    await step('update-registry', (input) => site.updateRegistry({ ...input, disks }), { whenSkipped: null });
  } else {
    steps.notApplicable(run, 'update-registry', noRegistry);
  }

  if (rehearses) {
    await rehearsal.makeNetworks(run, site);
  } else {
    await step('suspend-replication', (input) => site.suspendReplication(input), {
      undo: (input) => site.unsuspendReplication(input),
      whenSkipped: { state: 'frozen' },
    });
  }

  await step('create-machine', (input) => site.createMachine(input), {
    undo: (input) => site.removeMachine(input),
  });

  const handed = await eachDisk('hand-over', disks, (disk) => (input) => site.handOverDisk({ ...input, disk }), {
    undo: (disk) => (input) => site.takeBackDisk({ ...input, disk }),
  });

  await eachDisk('register-disks', handed, (disk) => (input) => site.registerDisk({ ...input, disk }), {
    undo: (disk) => (input) => site.unregisterDisk({ ...input, disk }),
    whenSkipped: () => null,
  });

  await eachDisk('release-disks', handed, (disk) => (input) => site.releaseDisk({ ...input, disk }), {
    whenSkipped: () => null,
  });

  const starts = order.bootsAtOnce === undefined ? site : waitingActivitiesAt(order.target.siteId);
  await step<PoweredOn | undefined>('power-on', (input) => starts.powerOnMachine(input), {
    gate: async () => whyAsk(run, await steps.attempt(run, 'power-on', (input) => site.judgePowerOn(input))),
    undo: (input) => site.powerOffMachine(input),
    whenSkipped: undefined,
  });

  await step('prove-boot', (input) => site.proveBoot(input), { whenSkipped: null });

  if (rehearsed !== null) {
    await rehearsal.proveIsolation(run, site, rehearsed);
    await rehearsal.tryOut(run);
    await plan?.commit('await-plan');
    return rehearsal.cleanUp(run, site, rehearsed);
  }
  if (order.option === 'destructive') {
    await plan?.commit('await-plan');
    return commitOrRollBack(run, (input) => site.commitReplica(input), step);
  }
  // Until its plan is committed the run may be taken back, and then the source has to run again.
  const startsAgain = frozen.sourceStopped && patched('source-runs-again');
  await step(
    'resume-replication',
    (input) => site.resumeReplication(input),
    startsAgain ? { undo: (input) => site.rememberSource(input) } : {},
  );
  await plan?.commit('await-plan');
  return `${order.server.name} runs as ${run.order.target.machineName} from the point of ${frozen.point.takenAt}.`;
}

const withoutInoculation = 'The order says that this server is to be started without inoculation.';

/** The registry is the other half of inoculating a Windows: what the new hardware needs of settings. Null: it is updated. */
function whyNoRegistry({ order }: Run): string | null {
  if (order.server.os.family !== 'windows') return 'This operating system has no registry.';
  // Earlier versions updated it all the same.
  return !order.inoculate && patched('registry-with-inoculation') ? withoutInoculation : null;
}

/**
 * Copies stand by themselves: from here on replication goes on, and resume-replication finds it so. A rehearsal keeps it waiting
 * no longer either: no point is merged away under its disks.
 */
function takeDisks(site: Recorded<RecoveryActivities>, order: RecoveryOrder, pointId: PointId): Act<TakenDisk[]> {
  return async (input) => {
    const taken = await site.takeDisks({ ...input, pointId });
    if (letsReplicaGo(order)) await site.letReplicaGo(input);
    return taken;
  };
}

/** The source may still answer, or the order wants a person: then a person decides, with the reason before them. */
function whyAsk(
  { order }: Run,
  judged: { because: string | null; question?: string },
): Awaited<ReturnType<NonNullable<steps.StepOptions<unknown>['gate']>>> {
  const allowed = ['approve' as const, 'abort' as const];
  if (judged.because === null) {
    // A rehearsal's machine reaches nobody: two people are asked only where one would be.
    if (order.mode === 'rehearsal' || order.access?.fourEyes.includes('power-on') !== true) return null;
    const because = `Nothing speaks against starting ${order.target.machineName}; its runbook wants two people to see it first.`;
    return { question: 'Look at what was done so far, then approve, both of you; or abort.', because, allowed };
  }
  return {
    question: judged.question ?? 'Make sure that the source is down or cut off, then approve; or abort.',
    because: judged.because,
    allowed,
  };
}

async function commitOrRollBack(run: Run, commit: Act<void>, step: Words['step']): Promise<string> {
  const { server, target } = run.order;
  await step('resume-replication', commit, {
    // In a plan people have decided for all servers together.
    gate: async () =>
      run.order.partOf !== undefined
        ? null
        : {
            question: `Commit: ${target.machineName} keeps the replica and its replication ends. Roll back: everything as before.`,
            because: `${target.machineName} is proven. A destructive recovery becomes final only by a decision.`,
            allowed: ['commit', 'roll-back'],
          },
    irrevocable: true,
  });
  return `${server.name} runs as ${target.machineName}; the recovery is committed.`;
}

type Words = ReturnType<typeof words>;

/** The runner's words with this procedure's own step names, so that a misspelt one does not compile; and the order's scripts around each. */
function words(run: Run, runScript: RunScript) {
  const around = (id: PushButtonStep) => ({ around: scriptsAround(run, id, runScript) });
  return {
    step: <T>(id: PushButtonStep, act: Act<T>, options?: steps.StepOptions<T>): Promise<T> =>
      steps.step(run, id, act, { ...options, ...around(id) }),
    eachDisk: <D extends TakenDisk, T>(
      id: PushButtonStep,
      disks: readonly D[],
      act: (disk: D) => Act<T>,
      options?: steps.EachOptions<D, T>,
    ): Promise<T[]> => steps.eachDisk(run, id, disks, act, { ...options, ...around(id) }),
  };
}
