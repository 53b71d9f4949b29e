/** The network that the shop's servers share at the production site: a bridge that leads nowhere else. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from 'xmlbuilder2';
import { runProgram } from '../../programs/run';
import { StackError } from '../exit-codes';

export const shopNetwork = 'shop-lan';
/** Says that a network of this name is the demo's; libvirt 9 keeps no description of networks. */
const uuid = '6d757374-6572-4d61-8d65-73686f706c61';
/** At most 15 characters (IFNAMSIZ). */
const bridge = 'muster-shop0';

const virsh = (...args: string[]) =>
  runProgram('virsh', ['-c', 'qemu:///system', '--quiet', ...args], { timeoutMs: 60_000 });

/** Makes it, for as long as this host runs. @throws StackError when a network of this name is somebody else's. */
export async function makeShopNetwork(folder: string): Promise<void> {
  const definition = join(folder, `${shopNetwork}.xml`);
  const network = { network: { name: shopNetwork, uuid, bridge: { '@name': bridge, '@stp': 'off', '@delay': '0' } } };
  await writeFile(definition, create(network).end({ prettyPrint: true }));
  await virsh('net-create', definition);
}

export async function removeShopNetwork(): Promise<void> {
  const names = (await virsh('net-list', '--all', '--name')).stdout.split('\n').map((name) => name.trim());
  if (!names.includes(shopNetwork)) return;
  const found = (await virsh('net-uuid', shopNetwork)).stdout.trim();
  if (found !== uuid) {
    throw new StackError('part-not-up', {
      what: `the demo cannot make its network ${shopNetwork}`,
      found: `a network of this name that is not the demo's (${found})`,
      needed: 'the name for itself',
      remedy: `Rename that network (\`virsh net-edit ${shopNetwork}\`) or try the demo on another host.`,
    });
  }
  await virsh('net-destroy', shopNetwork);
}
