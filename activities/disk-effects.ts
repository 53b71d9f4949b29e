/** Effects on the run's disks: signatures, inoculation, registry. Under the lease of the server's replica, or of the run's copies. */
import type { InoculateOptions, InoculationReport } from '../disks/contract';
import type { RecoveryOrder } from '../model/order';
import type { RecoveryActivities } from './contract';
import type { EffectsOf } from './attempt';
import { callOptions, workAt } from './common';

import type { ActivityDeps, RecoverySite } from './site';
import { addressesOf, targetNics } from './target-nics';

type DiskEffects = Pick<RecoveryActivities, 'applySignature' | 'removeSignature' | 'inoculateDisks' | 'updateRegistry'>;

export function createDiskEffects(deps: ActivityDeps): EffectsOf<DiskEffects> {
  return {
    async applySignature({ order, disk }, attempt) {
      const { site, onBytes } = workAt(deps, order, attempt);
      return onBytes(() => site.disks.applySignatures(disk, callOptions(attempt)));
    },

    async removeSignature({ order, disk }, attempt) {
      const { site, onBytes } = workAt(deps, order, attempt);
      await onBytes(() => site.disks.removeSignatures(disk, callOptions(attempt)));
    },

    async inoculateDisks({ order, disks }, attempt) {
      const { site, onBytes } = workAt(deps, order, attempt);
      const unlockKeys = await Promise.all((order.server.unlockKeys ?? []).map((ref) => deps.secrets(ref)));
      const nics = await targetNics(order, site, attempt);
      const prepared = await preparedFor(site, order);
      const addresses = addressesOf(order, nics);
      const options = { ...callOptions(attempt), nics, addresses, unlockKeys, prepared, ...inoculatorFor(site, order) };
      const report = await onBytes(() => site.disks.inoculate(disks, order.target.hardware, options));
      const text = Buffer.from(JSON.stringify(report, null, 2));
      await attempt.keep(
        `What inoculation changed and verified${preparedWords(report)}`,
        text,
        'inoculation.json',
        'application/json',
      );
      return report;
    },

    async updateRegistry({ order, disks }, attempt) {
      const { site, onBytes } = workAt(deps, order, attempt);
      const report = await onBytes(() => site.disks.updateRegistry(disks, order.target.hardware, callOptions(attempt)));
      const text = Buffer.from(JSON.stringify(report, null, 2));
      await attempt.keep('What was changed in the registry and verified', text, 'registry.json', 'application/json');
      return report;
    },
  };
}

/** Nothing that was prepared is worth an inoculation that fails: what cannot be read counts as none. */
function preparedFor(site: RecoverySite, { server, target }: RecoveryOrder): Promise<InoculateOptions['prepared']> {
  return site.preparations
    .find(server.id, target.hardware.id)
    .catch((error: unknown) => ({ because: `what was prepared cannot be read: ${String(error)}` }));
}

/** As preflight has shown it; where none fits, the built-in one says so with what it found on the disks. */
function inoculatorFor(site: RecoverySite, { server, target }: RecoveryOrder): Pick<InoculateOptions, 'inoculator'> {
  const choice = site.disks.chooseInoculator(server.os, target.hardware);
  return 'inoculator' in choice ? { inoculator: choice.inoculator } : {};
}

/** For the line of the evidence in the report. */
function preparedWords({ prepared }: InoculationReport): string {
  if (prepared === undefined) return '';
  const { used, because, preparedAt } = prepared;
  if (used) return `; what was prepared at ${preparedAt} was used, because ${because}`;
  return `; nothing prepared was used, because ${because}`;
}
