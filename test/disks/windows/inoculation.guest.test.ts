import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InoculationReport, RegistryReport } from '../../../disks/contract';
import { editorAsARun, twice } from '../editor-as-a-run';
import { startGuestfish, type Guestfish } from '../../../disks/guestfish';
import type { GuestVolume } from '../../../disks/linux/device-names';
import { findWindows } from '../../../disks/windows/find-windows';
import { inoculateWindows } from '../../../disks/windows/inoculate';
import { volumeRecordPlace } from '../../../disks/windows/ntfs-record';
import { inoculateIfWindows } from '../../../disks/windows/on-disks';
import { updateWindowsRegistry } from '../../../disks/windows/update-registry';
import { hardwareProfiles } from '../../../model/server';
import { exportKey, setSequences } from './hive-file';
import {
  fillVolume,
  identityOf,
  makeDriverFolder,
  makeHives,
  partition,
  windows2008R2,
  windows2022,
  windowsBytes,
  windowsOffset,
  type WindowsKind,
} from './windows-disk';

jest.setTimeout(600_000);

const profiles = ['kvm-virtio', 'vmware-pvscsi', 'vmware-lsisas'];
let folder: string;
let guest: Guestfish;
const drivers = () => join(folder, 'drivers');
/** Volumes of the hostile disk, from 1. */
const hostile = { cut: 1, empty: 2, linked: 3, hibernated: 4, logs: 5, escapes: 6, dirty: 7, used: 8 };
const names = Object.keys(hostile) as (keyof typeof hostile)[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'muster-windows-'));
  makeDriverFolder(drivers());
  for (const [name, kind] of kinds) {
    partition(join(folder, `${name}.raw`), kind);
    makeHives(join(folder, name), kind);
  }
  makeHives(join(folder, 'escapes'), windows2022, { productName: 'Windows \u001b[31m<script>' });
  const disk = join(folder, 'hostile.raw');
  execFileSync('truncate', ['-s', '140M', disk]);
  execFileSync('sfdisk', ['-q', disk], { input: `label: gpt\n${names.map(() => 'size=16M\n').join('')}` });
  await startAppliance();
  await fillVolume(guest, '/dev/sda3', windows2022, join(folder, 'gpt'));
  await fillVolume(guest, '/dev/sdb2', windows2008R2, join(folder, 'mbr'));
  for (const name of names) await fillHostile(name);
});

async function startAppliance(): Promise<void> {
  guest = startGuestfish({ temporaryFolder: folder });
  for (const name of ['gpt', 'mbr', 'hostile'])
    await guest.ask('add-drive', [join(folder, `${name}.raw`), 'format:raw']);
  await guest.ask('run', [], 300_000);
}

/** An appliance that hangs, as an emulated one was seen to, is ended by Muster; the run's next attempt has another. */
async function asARun<T>(attempt: () => Promise<T>): Promise<{ result: T; attempts: number }> {
  let attempts = 0;
  const counted = () => {
    attempts += 1;
    return attempt();
  };
  const another = () => guest.kill().then(startAppliance);
  return { result: await twice(counted, another), attempts };
}

afterAll(async () => {
  await guest.kill();
  rmSync(folder, { recursive: true, force: true });
});

const kinds: [string, WindowsKind][] = [
  ['gpt', windows2022],
  ['mbr', windows2008R2],
];
const volumeOf = (device: string): GuestVolume => ({
  ...{ disk: device.charCodeAt(7) - 97, partition: Number(device.slice(8)), device, type: 'ntfs', uuid: '' },
});
const volumes = { gpt: volumeOf('/dev/sda3'), mbr: volumeOf('/dev/sdb2') };

/** A volume that is right but for one thing. */
async function fillHostile(name: keyof typeof hostile): Promise<void> {
  const device = `/dev/sdc${hostile[name]}`;
  const hives = join(folder, `hives-${name}`);
  mkdirSync(hives);
  const source = name === 'escapes' ? 'escapes' : 'gpt';
  for (const hive of ['SYSTEM', 'SOFTWARE']) writeFileSync(join(hives, hive), readFileSync(join(folder, source, hive)));
  if (name === 'cut') truncateSync(join(hives, 'SYSTEM'), 5000);
  if (name === 'empty') writeFileSync(join(hives, 'SOFTWARE'), '');
  if (name === 'logs') writeFileSync(join(hives, 'SYSTEM'), setSequences(readFileSync(join(hives, 'SYSTEM')), 8, 7));
  await fillVolume(guest, device, windows2022, hives);
  if (name === 'dirty') return setDirty(device);
  await guest.ask('mount', [device, '/']);
  if (name === 'hibernated') await guest.ask('write', ['/hiberfil.sys', `hibr${'x'.repeat(5000)}`]);
  if (name === 'used') await guest.ask('write', ['/HiberFil.SYS', 'wake']);
  if (name === 'linked') {
    await guest.ask('mv', ['/WINDOWS', '/elsewhere']);
    await guest.ask('ln-s', ['/elsewhere', '/WINDOWS']);
  }
  await guest.ask('umount-all');
}

async function setDirty(device: string): Promise<void> {
  const boot = await guest.bytes('pread-device', [device, '512', '0']);
  const mirror = Number(boot.readBigUInt64LE(0x38)) * boot.readUInt16LE(0x0b) * boot.readUInt8(0x0d);
  const place = volumeRecordPlace(boot)!;
  for (const from of [place.offsetBytes, mirror + 3 * place.lengthBytes]) {
    const record = await guest.bytes('pread-device', [device, String(place.lengthBytes), String(from)]);
    const at = record.indexOf(Buffer.from([0x70, 0, 0, 0]));
    await guest.ask('pwrite-device', [device, '\u0001', String(from + at + record.readUInt16LE(at + 20) + 10)]);
  }
}

let counter = 0;
async function request(volume: GuestVolume, profile: string, driverFolder: string | null = drivers()) {
  const { system } = await findWindows(guest, [volume]);
  if (system === null) throw new Error(`no Windows on ${volume.device}`);
  return {
    ...{ guest, system, driverFolder, hardware: hardwareProfiles[profile]!, volumes: Object.values(volumes) },
    ...{ scratch: join(folder, `scratch-${counter++}`), stage: () => undefined },
  };
}

async function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'nothing failed',
    (error: Error) => `${error.name}: ${error.message}`,
  );
}

test('other addresses for its cards are refused before anything is written, with two ways that remain', async () => {
  const { system: _system, ...asked } = await request(volumes.gpt, 'kvm-virtio');
  const addresses = [{ macAddress: '52:54:00:12:34:56', ip: '10.8.0.12/24', gateway: null, dns: [] }];
  const said = await failure(inoculateIfWindows(asked, [volumes.gpt], addresses));
  expect(said).toMatch(/^OperatorError: the cards of a Windows cannot be given other addresses/);
  expect(said).toMatch(/by a script in the guest after power-on, or let DHCP/);
});

test('a registry is not told of a driver whose files are not on the disk', async () => {
  const said = await failure(updateWindowsRegistry(await request(volumes.gpt, 'kvm-virtio')));
  expect(said).toMatch(/^OperatorError: the registry would name a driver whose files are not on the disk/);
  expect(said).toContain('--from inoculate');
});

test.each([
  [null, 'no driver folder at this site'],
  ['/nowhere', 'in /nowhere: no folder viostor'],
])('with the driver folder %s the driver, the Windows and the way out are named', async (driverFolder, found) => {
  const said = await failure(inoculateWindows(await request(volumes.gpt, 'kvm-virtio', driverFolder)));
  expect(said).toContain(found);
  expect(said).toContain('no driver viostor for Windows Server 2022 Standard (10.0 build 20348), amd64');
});

const reports: Record<string, { files: InoculationReport; registry: RegistryReport }> = {};

test.each(kinds.flatMap(([name]) => profiles.map((profile) => [name, profile] as const)))(
  'a Windows on %s is inoculated for %s',
  async (name, profile) => {
    const volume = volumes[name as 'gpt' | 'mbr'];
    const { result: files, attempts } = await asARun(async () => inoculateWindows(await request(volume, profile)));
    const { result: registry } = await asARun(async () => updateWindowsRegistry(await request(volume, profile)));
    reports[`${name} ${profile}`] = { files, registry };
    expect(registry.controlSets).toEqual(['ControlSet001', 'ControlSet002']);
    expect(registry.changes).not.toEqual([]);
    const told = files.warnings?.join() ?? '';
    expect(told.includes(String.raw`C:\WINDOWS\Drivers\Muster\viostor.inf`)).toBe(profile === 'kvm-virtio');
    if (profile !== 'vmware-lsisas' && attempts === 1) expect(files.changes).not.toEqual([]);
  },
);

test.each(kinds)('doing it again on %s changes nothing', async (name) => {
  const volume = volumes[name as 'gpt' | 'mbr'];
  expect((await inoculateWindows(await request(volume, 'kvm-virtio'))).changes).toEqual([]);
  expect((await updateWindowsRegistry(await request(volume, 'kvm-virtio'))).changes).toEqual([]);
});

test('a hive that a lost attempt left half written is put back from the old one beside it', async () => {
  const asked = await request(volumes.gpt, 'kvm-virtio');
  await guest.ask('mount', [volumes.gpt.device, '/']);
  const sha256 = await guest.ask('checksum', ['sha256', asked.system.systemHive]);
  await guest.ask('cp', [asked.system.systemHive, `${asked.system.systemHive}.muster-old`]);
  await guest.ask('truncate-size', [asked.system.systemHive, '5000']);
  await guest.ask('umount-all');
  expect((await updateWindowsRegistry(asked)).changes).toEqual([]);
  await guest.ask('mount-ro', [volumes.gpt.device, '/']);
  expect(await guest.ask('checksum', ['sha256', asked.system.systemHive])).toBe(sha256);
  expect(await guest.ask('ls', ['/WINDOWS/system32/config'])).not.toContain('muster');
  await guest.ask('umount-all');
});

test('drive letters are compared with the disks, and what is on none of them is told of', () => {
  expect(reports['gpt kvm-virtio']!.registry.verified).toContain('drive C: is disk0, partition 3');
  expect(reports['mbr kvm-virtio']!.registry.verified).toContain('drive C: is disk1, partition 2');
  expect(reports['mbr kvm-virtio']!.registry.warnings).toContainEqual(expect.stringMatching(/^drive E: names a part/));
});

test.each<[keyof typeof hostile, RegExp]>([
  ['cut', /^OperatorError: the registry file \/WINDOWS\/system32\/config\/SYSTEM cannot be read: found 5000 bytes of/],
  ['empty', /^OperatorError: the registry file .*software cannot be read: found a file of 0 bytes/],
  ['linked', /^Error: no Windows on/],
  ['hibernated', /^OperatorError: the Windows on disk2, partition 4 is hibernated .* hiberfil\.sys begins with hibr/],
  ['logs', /^OperatorError: .*SYSTEM is not complete by itself: found sequence numbers 8 and 7/],
  ['escapes', /^OperatorError: there is no driver viostor for Windows \?\[31m<script> \(10\.0/],
  ['dirty', /^OperatorError: the Windows volume on disk2, partition 7 was not let go cleanly: found the mark/],
  ['used', /^OperatorError: there is no driver viostor for Windows Server 2022/],
])('a volume that is "%s" ends in words for a person', async (name, words) => {
  const work = async () => {
    const driverFolder = name === 'escapes' || name === 'used' ? null : drivers();
    const asked = await request(volumeOf(`/dev/sdc${hostile[name]}`), 'kvm-virtio', driverFolder);
    return inoculateWindows(asked);
  };
  expect(await failure(work())).toMatch(words);
});

test('two Windows on the disks, and an encrypted one, are refused', async () => {
  expect(await failure(findWindows(guest, Object.values(volumes)))).toMatch(
    /^OperatorError: more than one Windows was found on the disks: found disk0, partition 3; disk1, partition 2/,
  );
  const locked = { ...volumes.gpt, type: 'BitLocker' };
  expect((await findWindows(guest, [locked])).obstacle?.message).toMatch(/is encrypted: found BitLocker/);
});

/** The Windows volume, cut out of the disk; nothing of Muster's reads it. */
function cutOut(name: string): string {
  const volume = join(folder, `${name}-volume.raw`);
  execFileSync('dd', [
    ...[`if=${join(folder, `${name}.raw`)}`, `of=${volume}`, 'bs=1M', 'status=none'],
    ...[`skip=${windowsOffset / 1024 / 1024}`, `count=${windowsBytes / 1024 / 1024}`],
  ]);
  return volume;
}

const ntfsFile = (volume: string, path: string) =>
  execFileSync('ntfscat', ['-f', volume, path], { maxBuffer: 64 * 1024 * 1024, stdio: ['ignore', 'pipe', 'ignore'] });

function hiveOf(volume: string, name: string): string {
  const path = `${volume}.${name}`;
  writeFileSync(path, ntfsFile(volume, `/WINDOWS/system32/config/${name}`));
  return path;
}

test('other tools read what was written: ntfsinfo, ntfscat, reglookup, chntpw and hivexregedit', async () => {
  await guest.close();
  for (const [name, kind] of kinds) {
    const volume = cutOut(name);
    expect(execFileSync('ntfsinfo', ['-m', volume], { encoding: 'utf8' })).toMatch(/Volume Flags: 0x0000/);
    const release = kind === windows2022 ? '2k22' : '2k8R2';
    const program = ntfsFile(volume, '/WINDOWS/system32/Drivers/viostor.sys');
    expect(program.equals(readFileSync(join(drivers(), `viostor/${release}/amd64/viostor.sys`)))).toBe(true);
    for (const file of ['viostor.inf', 'viostor.cat', 'netkvm.inf', 'netkvm.sys', 'pvscsi.inf', 'vmxnet3ndis6.inf']) {
      expect(ntfsFile(volume, `/WINDOWS/Drivers/Muster/${file}`).length).toBeGreaterThan(0);
    }
    const system = hiveOf(volume, 'SYSTEM');
    for (const set of ['ControlSet001', 'ControlSet002']) {
      for (const service of ['viostor', 'pvscsi', 'LSI_SAS']) {
        const read = execFileSync('reglookup', ['-p', `/${set}/Services/${service}`, system], { encoding: 'utf8' });
        expect(read).toContain(`/${set}/Services/${service}/Start,DWORD,0x00000000`);
        expect(read).not.toContain('StartOverride');
      }
    }
    const typed = execFileSync('chntpw', ['-e', system], {
      ...{ input: 'cat \\ControlSet001\\Services\\viostor\\ImagePath\nq\nn\n', encoding: 'utf8' as const },
    });
    expect(typed).toContain(String.raw`system32\drivers\viostor.sys`);
    const critical = exportKey(system, String.raw`\ControlSet001\Control`);
    const database = kind.database ? exportKey(system, String.raw`\DriverDatabase`) : '';
    if (kind.database) {
      expect(database).toContain(
        String.raw`DeviceIds\PCI\VEN_1AF4&DEV_1001]` + '\n"muster-viostor.inf"=hex(3):02,ff,00,00',
      );
      expect(database).toContain('"Active"=str(1):"muster-viostor.inf_amd64_0000000000000000"');
      expect(database).toContain('"Service"=str(1):"pvscsi"');
    } else {
      expect(critical).toContain(String.raw`CriticalDeviceDatabase\pci#ven_1af4&dev_1001]`);
      expect(critical).toContain('"Service"=str(1):"LSI_SAS"');
    }
    const letters = exportKey(system, String.raw`\MountedDevices`).toLowerCase();
    expect(letters).toContain([...identityOf(kind)].map((byte) => byte.toString(16).padStart(2, '0')).join(','));
    const path = exportKey(hiveOf(volume, 'software'), String.raw`\Microsoft\Windows\CurrentVersion`);
    expect(path).toContain(String.raw`"DevicePath"=str(2):"%SystemRoot%\inf;%SystemRoot%\Drivers\Muster"`);
  }
});

test('the whole toolkit finds the Windows beside a data disk, and a second time changes no byte of either', async () => {
  const data = join(folder, 'data.raw');
  execFileSync('truncate', ['-s', '24M', data]);
  execFileSync('mkntfs', ['-q', '-F', '-Q', data], { stdio: 'ignore' });
  const paths = [join(folder, 'gpt.raw'), data];
  const disks = paths.map((path, index) => ({
    ...{ diskId: `disk${index}`, index, pointId: 'p1', path, format: 'raw' as const, editUri: `file:${path}` },
    ...{ virtualSizeBytes: statSync(path).size, signatures: [] },
  }));
  const digests = () => paths.map((path) => execFileSync('sha256sum', [path], { encoding: 'utf8' }));
  const before = digests();
  const editor = editorAsARun({ scratchFolder: join(folder, 'scratch'), driverFolder: drivers() });
  const hardware = hardwareProfiles['kvm-virtio']!;
  const files = await editor.inoculate(disks, hardware);
  expect(files).toMatchObject({ inoculator: 'windows-drivers', changes: [] });
  expect(files.operatingSystem).toBe('Windows Server 2022 Standard (10.0 build 20348)');
  const registry = await editor.updateRegistry(disks, hardware);
  expect(registry.changes).toEqual([]);
  expect(registry.verified).toContain(String.raw`in place: ControlSet001\Services\viostor: Start = 0`);
  expect(digests()).toEqual(before);
});
