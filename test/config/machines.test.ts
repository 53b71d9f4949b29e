/** Physical machines in the configuration file: what is taken, and what is refused with its place. */
import { machinesSchema } from '../../config/machines';

const machine = {
  ...{ name: 'rack-7', hardware: 'physical-nvme', firmware: 'bios', cpuCount: 4, memoryBytes: 1024 ** 3 },
  disks: [{ device: '/dev/disk/by-id/one', serial: 'S1' }],
  power: { person: 'Press the button.' },
};
const redfish = { url: 'https://bmc.example', systemId: '1', user: 'muster', password: 'file:bmc' };

const problems = (...machines: object[]): string[] => {
  const result = machinesSchema.safeParse(machines);
  return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
};

test('a machine with a controller, a console and a card is taken, with its defaults', () => {
  const full = {
    ...machine,
    nics: [{ macAddress: '3C:FD:FE:9A:01:20', network: 'lan' }],
    power: { redfish },
    serialConsole: { host: '127.0.0.1', port: 7007 },
  };
  expect(machinesSchema.parse([full])[0]).toMatchObject({
    nics: [{ macAddress: '3c:fd:fe:9a:01:20', isolated: false }],
    power: { redfish: { insecure: false } },
  });
  expect(machinesSchema.parse(undefined)).toEqual([]);
});

test.each<[string, object, RegExp]>([
  ['a hypervisor’s hardware', { hardware: 'kvm-virtio' }, /hardware/],
  ['a name that leads elsewhere', { name: '../rack' }, /name: needs 1 to 63/],
  ['no disk', { disks: [] }, /disks/],
  ['a device that is no whole path', { disks: [{ device: 'sda' }] }, /disks\.0\.device: needs a whole path/],
  ['a password instead of a reference', { power: { redfish: { ...redfish, password: 'hunter2' } } }, /power/],
  ['a password in the URL', { power: { redfish: { ...redfish, url: 'https://a:b@bmc' } } }, /power/],
  ['two ways to switch', { power: { redfish, person: 'Press.' } }, /power/],
])('%s is refused', (_, change, text) => {
  const found = problems({ ...machine, ...change }).join('\n');
  expect(found).toMatch(text);
  expect(found).not.toContain('hunter2');
});

test('a device, or a name, of two machines is refused', () => {
  const found = problems(machine, { ...machine, name: 'rack-8' }, { ...machine, disks: [{ device: '/dev/sdx' }] });
  expect(found).toEqual([
    ': needs names that differ; "rack-7" stands there twice',
    ': needs devices that differ; "/dev/disk/by-id/one" stands there twice',
  ]);
});
