/** What lies about when everything is over: files of the sites, leases that somebody holds, workflows that still run. */
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import type { Client } from '@temporalio/client';
import { bootsResource } from '../../activities/boot-slots';
import { copiesResource, machineResource, networksResource, replicaResource } from '../../activities/common';
import { lockedFiles } from '../support/locked-files';
import { plainWords } from './end-state';
import type { ProtectedServer } from './server';
import type { SitePair } from './sites';

export interface Owned {
  readonly server: ProtectedServer;
  readonly runId: string;
}

/** Files that belong to the site and not to a server. */
const common = ['effects.log', 'settings.json', 'leases/booting.json'];
const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
/** Whether replication has prepared an inoculation by then, and how often it merged, is a matter of time. */
const prepared = /^replicas\/SERVER\/prepared\.json$/;
const pointNumber = /points\/\d+\//g;

/**
 * seed's server -> its files at the recovery site in plain words; `nobodys`: files that belong to none of them. Of plans, whose run
 * ids are `plans`, only the files of their leases are to be there.
 */
export async function filesAt(
  pair: SitePair,
  owned: readonly Owned[],
  plans: readonly string[] = [],
): Promise<{ byServer: Map<string, string[]>; nobodys: string[] }> {
  const root = pair.recovery.site.folder;
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
  const byServer = new Map<string, string[]>(owned.map(({ server }) => [server.spec.name, []]));
  const nobodys: string[] = [];
  const leases = leaseNames(pair, owned, plans);
  const shared = [bootsResource(pair.name), ...plans.map(networksResource)];
  for (const file of files) {
    const named = file.replace(leaseFile, (digest) => leases.get(digest) ?? digest);
    if (common.includes(file) || shared.some((resource) => named.startsWith(`leases/${resource}.lease`))) continue;
    const owner = owned.find(({ server, runId }) =>
      [server.spec.id, server.machineName, runId].some((id) => named.includes(id)),
    );
    // A machine's uuid is derived from its run; its file says whose it is, and a removed machine's reservation stays.
    if (owner === undefined) {
      if (!file.startsWith('uuids/')) nobodys.push(file);
      continue;
    }
    const plain = plainWords(
      owner.server,
      owner.runId,
    )(named)
      .replaceAll(uuid, 'UUID')
      .replaceAll(pointNumber, 'points/N/');
    if (!prepared.test(plain)) byServer.get(owner.server.spec.name)!.push(plain);
  }
  return {
    byServer: new Map([...byServer].map(([name, list]) => [name, [...new Set(list)].sort()])),
    nobodys: nobodys.sort(),
  };
}

/** Lease files are named after a digest of what they are about. */
const leaseFile = /(?<=^leases\/)[0-9a-f]{32}/;

function leaseNames(pair: SitePair, owned: readonly Owned[], plans: readonly string[]): Map<string, string> {
  const resources = [
    bootsResource(pair.name),
    ...plans.map(networksResource),
    ...owned.flatMap(({ server, runId }) => [
      replicaResource(server.spec.id),
      ...[copiesResource(runId), machineResource(runId), networksResource(runId)],
    ]),
  ];
  const digestOf = (resource: string): string => createHash('sha256').update(resource).digest('hex').slice(0, 32);
  return new Map(resources.map((resource) => [digestOf(resource), resource]));
}

/** Lease files whose kernel lock somebody still has. */
export async function heldLeases(pair: SitePair): Promise<string[]> {
  const folder = join(pair.recovery.site.folder, 'leases');
  const files = (await readdir(folder).catch(() => [] as string[])).filter((name) => name.endsWith('.lease'));
  const held = await lockedFiles(files.map((name) => join(folder, name)));
  return held.map((file) => basename(file));
}

/** Ids of the workflows that Temporal still runs. */
export async function openWorkflows(client: Client): Promise<string[]> {
  const ids: string[] = [];
  for await (const info of client.workflow.list({ query: "ExecutionStatus = 'Running'" })) ids.push(info.workflowId);
  return ids.sort();
}
