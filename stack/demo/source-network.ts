/** A network that servers share at the production site: a bridge that leads nowhere else. The shop's is one. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from 'xmlbuilder2';
import { runProgram } from '../../programs/run';
import { StackError } from '../exit-codes';

export interface SourceNetwork {
  readonly name: string;
  /** Says whose a network of this name is; libvirt 9 keeps no description of networks. */
  readonly uuid: string;
  /** At most 15 characters (IFNAMSIZ). */
  readonly bridge: string;
}

export const shopNetwork: SourceNetwork = {
  name: 'shop-lan',
  uuid: '6d757374-6572-4d61-8d65-73686f706c61',
  bridge: 'muster-shop0',
};

const virsh = (...args: string[]) =>
  runProgram('virsh', ['-c', 'qemu:///system', '--quiet', ...args], { timeoutMs: 60_000 });

/** Makes it, for as long as this host runs; its definition is kept in `folder`. @throws ProgramError when the name is taken. */
export async function makeSourceNetwork(folder: string, { name, uuid, bridge }: SourceNetwork): Promise<void> {
  const definition = join(folder, `${name}.xml`);
  const network = { network: { name, uuid, bridge: { '@name': bridge, '@stp': 'off', '@delay': '0' } } };
  await writeFile(definition, create(network).end({ prettyPrint: true }));
  await virsh('net-create', definition);
}

/** @throws StackError when a network of this name is somebody else's. */
export async function removeSourceNetwork({ name, uuid }: SourceNetwork): Promise<void> {
  const names = (await virsh('net-list', '--all', '--name')).stdout.split('\n').map((line) => line.trim());
  if (!names.includes(name)) return;
  const found = (await virsh('net-uuid', name)).stdout.trim();
  if (found !== uuid) {
    throw new StackError('part-not-up', {
      what: `the demo cannot make its network ${name}`,
      found: `a network of this name that is not the demo's (${found})`,
      needed: 'the name for itself',
      remedy: `Rename that network (\`virsh net-edit ${name}\`) or try the demo on another host.`,
    });
  }
  await virsh('net-destroy', name);
}
