/**
 * Effects that move disks between a replica and the run's machine: hand over, take back, release, commit. All under the
 * lease of the server's replica, or of the run's copies.
 */
import type { RecoveryActivities } from './contract';
import type { EffectsOf } from './attempt';
import { asMachineDisk, callOptions, machineOf, workAt } from './common';
import { forgetSourceStopped } from './source';
import type { ActivityDeps } from './site';
import { platformOf } from './site';

type HandOverEffects = Pick<RecoveryActivities, 'handOverDisk' | 'takeBackDisk' | 'releaseDisk' | 'commitReplica'>;

export function createHandOverEffects(deps: ActivityDeps): EffectsOf<HandOverEffects> {
  return {
    async handOverDisk({ order, disk }, attempt) {
      const { site, onDisks } = workAt(deps, order, attempt);
      return onDisks(async () => {
        const handed = await site.replicas.handOver(order.server.id, order.runId, disk.diskId, callOptions(attempt));
        const { overwriteDisks } = order.target;
        await platformOf(site, order).attachDisk(machineOf(order), asMachineDisk(handed), {
          ...callOptions(attempt),
          ...(overwriteDisks === undefined ? {} : { overwriteDisks }),
        });
        return handed;
      });
    },

    async takeBackDisk({ order, disk }, attempt) {
      const { site, onDisks } = workAt(deps, order, attempt);
      await onDisks(async () => {
        const machine = machineOf(order);
        const platform = platformOf(site, order);
        const there = await platform.find(machine.name, callOptions(attempt));
        if (there !== undefined && !(platform.given !== undefined && there.owner === null)) {
          await platform.detachDisk(machine, asMachineDisk(disk), callOptions(attempt));
        }
        await site.replicas.takeBack(order.server.id, order.runId, disk.diskId, callOptions(attempt));
      });
    },

    async releaseDisk({ order, disk }, attempt) {
      const { site, onDisks } = workAt(deps, order, attempt);
      return onDisks(() => site.replicas.release(order.server.id, order.runId, disk.diskId, callOptions(attempt)));
    },

    async commitReplica({ order }, attempt) {
      const { site, onReplica } = workAt(deps, order, attempt);
      await onReplica(async () => {
        const bases = await site.replicas.beginCommit(order.server.id, order.runId, callOptions(attempt));
        for (const { diskId, overlayPath, basePath } of bases) {
          const spec = order.server.disks.find((one) => one.id === diskId)!;
          const disk = {
            diskId,
            index: spec.index,
            path: overlayPath,
            format: 'qcow2' as const,
            sizeBytes: spec.sizeBytes,
          };
          await platformOf(site, order).mergeDisk(machineOf(order), disk, basePath, callOptions(attempt));
          // The folder that was registered goes with the replica; the machine stands on its base now.
          await platformOf(site, order).unregisterDisk(machineOf(order), disk, callOptions(attempt));
        }
        await site.replicas.finishCommit(order.server.id, order.runId, callOptions(attempt));
      });
      await forgetSourceStopped(order, site);
    },
  };
}
