import { hardwareProfiles, type NicSpec } from '../../model/server';
import { namesAtRisk, planNicNames, rewriteDriverMatch } from '../../disks/linux/nic-names';

const hardware = hardwareProfiles['vmware-pvscsi']!;
const nic = (index: number): NicSpec => ({
  index,
  macAddress: `52:54:00:00:00:0${index}`,
  model: 'e1000',
  network: 'prod',
});
const names = (files: Record<string, string>) => namesAtRisk(new Map(Object.entries(files)));

test('names in ifupdown, networkd, netplan and NetworkManager are found', () => {
  expect(
    names({
      '/etc/network/interfaces':
        'auto lo enp2s0\niface enp2s0.7 inet dhcp\niface br0 inet manual\n bridge_ports enp10s0\n',
    }),
  ).toEqual(['enp2s0', 'enp10s0']);
  expect(names({ '/etc/systemd/network/a.network': '[Match]\nName=enp1s0\n' })).toEqual(['enp1s0']);
  expect(names({ '/etc/netplan/a.yaml': 'network: {ethernets: {ens3: {dhcp4: true}}}' })).toEqual(['ens3']);
  expect(
    names({ '/etc/NetworkManager/system-connections/a.nmconnection': '[connection]\ninterface-name=ens4\n' }),
  ).toEqual(['ens4']);
});

test('names that are matched by MAC, by pattern, or given in bus order survive', () => {
  expect(
    names({
      '/etc/netplan/a.yaml': 'network: {ethernets: {ens3: {match: {macaddress: "52:54:00:00:00:00"}, set-name: ens3}}}',
    }),
  ).toEqual([]);
  expect(names({ '/etc/systemd/network/a.network': '[Match]\nName=en*\n' })).toEqual([]);
  expect(names({ '/etc/network/interfaces': 'iface eth0 inet dhcp\n' })).toEqual([]);
  expect(
    names({
      '/etc/network/interfaces': 'iface enp2s0 inet dhcp\n',
      '/etc/udev/rules.d/70-persistent-net.rules':
        'SUBSYSTEM=="net", ATTR{address}=="52:54:00:00:00:00", NAME="enp2s0"\n',
    }),
  ).toEqual([]);
});

test('a file that is no YAML, or hostile YAML, configures nothing', () => {
  expect(names({ '/etc/netplan/a.yaml': '{{{' })).toEqual([]);
  expect(names({ '/etc/netplan/a.yaml': 'network: {ethernets: {"en$(id)": {}, "../../x": {}}}' })).toEqual([]);
  expect(names({ '/etc/netplan/a.yaml': 'network: 7' })).toEqual([]);
});

test('what an earlier inoculation wrote does not count as given', () => {
  expect(
    names({
      '/etc/network/interfaces': 'iface enp2s0 inet dhcp\n',
      '/etc/systemd/network/10-muster-enp2s0.link': '[Match]\nMACAddress=52:54:00:00:00:00\n[Link]\nName=enp2s0\n',
    }),
  ).toEqual(['enp2s0']);
});

test('each name goes to the card of its place, by MAC', () => {
  const plan = planNicNames(['enp1s0', 'enp2s0'], hardware, [nic(1), nic(0)]);
  expect([...plan.links.keys()]).toEqual([
    '/etc/systemd/network/10-muster-enp1s0.link',
    '/etc/systemd/network/10-muster-enp2s0.link',
  ]);
  expect([...plan.links.values()][0]).toMatch(/\[Match\]\nMACAddress=52:54:00:00:00:00\n\n\[Link\]\nName=enp1s0\n$/);
});

test('without MAC addresses one name goes to the card with the new driver, and several are left alone with a warning', () => {
  expect([...planNicNames(['enp1s0'], hardware).links.values()][0]).toContain('Driver=vmxnet3');
  expect(planNicNames(['enp1s0', 'enp2s0'], hardware)).toMatchObject({
    changes: [],
    warnings: [expect.stringContaining('enp1s0, enp2s0')],
  });
  expect(planNicNames(['enp1s0'], hardware, [nic(0), nic(1)]).warnings).toHaveLength(1);
});

test('matches on the old driver are bound to the new one, or to the address alone', () => {
  const yaml = 'network:\n  ethernets:\n    a:\n      match:\n        driver: e1000e\n';
  const once = rewriteDriverMatch('/etc/netplan/a.yaml', yaml, hardware);
  expect(once).toBe(yaml.replace('e1000e', 'vmxnet3'));
  expect(rewriteDriverMatch('/etc/netplan/a.yaml', once, hardware)).toBe(once);
  const rule = 'SUBSYSTEM=="net", DRIVERS=="e1000", ATTR{address}=="52:54:00:00:00:00", NAME="eth0"\n';
  const rules = '/etc/udev/rules.d/70-persistent-net.rules';
  expect(rewriteDriverMatch(rules, rule, hardware)).toBe(rule.replace('"e1000"', '"?*"'));
  expect(rewriteDriverMatch(rules, rule.replace('"e1000"', '"?*"'), hardware)).toBe(rule.replace('"e1000"', '"?*"'));
});
