/**
 * The three servers of the shop as the demo starts them, for a test: machines with names of the test's own, in a network that has the name which
 * the runbook knows. A host has that name once, so it is waited for.
 */
import { randomUUID } from 'node:crypto';
import { addShopServer, shopGuests, shopServers } from '../../../stack/demo/shop';
import { startSource } from '../../../stack/demo/source-machine';
import {
  makeSourceNetwork,
  removeSourceNetwork,
  shopNetwork,
  type SourceNetwork,
} from '../../../stack/demo/source-network';
import type { ShopServer } from '../../../tools/shop-guests/build.mjs';
import { uri, virsh } from '../../replication/support/demo-machine';
import { exitCodeOf } from '../../replication/support/tools';
import { agentAnswers, runInGuest } from './in-guest';
import { networks } from './networks';
import { eventually } from './system';

export type ShopName = ShopServer['name'];

export interface Shop {
  /** From the bottom up. */
  readonly names: readonly ShopName[];
  machine(name: ShopName): string;
  /** Arguments that add the server; nothing is prepared for it, for that would cost what its inoculation costs. */
  add(name: ShopName): string[];
  /** What would be another if the machine had been touched: its QEMU, its boot, and when its orders began. */
  seen(): Promise<SourceSeen[]>;
  close(): Promise<void>;
}

export interface SourceSeen {
  readonly name: ShopName;
  readonly state: string;
  readonly domainId: string;
  readonly bootId: string;
}

/** `prefix`: the beginning of its machines' names. */
export async function openShop(folder: string, prefix: string): Promise<Shop> {
  const images = await shopGuests((line) => process.stderr.write(`${line}\n`));
  const names = (await shopServers()).map(({ name }) => name);
  const machine = (name: ShopName) => `${prefix}-${name}`;
  const uuid = randomUUID();
  const network: SourceNetwork = { name: shopNetwork.name, uuid, bridge: `mst-${uuid.slice(0, 8)}` };
  await eventually(`nobody else on this host has a network ${network.name}`, 1_200_000, async () =>
    (await networks()).includes(network.name) ? undefined : true,
  );
  await makeSourceNetwork(folder, network);
  try {
    for (const name of names)
      await startSource(folder, { name: machine(name), imagePath: images[name], network: network.name });
  } catch (error) {
    await exitCodeOf('virsh', '-c', uri, 'net-destroy', network.name);
    throw error;
  }
  return {
    names,
    machine,
    add: (name) => [...addShopServer(name), '--machine', machine(name), '--prepare-for', 'none'],
    seen: () => Promise.all(names.map((name) => seen(name, machine(name)))),
    close: () => removeSourceNetwork(network),
  };
}

async function seen(name: ShopName, machine: string): Promise<SourceSeen> {
  const bootId = await runInGuest(machine, '/bin/cat', '/proc/sys/kernel/random/boot_id');
  return {
    name,
    state: await virsh('domstate', machine),
    domainId: await virsh('domid', machine),
    bootId: bootId.stdout.trim(),
  };
}

/** What the shop says of itself at this machine; undefined while not everything beneath it answers. */
export async function shopStatus(machine: string): Promise<string | undefined> {
  if (!(await agentAnswers(machine))) return undefined;
  const { exitCode, stdout } = await runInGuest(machine, '/usr/local/bin/shop', 'status');
  return exitCode === 0 ? stdout.trim() : undefined;
}

/** The number of the last order, as the page of the web server names it. */
export function lastOrder(page: string): number {
  return Number(/Order (\d+) is in the books \(chain ok, application server shop-app\)/.exec(page)?.[1]);
}
