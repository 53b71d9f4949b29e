/** New addresses for a recovered Linux, worked out from the files of each way of configuring a network. */
import { planAddresses } from '../../disks/linux/addresses/plan';
import type { CardAddress } from '../../disks/contract';
import type { GuestFiles } from '../../disks/guest-files';
import type { NicSpec } from '../../model/server';

const mac = '52:54:00:12:34:56';
const other = '52:54:00:12:34:57';
const nic = (index: number, macAddress: string): NicSpec => ({ index, macAddress, model: 'e1000', network: 'lan' });
const address: CardAddress = {
  macAddress: mac,
  ip: '10.8.0.12/24',
  gateway: '10.8.0.1',
  dns: ['10.8.0.2', '10.8.0.3'],
};

/** A guest's files in memory. */
function guest(texts: Record<string, string>): GuestFiles {
  const within = (folder: string) =>
    Object.keys(texts)
      .filter((path) => path.startsWith(`${folder}/`))
      .map((path) => path.slice(folder.length + 1).split('/')[0]!);
  return {
    isFile: async (path) => path in texts,
    isFolder: async (path) => within(path).length > 0,
    names: async (folder) => [...new Set(within(folder))].sort(),
    text: async (path) => texts[path] ?? null,
    download: () => Promise.reject(new Error('nothing is downloaded')),
    write: () => Promise.reject(new Error('nothing is written')),
  };
}

/** What differs, after having seen that a second look at the result finds nothing to do. */
async function planned(texts: Record<string, string>, addresses = [address], nics = [nic(0, mac)]) {
  const plan = await planAddresses(guest(texts), addresses, nics);
  const again = await planAddresses(guest({ ...texts, ...Object.fromEntries(plan.files) }), addresses, nics);
  expect([...again.files]).toEqual([]);
  return { way: plan.way, files: Object.fromEntries(plan.files), warnings: plan.warnings };
}

const refusal = (texts: Record<string, string>, addresses = [address], nics = [nic(0, mac)]) =>
  planAddresses(guest(texts), addresses, nics).then(
    () => Promise.reject(new Error('it was understood')),
    (error: { family: string; message: string; facts: { remedy: string } }) => error,
  );

const wants = (service: string) => ({ [`/etc/systemd/system/multi-user.target.wants/${service}.service`]: '' });

test('ifupdown: the stanza of the card becomes static, and what else is in the file stays', async () => {
  const text = `# mine\nsource /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n\nallow-hotplug ens3\niface ens3 inet dhcp\n    mtu 9000\niface ens3 inet6 auto\n\n# end\n`;
  const { way, files } = await planned({
    '/etc/network/interfaces': text,
    '/etc/resolv.conf': 'search a.b\nnameserver 1.1.1.1\n',
  });
  expect(way).toBe('ifupdown');
  expect(files['/etc/network/interfaces']).toBe(
    `# mine\nsource /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n\nallow-hotplug ens3\niface ens3 inet static\n    # Written by Muster: the address of this card at the recovery site.\n    address 10.8.0.12/24\n    gateway 10.8.0.1\n    dns-nameservers 10.8.0.2 10.8.0.3\n    mtu 9000\n\n# end\n`,
  );
  expect(files['/etc/resolv.conf']).toBe('search a.b\nnameserver 10.8.0.2\nnameserver 10.8.0.3\n');
});

test('ifupdown with two cards: the second name in natural order is the second card', async () => {
  const text =
    'auto eth2\niface eth2 inet dhcp\nauto eth10\niface eth10 inet static\n  address 192.168.1.5\n  netmask 255.255.255.0\n';
  const wanted = [{ ...address, macAddress: other, gateway: null, dns: [] }];
  const { files } = await planned({ '/etc/network/interfaces': text }, wanted, [nic(0, mac), nic(1, other)]);
  expect(files['/etc/network/interfaces']).toMatch(
    /^auto eth2\niface eth2 inet dhcp\nauto eth10\niface eth10 inet static\n.*\n {4}address 10\.8\.0\.12\/24\n$/,
  );
});

test('systemd-networkd: a file of its own comes before the others, by the card’s own address', async () => {
  const texts = {
    ...wants('systemd-networkd'),
    '/etc/systemd/network/10-lan.network': '[Match]\nName=enp1s0\n[Network]\nDHCP=yes\n',
  };
  const { way, files } = await planned(texts);
  expect(way).toBe('systemd-networkd');
  expect(Object.keys(files)).toEqual(['/etc/systemd/network/00-muster-52-54-00-12-34-56.network']);
  expect(Object.values(files)[0]).toMatch(
    /MACAddress=52:54:00:12:34:56\n\n\[Network\]\nAddress=10\.8\.0\.12\/24\nGateway=10\.8\.0\.1\n/,
  );
});

test('NetworkManager: a profile for the card wins over those that are there, also with an address of version 6', async () => {
  const texts = {
    ...wants('NetworkManager'),
    '/etc/NetworkManager/system-connections/lan.nmconnection': '[connection]\ntype=ethernet\n',
  };
  const wanted = [{ ...address, ip: 'fd00::12/64', gateway: 'fd00::1', dns: ['fd00::2'] }];
  const { way, files } = await planned(texts, wanted);
  expect(way).toBe('NetworkManager');
  const text = files['/etc/NetworkManager/system-connections/muster-52-54-00-12-34-56.nmconnection'];
  expect(text).toContain('autoconnect-priority=999');
  expect(text).toContain('[ipv6]\nmethod=manual\naddress1=fd00::12/64,fd00::1\ndns=fd00::2;\n');
});

test('netplan: the entry of the card is changed where it stands, by name or by address; cloud-init is kept from undoing it', async () => {
  const text = `network:\n  version: 2\n  ethernets:\n    # the lan\n    ens3:\n      dhcp4: true\n      optional: true\n    dmz:\n      match: { macaddress: '${other}' }\n      addresses: [192.168.1.5/24]\n      gateway4: 192.168.1.1\n`;
  const texts = { '/etc/netplan/50-cloud-init.yaml': text, '/etc/cloud/cloud.cfg': '' };
  const wanted = [address, { ...address, macAddress: other.toUpperCase(), ip: '10.9.0.12/16', gateway: null, dns: [] }];
  const { way, files } = await planned(texts, [wanted[1]!], [nic(0, mac), nic(1, other)]);
  expect(way).toBe('netplan');
  expect(files['/etc/netplan/50-cloud-init.yaml']).toContain('# the lan\n    ens3:\n      dhcp4: true\n');
  expect(files['/etc/netplan/50-cloud-init.yaml']).toContain('10.9.0.12/16');
  expect(files['/etc/netplan/50-cloud-init.yaml']).not.toContain('192.168.1');
  expect(files['/etc/cloud/cloud.cfg.d/99-muster-network.cfg']).toContain('network: { config: disabled }');
});

test('ifcfg: the file of the card by its hardware address, with what else it says', async () => {
  const path = '/etc/sysconfig/network-scripts/ifcfg-lan';
  const text = `TYPE=Ethernet\nHWADDR="${mac.toUpperCase()}"\nBOOTPROTO=dhcp\nONBOOT=no\nZONE=trusted\n`;
  const { way, files } = await planned({ ...wants('NetworkManager'), [path]: text });
  expect(way).toBe('ifcfg');
  expect(files[path]).toBe(
    `TYPE=Ethernet\nHWADDR="${mac}"\nZONE=trusted\n# Written by Muster: the address of this card at the recovery site.\nBOOTPROTO=none\nONBOOT=yes\nPEERDNS=no\nIPADDR=10.8.0.12\nPREFIX=24\nGATEWAY=10.8.0.1\nDNS1=10.8.0.2\nDNS2=10.8.0.3\n`,
  );
});

test('routes of another card, and one that only leads out, are in nobody’s way', async () => {
  const routed = (mac: string, to: string) =>
    `[Match]\nMACAddress=${mac}\n[Network]\nAddress=192.0.2.5/24\n[Route]\nDestination=${to}\nGateway=192.0.2.1\n`;
  const { way, files } = await planned({
    ...wants('systemd-networkd'),
    '/etc/systemd/network/10-dmz.network': routed(other, '10.0.0.0/8'),
    '/etc/systemd/network/10-lan.network': routed(mac, '0.0.0.0/0'),
  });
  expect([way, Object.keys(files).length]).toEqual(['systemd-networkd', 1]);
  const profile = (mac: string) => `[ethernet]\nmac-address=${mac}\n[ipv4]\nroute1=10.0.0.0/8,192.0.2.1\n`;
  const manager = await planned({
    ...wants('NetworkManager'),
    '/etc/NetworkManager/system-connections/dmz.nmconnection': profile(other.toUpperCase()),
  });
  expect(Object.keys(manager.files)).toHaveLength(1);
});

test.each([
  [
    'a bridge over the card',
    { '/etc/network/interfaces': 'iface ens3 inet manual\niface br0 inet dhcp\n  bridge_ports ens3\n' },
    'bridge_ports ens3',
  ],
  [
    'commands in a stanza',
    { '/etc/network/interfaces': 'iface ens3 inet dhcp\n  post-up ip route add 10.0.0.0/8 via 10.1.1.1\n' },
    'post-up',
  ],
  [
    'names that cannot be told apart',
    { '/etc/network/interfaces': 'iface ens3 inet dhcp\niface ens4 inet dhcp\n' },
    'cannot be told',
  ],
  [
    'two ways at once',
    {
      '/etc/network/interfaces': 'iface ens3 inet dhcp\n',
      '/etc/netplan/a.yaml': 'network: { ethernets: { ens3: {} } }\n',
    },
    '/etc/netplan/a.yaml',
  ],
  [
    'a route of its own',
    { '/etc/netplan/a.yaml': 'network: { ethernets: { ens3: { routes: [{ to: 10.0.0.0/8, via: 10.1.1.1 }] } } }\n' },
    'a route to 10.0.0.0/8',
  ],
  [
    'a bond of netplan',
    { '/etc/netplan/a.yaml': 'network: { ethernets: { ens3: {} }, bonds: { bond0: { interfaces: [ens3] } } }\n' },
    'bond0',
  ],
  ['text that is no YAML', { '/etc/netplan/a.yaml': 'network: {{{\n' }, '/etc/netplan/a.yaml'],
  [
    'a bridge of networkd',
    { ...wants('systemd-networkd'), '/etc/systemd/network/10-a.network': '[Network]\nBridge=br0\n' },
    'Bridge=br0',
  ],
  ['a slave of ifcfg', { '/etc/sysconfig/network-scripts/ifcfg-ens3': 'DEVICE=ens3\nMASTER=bond0\n' }, 'MASTER=bond0'],
  [
    'a route of networkd',
    {
      ...wants('systemd-networkd'),
      '/etc/systemd/network/10-a.network':
        '[Match]\nName=ens3\n[Network]\nDHCP=yes\n[Route]\nDestination=10.0.0.0/8\nGateway=10.1.1.1\n',
    },
    'Destination=10.0.0.0/8',
  ],
  [
    'a route of NetworkManager',
    {
      ...wants('NetworkManager'),
      '/etc/NetworkManager/system-connections/lan.nmconnection': '[ipv4]\nmethod=auto\nroute1=10.0.0.0/8,10.1.1.1\n',
    },
    'route1=10.0.0.0/8,10.1.1.1',
  ],
  [
    'a route of ifcfg',
    {
      '/etc/sysconfig/network-scripts/ifcfg-ens3': 'DEVICE=ens3\nBOOTPROTO=dhcp\n',
      '/etc/sysconfig/network-scripts/route-ens3': '10.0.0.0/8 via 10.1.1.1\n',
    },
    '/etc/sysconfig/network-scripts/route-ens3',
  ],
  ['nothing that is known', { '/etc/hostname': 'x\n' }, 'none of netplan'],
])('what is not understood is refused before anything is written: %s', async (_what, texts, words) => {
  const error = await refusal(texts as unknown as Record<string, string>);
  expect(error.family).toBe('PermanentError');
  expect(error.message).toContain(words);
  expect(error.facts.remedy).toBeTruthy();
});
