/** What the libvirt driver writes and reads, without a hypervisor. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hardwareProfiles, virtualProfiles } from '../../model/server';
import type { MachineSpec } from '../../platforms/contract';
import { agentArgs } from '../../platforms/libvirt/agent';
import { probeArgs } from '../../platforms/libvirt/acceleration';
import { parseDomain } from '../../platforms/libvirt/domain-parse';
import { deviceFor, diskXml, domainXml, indexOfDevice, letters, poolXml } from '../../platforms/libvirt/domain-xml';
import { parseVolume } from '../../platforms/libvirt/disks';
import { explainFailure } from '../../platforms/libvirt/errors';
import { isIsolated, parseFreeMemory, parseVersion } from '../../platforms/libvirt/health';
import { parseList } from '../../platforms/libvirt/host';
import { printable } from '../../platforms/libvirt/look';
import { removeArgs } from '../../platforms/libvirt/machines';
import { parseJob } from '../../platforms/libvirt/merge';
import { commandFor } from '../../platforms/libvirt/power';
import { typeToVirsh, virshArgs } from '../../platforms/libvirt/virsh';
import { ProgramError } from '../../programs/run';

const expected = (name: string) => readFileSync(join(__dirname, `${name}.expected.xml`), 'utf8');

const spec: MachineSpec = {
  name: 'app01-recovered',
  uuid: '0f8fad5b-d9cb-569f-a165-70867728950e',
  owner: { tenantId: 'default', runId: '01959238-3d11-7d0e-8a40-2f6d1c9b5e21' },
  cpuCount: 2,
  memoryBytes: 512 * 1024 ** 2,
  firmware: 'bios',
  hardware: hardwareProfiles['vmware-pvscsi']!,
  nics: [
    { index: 0, macAddress: '52:54:00:12:34:56', network: 'lan' },
    { index: 1, macAddress: '52:54:00:12:34:57', network: 'rehearsal' },
    { index: 2, macAddress: '52:54:00:12:34:58', network: 'quiet' },
  ],
};
const choices = {
  acceleration: 'tcg' as const,
  consoleFile: '/var/lib/muster/console/app01.log',
  networks: {
    lan: { kind: 'user' as const },
    rehearsal: { kind: 'network' as const, name: 'muster-rehearsal' },
    quiet: { kind: 'unplugged' as const },
  },
};

describe('domain XML', () => {
  test.each(virtualProfiles.map((id) => hardwareProfiles[id]!))('for $id is what was run', (hardware) => {
    expect(`${domainXml({ ...spec, hardware }, choices)}\n`).toBe(expected(hardware.id));
  });

  test('for UEFI under KVM asks for firmware and the host model', () => {
    const xml = domainXml({ ...spec, firmware: 'uefi' }, { ...choices, acceleration: 'kvm' });
    expect(`${xml}\n`).toBe(expected('uefi-kvm'));
  });

  test('of a disk and of a pool is what was run', () => {
    const disk = { index: 1, path: '/srv/replicas/a & b/disk1.qcow2', format: 'qcow2' as const };
    expect(`${diskXml(disk, 'pvscsi')}\n${poolXml('muster-1', '/srv/a&amp;b')}\n`).toBe(expected('disk-and-pool'));
  });

  test.each(['a & b', '&amp;', '<name>&lt;]]>', '"quoted" \'twice\'', 'Zürich 東京 🚒'])(
    'keeps the text %j as it is',
    (name) => {
      const read = parseDomain(domainXml({ ...spec, name }, choices), 'shut off', {});
      expect(read.machine).toMatchObject({ name, uuid: spec.uuid, owner: spec.owner });
    },
  );

  test('refuses hardware and networks that this host cannot give', () => {
    const nvme = { ...spec.hardware, diskController: 'nvme' as const };
    expect(() => domainXml({ ...spec, hardware: nvme }, choices)).toThrow(/disk controller nvme/);
    expect(() => domainXml(spec, { ...choices, networks: {} })).toThrow(/no network lan in the configuration/);
  });
});

test('disk names count as libvirt counts, both ways', () => {
  expect([0, 25, 26, 701, 702].map(letters)).toEqual(['a', 'z', 'aa', 'zz', 'aaa']);
  for (const index of [0, 1, 25, 26, 51, 52, 701, 702]) expect(indexOfDevice(deviceFor(index, 'virtio'))).toBe(index);
});

test('argument lists are exactly these', () => {
  expect(virshArgs('qemu:///system', ['list'])).toEqual(['--connect', 'qemu:///system', '--quiet', 'list']);
  expect(removeArgs('u')).toEqual([
    'undefine',
    'u',
    '--nvram',
    '--checkpoints-metadata',
    '--snapshots-metadata',
    '--managed-save',
  ]);
  expect(agentArgs('u', { execute: 'guest-ping' })).toEqual([
    ...['qemu-agent-command', '--domain', 'u', '--timeout', '10', '--cmd', '{"execute":"guest-ping"}'],
  ]);
  expect(probeArgs('kvm', '/tmp/a,b.img')).toContain('file=/tmp/a,,b.img,format=raw,if=ide');
});

test('a request that virsh reads from its input reaches the other side as it is, whatever characters are in it', async () => {
  const request = JSON.stringify({
    env: ['A=it’s "1" \\n\u007f\u0001 $(id) `id`;\n\t\r é 東京 🚒', "B='"],
    path: '/bin/a b',
  });
  const { stdout } = await typeToVirsh('test:///default', 'echo', ['echo', request]);
  const line = stdout.split('\n').findLast((one) => one.startsWith('{'))!;
  expect(JSON.parse(line.replace(/virsh # ?$/, ''))).toEqual(JSON.parse(request));
});

test('power commands follow from the state', () => {
  expect((['off', 'on', 'paused', 'crashed'] as const).map((state) => commandFor('on', state))).toEqual([
    ...['start', undefined, 'resume', 'start'],
  ]);
  expect(commandFor('off', 'off')).toBeUndefined();
  expect(commandFor('off', 'paused')).toBe('destroy');
});

test('what virsh prints is read as printed', () => {
  const uuid = '0f8fad5b-d9cb-569f-a165-70867728950e';
  expect(parseList(`${uuid} name with  blanks\n\n`)).toEqual([{ uuid, name: 'name with  blanks' }]);
  expect(parseJob(' type=Active Block Commit\n bandwidth=0\n cur=65536\n end=131072\n')).toEqual({
    ...{ doneBytes: 65536, totalBytes: 131072 },
  });
  expect(parseJob('')).toBeUndefined();
  expect(parseVersion('Using library: libvirt 9.0.0\nUsing API: QEMU 9.0.0\nRunning hypervisor: QEMU 7.2.22\n')).toBe(
    'libvirt 9.0.0, QEMU 7.2.22',
  );
  expect(parseFreeMemory('total  :  100 KiB\nfree   :   10 KiB\nbuffers:    2 KiB\ncached :    3 KiB\n')).toBe(
    15 * 1024,
  );
  expect(isIsolated('<network><name>n</name><bridge name="b"/></network>')).toBe(true);
  expect(isIsolated('<network><name>n</name><forward mode="nat"/></network>')).toBe(false);
  const volume = "<volume><capacity unit='bytes'>1048576</capacity><target><format type='qcow2'/></target></volume>";
  expect(parseVolume(volume)).toEqual({ sizeBytes: 1048576, format: 'qcow2' });
});

test('a console is shown without what a guest could do to a terminal', () => {
  expect(printable('\u001b[2J\u001b[1;31mALERT!\u001b[0m\r\n\u001b]0;title\u0007a\u0000b\u0007\u001bcdone\u202e')).toBe(
    'ALERT!\nabdone',
  );
});

test.each([
  [
    "error: failed to connect to the hypervisor\nerror: Failed to connect socket to '/run/libvirt-sock': Connection refused",
    'TransientError',
    /libvirtd/,
  ],
  ['error: End of file while reading data: Input/output error', 'TransientError', /libvirtd/],
  ["error: operation failed: domain 'x' already exists with uuid 1", 'OperatorError', /another name/],
  ['error: internal error: qemu: Failed to get "write" lock', 'OperatorError', /release the disk/],
  ["error: Network not found: no network with matching name 'n'", 'PermanentError', /--set networks=/],
  ["error: Requested operation is not valid: network 'n' is not active", 'OperatorError', /net-start/],
  ['qemu-img: error while writing: No space left on device', 'OperatorError', /storage/],
  ['error: cannot set up guest memory: Cannot allocate memory', 'OperatorError', /memoryBytes/],
  ["error: Could not open '/x': Permission denied", 'OperatorError', /right/],
  ['error: unsupported configuration: no such thing', 'PermanentError', /this host can build/],
  ['error: something never seen', 'TransientError', /never seen/],
])('%j is told in Muster’s words', (stderr, family, text) => {
  const failed = new ProgramError('m', 's', 'virsh', 1, '', stderr, false, false, undefined);
  const error = explainFailure('app01 cannot be started', failed);
  expect(error.name).toBe(family);
  expect(error.message).toMatch(text);
  expect(error.message).toMatch(/^app01 cannot be started: found /);
});
