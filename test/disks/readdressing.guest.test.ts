/** New addresses written by the real appliance for each way of configuring a network, and read by other programs than Muster. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guestFiles } from '../../disks/guest-files';
import { startGuestfish, type Guestfish } from '../../disks/guestfish';
import { readdress } from '../../disks/linux/addresses/readdress';
import { findLinux } from '../../disks/linux/find-system';
import { listVolumes, type LabelledVolume } from '../../disks/linux/volumes';
import type { NicSpec } from '../../model/server';
import * as make from './zoo/layouts';

jest.setTimeout(900_000);

const mac = '52:54:00:12:34:56';
const nics: NicSpec[] = [{ index: 0, macAddress: mac, model: 'e1000', network: 'prod' }];
const addresses = [{ macAddress: mac, ip: '10.8.0.12/24', gateway: '10.8.0.1', dns: ['10.8.0.2', '10.8.0.3'] }];
const enabled = (service: string) => ({ [`etc/systemd/system/multi-user.target.wants/${service}.service`]: '' });

/** Each a disk with nothing but a system's configuration; its old address is in 192.0.2.0/24. */
const systems: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  ifupdown: {
    'etc/network/interfaces':
      'auto lo\niface lo inet loopback\n\nauto ens3\niface ens3 inet static\n\taddress 192.0.2.5\n\tnetmask 255.255.255.0\n',
    'etc/resolv.conf': 'nameserver 192.0.2.53\n',
  },
  networkd: {
    ...enabled('systemd-networkd'),
    'etc/systemd/network/10-lan.network': '[Match]\nName=ens3\n\n[Network]\nAddress=192.0.2.5/24\n',
  },
  netplan: {
    'etc/netplan/50-cloud-init.yaml':
      'network:\n  version: 2\n  ethernets:\n    ens3: # the lan\n      addresses: [192.0.2.5/24]\n      gateway4: 192.0.2.1\n',
    'etc/cloud/cloud.cfg': 'users: [default]\n',
  },
  ifcfg: {
    ...enabled('NetworkManager'),
    'etc/sysconfig/network-scripts/ifcfg-ens3':
      'TYPE=Ethernet\nDEVICE="ens3"\nBOOTPROTO=none\nIPADDR=192.0.2.5\nNETMASK=255.255.255.0\nZONE=trusted\n',
  },
  manager: {
    ...enabled('NetworkManager'),
    'etc/NetworkManager/system-connections/lan.nmconnection':
      '[connection]\nid=lan\ntype=ethernet\ninterface-name=ens3\n\n[ipv4]\nmethod=manual\naddress1=192.0.2.5/24\n',
  },
  bonded: {
    'etc/netplan/a.yaml': 'network: { ethernets: { ens3: {} }, bonds: { bond0: { interfaces: [ens3] } } }\n',
  },
  wicked: { 'etc/sysconfig/network/ifcfg-eth0': "BOOTPROTO='dhcp'\n" },
};
const names = Object.keys(systems);

let folder: string;
let guest: Guestfish;
let volumes: LabelledVolume[];
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'muster-readdressing-'));
  guest = startGuestfish({ temporaryFolder: folder });
  for (const name of names) {
    const files = {
      'etc/fstab': '/dev/sda1 / ext4 defaults 0 1\n',
      'etc/os-release': `ID=debian\nPRETTY_NAME="${name}"\n`,
      ...systems[name]!,
    };
    make.bareExt4(at(name), 16, make.fill(at(`${name}-tree`), files));
    await guest.ask('add-drive', [at(name), 'format:raw']);
  }
  await guest.ask('run', [], 300_000);
  volumes = await listVolumes(guest);
});
afterAll(async () => {
  await guest.kill();
  rmSync(folder, { recursive: true, force: true });
});

async function readdressed(name: string) {
  const files = guestFiles(guest, at(`${name}-files`));
  const own = volumes.filter(({ disk }) => disk === names.indexOf(name));
  const system = await findLinux(guest, files, own);
  await guest.ask('umount-all');
  return readdress(guest, files, system, addresses, nics);
}

/** By e2fsprogs, from the disk's file. */
const fileOn = (name: string, path: string) => make.readExt4(at(name), path, 0, folder).toString();
const modeOn = (name: string, path: string) =>
  /Mode:\s+(\d+)/.exec(make.quietly('debugfs', ['-R', `stat ${path}`, at(name)]).toString())?.[1];
const digest = (name: string) => execFileSync('sha256sum', [at(name)], { encoding: 'utf8' });

/** By Python's configparser. */
function sections(text: string): unknown {
  const program =
    'import configparser, json, sys\np = configparser.ConfigParser(strict=False, delimiters="=", interpolation=None)\np.optionxform = str\n' +
    'p.read_string(sys.stdin.read())\nprint(json.dumps({s: dict(p[s]) for s in p.sections()}))';
  return JSON.parse(execFileSync('python3', ['-c', program], { input: text, encoding: 'utf8' }));
}

/** By a shell, as the network scripts read them. */
const shellVariables = (text: string, wanted: readonly string[]) =>
  execFileSync('env', ['-i', '/bin/sh', '-c', `${text}\nprintf '%s ' ${wanted.map((one) => `"$${one}"`).join(' ')}`], {
    encoding: 'utf8',
  });

const changedIn: Readonly<Record<string, readonly string[]>> = {
  ifupdown: ['/etc/network/interfaces', '/etc/resolv.conf'],
  networkd: ['/etc/systemd/network/00-muster-52-54-00-12-34-56.network'],
  netplan: ['/etc/netplan/50-cloud-init.yaml', '/etc/cloud/cloud.cfg.d/99-muster-network.cfg'],
  ifcfg: ['/etc/sysconfig/network-scripts/ifcfg-ens3'],
  manager: ['/etc/NetworkManager/system-connections/muster-52-54-00-12-34-56.nmconnection'],
};

test.each(Object.entries(changedIn))('%s: these files are changed, and a second time no byte', async (name, paths) => {
  const done = await readdressed(name);
  expect(done.changes).toEqual(paths.map((path) => `${path}: addresses at the recovery site`));
  const before = digest(name);
  expect((await readdressed(name)).changes).toEqual([]);
  expect(digest(name)).toBe(before);
  for (const path of paths) {
    const copy = path.replace(/([^/]+)$/, '.$1.before-muster');
    const old = systems[name]![path.slice(1)];
    if (old !== undefined) expect(fileOn(name, copy)).toBe(old);
  }
});

test('other programs read the new address out of them, and the old one out of none of those that count', () => {
  const interfaces = fileOn('ifupdown', '/etc/network/interfaces');
  expect(interfaces).toMatch(/^auto ens3\niface ens3 inet static\n(.*\n)? +address 10\.8\.0\.12\/24\n/m);
  expect(interfaces + fileOn('ifupdown', '/etc/resolv.conf')).not.toContain('192.0.2.');
  expect(sections(fileOn('networkd', changedIn['networkd']![0]!))).toEqual({
    Match: { MACAddress: mac },
    Network: { Address: '10.8.0.12/24', Gateway: '10.8.0.1', DNS: '10.8.0.3', DHCP: 'no', IPv6AcceptRA: 'no' },
  });
  const netplan = fileOn('netplan', '/etc/netplan/50-cloud-init.yaml');
  expect(netplan).toMatch(/ens3:\s+# the lan\n/);
  expect(netplan).not.toContain('192.0.2.');
  expect(netplan.match(/10\.8\.0\.\d+(\/24)?/g)).toEqual(['10.8.0.12/24', '10.8.0.1', '10.8.0.2', '10.8.0.3']);
  const ifcfg = fileOn('ifcfg', '/etc/sysconfig/network-scripts/ifcfg-ens3');
  const wanted = ['DEVICE', 'BOOTPROTO', 'ONBOOT', 'IPADDR', 'PREFIX', 'NETMASK', 'GATEWAY', 'DNS2', 'ZONE'];
  expect(shellVariables(ifcfg, wanted)).toBe('ens3 none yes 10.8.0.12 24  10.8.0.1 10.8.0.3 trusted ');
  const profile = changedIn['manager']![0]!;
  expect(sections(fileOn('manager', profile))).toMatchObject({
    connection: { type: 'ethernet', autoconnect: 'true', 'autoconnect-priority': '999' },
    ethernet: { 'mac-address': mac.toUpperCase() },
    ipv4: { method: 'manual', address1: '10.8.0.12/24,10.8.0.1', dns: '10.8.0.2;10.8.0.3;' },
  });
  // NetworkManager reads none that others could.
  expect(modeOn('manager', profile)).toBe('0600');
});

test.each([
  ['bonded', /\/etc\/netplan\/a\.yaml in the guest .*bond0/, /script after power-on/],
  ['wicked', /cannot be re-addressed.*none of netplan, ifupdown/, /script after power-on/],
])('%s is refused with what to do instead, and no byte is changed', async (name, what, remedy) => {
  const before = digest(name);
  const error = await readdressed(name).then(
    () => Promise.reject(new Error('it was not refused')),
    (caught: Error & { facts: { remedy: string } }) => caught,
  );
  expect(error.name).toBe('PermanentError');
  expect(error.message).toMatch(what);
  expect(error.facts.remedy).toMatch(remedy);
  expect(digest(name)).toBe(before);
});
