/**
 * Effects of a rehearsal's clean-up beside the undos of its steps: what they remove is found by the run's tag, not by what
 * the run remembers, so that they also serve a clean-up that is started alone.
 */
import { dirname, join } from 'node:path';
import { OperatorError } from '../model/errors';
import type { RecoveryOrder } from '../model/order';
import { surveyedRun } from '../model/rehearsal';
import { formatDuration } from '../model/durations';
import {
  compareSurveys,
  isDifference,
  remedyFor,
  replicationRows,
  stoppedReplication,
  type ReplicationRow,
  type ReplicationSeen,
} from '../model/survey';
import type { Machine, Platform } from '../platforms/contract';
import type { Attempt, EffectsOf } from './attempt';
import { callOptions, elapsedMs, machineOf, pause, workAt } from './common';
import { machinesOf } from './machine-check';
import type { CleanProof, RehearsalActivities } from './rehearsal-contract';
import { platformOf } from './site';
import type { ActivityDeps } from './site';
import { readSurvey, replicationSeen } from './survey';

type CleanUpEffects = Pick<RehearsalActivities, 'surveySite' | 'switchOffMachines' | 'forgetDisks' | 'proveClean'>;

export function createCleanUpEffects(deps: ActivityDeps): EffectsOf<CleanUpEffects> {
  return {
    async surveySite({ order }, attempt) {
      const { site, onReplica } = workAt(deps, order, attempt);
      const survey = await onReplica(() => readSurvey(site, order, attempt, deps.now));
      await keep(attempt, 'What was at the site before the rehearsal', 'survey-before.json', survey);
      return survey;
    },

    async switchOffMachines({ order }, attempt) {
      const { site, onMachine } = workAt(deps, order, attempt);
      const platform = platformOf(site, order);
      await onMachine(async () => {
        for (const { name, owner, power } of await machinesOf(order, platform, callOptions(attempt))) {
          if (power !== 'off') await platform.power({ name, owner }, 'off', callOptions(attempt));
        }
      });
    },

    async forgetDisks({ order }, attempt) {
      const { site, onMachine } = workAt(deps, order, attempt);
      const platform = platformOf(site, order);
      await onMachine(async () => {
        const machines = await machinesOf(order, platform, callOptions(attempt));
        for (const machine of machines) await forgetDisksOf(machine, order, platform, attempt);
        if (platform.given !== undefined) return;
        // The machine may be gone already, and its disks' folder still known to the platform.
        for (const item of await site.replicas.survey(order.server.id)) {
          if (item.kind !== 'disks of a run' || item.runId !== order.runId) continue;
          const known = machines.flatMap(({ disks }) => disks).some(({ path }) => dirname(path) === item.name);
          const disk = {
            diskId: 'disk',
            index: 0,
            path: join(item.name, 'disk'),
            format: 'qcow2',
            sizeBytes: 0,
          } as const;
          if (!known) await platform.unregisterDisk(machineOf(order), disk, callOptions(attempt));
        }
      });
    },

    async proveClean({ order, before, during, gaveWay = false }, attempt) {
      const { site, onReplica } = workAt(deps, order, attempt);
      const run = surveyedRun(order);
      const seen = await onReplica(() => readSurvey(site, order, attempt, deps.now));
      const rows = compareSurveys(before, seen, run);
      const rowsWith = (after: ReplicationSeen): ReplicationRow[] =>
        replicationRows({ before: before?.replication ?? null, during, after }, lagLimitMs(order));
      const isLeft = ({ moment, heldBy }: ReplicationRow): boolean =>
        !gaveWay || (moment === 'after' && heldBy === run.runId);
      const goesOn = (after: ReplicationSeen): boolean =>
        !stoppedReplication(rowsWith(after), run).some((row) => row.moment === 'after' && isLeft(row));
      const look = () => replicationSeen(site, order, deps.now);
      const looked = await replicationAfter(seen.replication, goesOn, look, order, attempt.signal);
      const after = { ...seen, replication: looked };
      const replication = rowsWith(looked);
      const evidence = await keep(attempt, 'The site before and after, item by item', 'survey-compared.json', {
        ...{ before, during, after, rows, replication },
      });
      const left = rows.filter(isDifference);
      const stopped = stoppedReplication(replication, run);
      const standing = stopped.filter(isLeft);
      if (left.length + standing.length > 0) throw leftBehind(order, left, standing);
      return {
        ...{ before: before?.at ?? null, after: after.at, rows, others: after.others, evidence: [evidence] },
        replication,
        ...(stopped.length === 0 ? {} : { noted: notedWords(stopped) }),
      };
    },
  };
}

const keep = (attempt: Attempt, what: string, name: string, value: unknown) =>
  attempt.keep(what, Buffer.from(JSON.stringify(value, null, 2)), name, 'application/json');

/** A machine that is given keeps its disks: they are made unbootable. */
async function forgetDisksOf(
  machine: Machine,
  order: RecoveryOrder,
  platform: Platform,
  attempt: Attempt,
): Promise<void> {
  for (const { index, path, format, sizeBytes } of machine.disks) {
    const diskId = order.server.disks.find((disk) => disk.index === index)?.id ?? `disk${index}`;
    const disk = { diskId, index, path, format, sizeBytes };
    await platform.unregisterDisk(machine, disk, callOptions(attempt));
    if (platform.given !== undefined) await platform.detachDisk(machine, disk, callOptions(attempt));
  }
}

/** Replication that is not seen to go on is looked at again: a cycle may just be under way. */
const longestPatienceMs = 30_000;
const lookEveryMs = 250;

/** Not under the replica's lease: the cycle that is waited for needs it. */
async function replicationAfter(
  first: ReplicationSeen,
  goesOn: (seen: ReplicationSeen) => boolean,
  look: () => Promise<ReplicationSeen>,
  order: RecoveryOrder,
  signal: AbortSignal,
): Promise<ReplicationSeen> {
  const untilMs = elapsedMs() + Math.min(longestPatienceMs, lagLimitMs(order));
  let seen = first;
  while (!goesOn(seen) && elapsedMs() < untilMs) {
    await pause(lookEveryMs, signal);
    seen = await look();
  }
  return seen;
}

function leftBehind(order: RecoveryOrder, left: CleanProof['rows'], stopped: readonly ReplicationRow[]): OperatorError {
  const count = left.length + stopped.length;
  const words = left.map(({ kind, name, before, after, verdict }) => {
    const was =
      verdict === 'left behind' ? `${after}` : `before: ${before ?? 'not there'}, now: ${after ?? 'not there'}`;
    return `${kind} ${name} (${was})`;
  });
  return new OperatorError({
    what: `the rehearsal of ${order.server.name} is not cleaned up: ${count} ${count === 1 ? 'thing is' : 'things are'} not as before`,
    found: [...words, ...stopped.map(wordsOf)].join('; '),
    needed: 'the site as it was before, replication’s own progress aside',
    remedy: `${[...left.map(remedyFor), ...remediesOf(stopped)].join('; ')}. Then retry; what has the run’s tag is also removed by \`muster rehearsal clean-up ${order.runId} --reason …\`.`,
    detail: JSON.stringify([...left, ...stopped], null, 2),
  });
}

const notedWords = (stopped: readonly ReplicationRow[]): string =>
  `Nobody is asked about replication that stands still, because the rehearsal gave way to a recovery: ${stopped.map(wordsOf).join('; ')}.`;

const whenWas = { before: 'before', during: 'while its machine stood', after: 'now' } as const;

function wordsOf({ moment, state, heldBy, lagMs }: ReplicationRow): string {
  const held = heldBy === null ? '' : `, held by run ${heldBy}`;
  const lag = lagMs === null ? '' : `, ${formatDuration(lagMs)} behind`;
  return `replication (before: running, ${whenWas[moment]}: ${state ?? 'no replica'}${held}${lag})`;
}

/** What was seen while the machine stood is not seen otherwise by another look. */
function remediesOf(stopped: readonly ReplicationRow[]): string[] {
  return stopped.map(({ moment }) =>
    moment === 'after'
      ? 'see why replication does not go on (`muster replicas`)'
      : 'find out why replication stood still meanwhile, skip this step with that reason, and rehearse again',
  );
}

/** How far behind replication may be and still count as running: its objective, but never less than a few cycles. */
const lagLimitMs = ({ server }: RecoveryOrder): number =>
  Math.max(server.objectives.rpoMs, 3 * server.cadence.pointEveryMs);
