/** Real QEMU: machines without an operating system, which is enough for everything that a platform itself promises. */
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MachineDisk } from '../../platforms/contract';
import { bootsTrivialGuest } from '../../platforms/libvirt/acceleration';
import { createLibvirtPlatform } from '../../platforms/libvirt/platform';
import { runProgram } from '../../programs/run';
import { describePlatform } from './conformance';

const uri = process.env['MUSTER_TEST_LIBVIRT_URI'] ?? 'qemu:///system';
const sizeBytes = 1024 * 1024;
const virsh = (args: readonly string[]) =>
  runProgram('virsh', ['--connect', uri, '--quiet', ...args], { timeoutMs: 60_000 });

jest.setTimeout(120_000);

describePlatform('libvirt', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'muster-libvirt-'));
  const disks = join(folder, 'disks');
  await mkdir(disks);
  // QEMU runs as another user.
  for (const path of [folder, disks]) await chmod(path, 0o755);
  const network = `muster-conf-${randomUUID().slice(0, 6)}`;
  const bridge = `mus${randomUUID().slice(0, 6)}`;
  const xmlFile = join(folder, 'input.xml');
  const fromXml = async (command: string, xml: string) => {
    await writeFile(xmlFile, xml);
    await virsh([command, xmlFile]);
  };
  await fromXml('net-create', `<network><name>${network}</name><bridge name="${bridge}"/></network>`);
  const tenantId = `conformance-${randomUUID()}`;
  const foreign = new Set<string>();
  const platform = createLibvirtPlatform({
    id: 'lab',
    uri,
    consoleFolder: join(folder, 'console'),
    networks: { lan: { kind: 'user' }, quiet: { kind: 'unplugged' }, rehearsal: { kind: 'network', name: network } },
  });
  return {
    tenantId,
    platform,
    network: 'lan',
    isolatedNetwork: 'rehearsal',
    newDisk: async (index): Promise<MachineDisk> => {
      const path = join(disks, `${randomUUID()}.qcow2`);
      await runProgram('qemu-img', ['create', '-q', '-f', 'qcow2', path, String(sizeBytes)]);
      return { diskId: `disk${index}`, index, path, format: 'qcow2', sizeBytes };
    },
    newOverlay: async (base) => {
      const path = `${base.path}.overlay`;
      await runProgram('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', base.path, '-F', 'qcow2', path]);
      return { ...base, path };
    },
    makeForeign: async (name) => {
      foreign.add(name);
      const xml = `<domain type='qemu'><name>${name}</name><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>`;
      await fromXml('define', xml);
    },
    cleanUp: async () => {
      for (const { name, uuid, owner } of await platform.list()) {
        if (owner?.tenantId !== tenantId && !foreign.has(name)) continue;
        await virsh(['destroy', uuid]).catch(() => undefined);
        await virsh(['undefine', uuid, '--nvram']);
      }
      await virsh(['net-destroy', network]);
      await rm(folder, { recursive: true, force: true });
    },
  };
});

test('the trivial guest that decides about KVM does run where a guest can run', async () => {
  expect(await bootsTrivialGuest('tcg')).toBe(true);
});

test('a network of Muster in which the host was given an address is no longer isolated, and says so', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'muster-libvirt-'));
  const platform = createLibvirtPlatform({ id: 'lab', uri, consoleFolder: folder, networks: {} });
  const network = { name: `muster-up-${randomUUID().slice(0, 6)}`, owner: { tenantId: 'uplink', runId: randomUUID() } };
  const uplinks = async () => (await platform.networks()).find(({ name }) => name === network.name)?.uplinks;
  try {
    await platform.createNetwork(network);
    expect(await uplinks()).toEqual([]);
    const { stdout } = await virsh(['net-dumpxml', '--network', network.name]);
    const bridge = /<bridge name='([^']+)'/.exec(stdout)![1]!;
    await runProgram('ip', ['address', 'add', '192.0.2.77/32', 'dev', bridge]);
    expect(await uplinks()).toEqual([`the host's address 192.0.2.77 on ${bridge}`]);
  } finally {
    await platform.removeNetwork(network);
    await rm(folder, { recursive: true, force: true });
  }
});
