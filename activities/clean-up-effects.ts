/**
 * Effects of a rehearsal's clean-up beside the undos of its steps: what they remove is found by the run's tag, not by what
 * the run remembers, so that they also serve a clean-up that is started alone.
 */
import { dirname, join } from 'node:path';
import { OperatorError } from '../model/errors';
import type { RecoveryOrder } from '../model/order';
import { surveyedRun } from '../model/rehearsal';
import { compareSurveys, isDifference, isReplicating, remedyFor, type ReplicationSeen } from '../model/survey';
import type { Machine, Platform } from '../platforms/contract';
import type { Attempt, EffectsOf } from './attempt';
import { callOptions, machineOf, workAt } from './common';
import { machinesOf } from './machine-check';
import type { CleanProof, RehearsalActivities } from './rehearsal-contract';
import { platformOf } from './site';
import type { ActivityDeps } from './site';
import { readSurvey } from './survey';

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

    async proveClean({ order, before, during }, attempt) {
      const { site, onReplica } = workAt(deps, order, attempt);
      const after = await onReplica(() => readSurvey(site, order, attempt, deps.now));
      const rows = compareSurveys(before, after, surveyedRun(order));
      const evidence = await keep(attempt, 'The site before and after, item by item', 'survey-compared.json', {
        ...{ before, during, after, rows },
      });
      const left = rows.filter(isDifference);
      if (left.length > 0) throw leftBehind(order, left);
      return {
        ...{ before: before?.at ?? null, after: after.at, rows, others: after.others, evidence: [evidence] },
        replication: replicationRows(order, before?.replication ?? null, during, after.replication),
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

function leftBehind(order: RecoveryOrder, left: CleanProof['rows']): OperatorError {
  const words = left.map(({ kind, name, before, after, verdict }) => {
    const was =
      verdict === 'left behind' ? `${after}` : `before: ${before ?? 'not there'}, now: ${after ?? 'not there'}`;
    return `${kind} ${name} (${was})`;
  });
  return new OperatorError({
    what: `the rehearsal of ${order.server.name} is not cleaned up: ${left.length} ${left.length === 1 ? 'thing is' : 'things are'} not as before`,
    found: words.join('; '),
    needed: 'the site as it was before, replication’s own progress aside',
    remedy: `${left.map(remedyFor).join('; ')}. Then retry; what has the run’s tag is also removed by \`muster rehearsal clean-up ${order.runId}\`.`,
    detail: JSON.stringify(left, null, 2),
  });
}

/** How far behind replication may be and still count as running: its objective, but never less than a few cycles. */
function replicationRows(
  { server }: RecoveryOrder,
  before: ReplicationSeen | null,
  during: ReplicationSeen | null,
  after: ReplicationSeen,
): CleanProof['replication'] {
  const limitMs = Math.max(server.objectives.rpoMs, 3 * server.cadence.pointEveryMs);
  const moments = [
    ['before', before],
    ['during', during],
    ['after', after],
  ] as const;
  return moments.flatMap(([moment, seen]) =>
    seen === null ? [] : [{ ...seen, moment, ok: isReplicating(seen, limitMs) }],
  );
}
