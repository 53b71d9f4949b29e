/** Where the demo lives, and how it is made new and taken away: a data folder, a tenant and ports of its own. */
import { rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Configuration } from '../../config/configuration';
import { loadConfiguration } from '../../config/load';
import { openSites } from '../../worker/sites';
import { endLeftovers } from '../leftovers';
import { dataFolderAt } from '../data-folder';
import { answers, freePort } from '../ports';
import { sourceName } from './counter';
import { shopServers } from './shop';
import { removeSource } from './source-machine';
import { removeSourceNetwork, shopNetwork } from './source-network';

/** Its machines carry it as their owner, so that a later demo knows what an earlier one left. */
const tenantId = 'demo';

export interface DemoPlace {
  readonly env: NodeJS.ProcessEnv;
  readonly configuration: Configuration;
}

export async function demoPlace(): Promise<DemoPlace> {
  const standard = process.getuid?.() === 0 ? '/var/lib/muster-demo' : join(homedir(), '.local/share/muster-demo');
  const port = async (wanted: number): Promise<string> =>
    String((await answers('127.0.0.1', wanted)) ? await freePort() : wanted);
  const env = {
    ...process.env,
    MUSTER_DATA_FOLDER: process.env['MUSTER_DATA_FOLDER'] ?? standard,
    MUSTER_TENANT_ID: tenantId,
    MUSTER_API_PORT: process.env['MUSTER_API_PORT'] ?? (await port(7070)),
    MUSTER_TEMPORAL_PORT: process.env['MUSTER_TEMPORAL_PORT'] ?? (await port(7071)),
    MUSTER_POSTGRES_PORT: process.env['MUSTER_POSTGRES_PORT'] ?? (await port(7072)),
  };
  return { env, configuration: loadConfiguration(env) };
}

/** Removes every machine, network and replica of the demo, this one's or an earlier one's; the folder's logs and reports stay. */
export async function removeMachines({ configuration }: DemoPlace): Promise<void> {
  const site = openSites(configuration).recovery.values().next().value!;
  for (const machine of await site.platform.list()) {
    if (machine.owner?.tenantId !== tenantId) continue;
    const ref = { name: machine.name, owner: machine.owner };
    if (machine.power !== 'off') await site.platform.power(ref, 'off');
    for (const disk of machine.disks) {
      const known = { ...disk, diskId: `disk${disk.index}` };
      await site.platform.detachDisk(ref, known);
      await site.platform.unregisterDisk(ref, known);
    }
    await site.platform.remove(ref);
  }
  // A rehearsal that was ended in the middle has left its own; it has no machine plugged in any more.
  for (const { name, owner } of await site.platform.networks())
    if (owner.tenantId === tenantId) await site.platform.removeNetwork({ name, owner });
  for (const { serverId, heldBy } of await site.replicas.views()) {
    if (heldBy !== null) await site.replicas.letGo(serverId, heldBy);
    for (const runId of await site.replicas.runs(serverId)) await site.replicas.drop(serverId, runId);
    await site.replicas.remove(serverId);
  }
  for (const name of [sourceName, ...(await shopServers()).map((server) => server.name)]) await removeSource(name);
  await removeSourceNetwork(shopNetwork);
}

/** A new, empty place: what an earlier demo left is ended and deleted. */
export async function makeNew(place: DemoPlace): Promise<void> {
  const folder = dataFolderAt(place.configuration.dataFolder);
  await endLeftovers(folder.partsFile);
  await removeMachines(place);
  await rm(folder.root, { recursive: true, force: true });
}
