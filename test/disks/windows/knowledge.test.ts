import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { findDriver } from '../../../disks/windows/driver-folder';
import { hiveProblem } from '../../../disks/windows/hive-header';
import { readInf } from '../../../disks/windows/inf';
import { judgeLetters } from '../../../disks/windows/mounted-devices';
import { isDirty, volumeRecordPlace } from '../../../disks/windows/ntfs-record';
import { binaryValue, numberValue, regeditText, textsValue, textValue } from '../../../disks/windows/registry-values';
import { driverFolderNames, readVersion, type WindowsVersion } from '../../../disks/windows/version';
import { packageVersion } from '../../../disks/windows/wanted-registry';
import { emptyHive, exportKey, makeHive, setSequences } from './hive-file';
import { infText, makeDriverFolder, putPackage } from './windows-disk';
import { readFileSync, writeFileSync } from 'node:fs';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'muster-windows-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const server2022: WindowsVersion = {
  ...{ productName: 'Windows Server 2022', major: 10, minor: 0, build: 20_348, kind: 'server', architecture: 'amd64' },
};
const facts = {
  ...{ productName: 'Windows 10 Pro', currentVersion: '6.3', majorNumber: 10, minorNumber: 0 },
  ...{ buildNumber: '19045', installationType: 'Client', processor: 'AMD64' },
};

test('the version of Windows 10 is read from its numbers, not from the 6.3 that it still claims', () => {
  expect(readVersion(facts)).toMatchObject({
    major: 10,
    minor: 0,
    build: 19_045,
    kind: 'client',
    architecture: 'amd64',
  });
  const seven = { ...facts, currentVersion: '6.1', majorNumber: null, minorNumber: null, buildNumber: '7601' };
  expect(readVersion(seven)).toMatchObject({ major: 6, minor: 1, build: 7601 });
  expect(readVersion({ ...facts, buildNumber: 'x' })).toBeNull();
  expect(readVersion({ ...facts, processor: 'MIPS' })).toBeNull();
});

test.each<[Partial<WindowsVersion>, string[]]>([
  [{}, ['2k22', '2k19', '2k16', 'w10']],
  [{ build: 14_393 }, ['2k16', 'w10']],
  [{ build: 22_631, kind: 'client' }, ['w11', 'w10', '2k22', '2k19', '2k16']],
  [{ major: 6, minor: 1, build: 7601 }, ['2k8R2', 'w7']],
  [{ major: 6, minor: 3, build: 9600, kind: 'client' }, ['w8.1', '2k12R2']],
  [{ major: 5, minor: 2 }, []],
])('%j looks for its drivers in %j', (version, names) => {
  expect(driverFolderNames({ ...server2022, ...version })).toEqual(names);
});

test('an .inf tells devices, service and files, and models of another Windows are not taken', () => {
  const text = infText({
    service: 'viostor',
    program: 'viostor.sys',
    ids: [String.raw`PCI\VEN_1AF4&DEV_1001`, String.raw`PCI\VEN_1AF4`],
  });
  const driver = readInf(Buffer.from(`\ufeff${text}`, 'utf16le'), server2022);
  expect(driver).toMatchObject({
    ...{
      service: 'viostor',
      program: 'viostor.sys',
      serviceType: 1,
      startType: 0,
      errorControl: 1,
      group: 'SCSI miniport',
    },
    ...{ configuration: 'the_inst', provider: 'Red Hat; Inc.', date: '07/22/2024', version: '100.95.104.26200' },
    hardwareIds: [
      { id: String.raw`PCI\VEN_1AF4&DEV_1001`, rank: 0 },
      { id: String.raw`PCI\VEN_1AF4`, rank: 1 },
    ],
    files: ['viostor.cat', 'viostor.sys'],
    settings: [
      { subkey: String.raw`Parameters\PnpInterface`, name: '5', value: numberValue(1) },
      { subkey: 'Parameters', name: 'BusType', value: numberValue(10) },
    ],
  });
  expect(readInf(Buffer.from(text), { ...server2022, architecture: 'x86' })).toBeNull();
});

test('no .inf, however broken, makes a driver whose names could leave their place', () => {
  const hostile = infText({ service: String.raw`..\..\Run`, program: '../../x.sys', ids: [String.raw`PCI\A`] });
  expect(readInf(Buffer.from(hostile), server2022)).toBeNull();
  fc.assert(
    fc.property(
      fc.string({
        unit: fc.constantFrom('[', ']', '=', ',', '%', '"', ';', '\\', '\n', 'a', 'Version', 'Manufacturer'),
      }),
      (text) => {
        const driver = readInf(Buffer.from(text), server2022);
        expect(driver === null || /^[A-Za-z0-9_.-]+$/.test(driver.service)).toBe(true);
      },
    ),
  );
});

test('a driver is found in the layout of virtio-win, in a flat one, and not for another processor', async () => {
  const root = join(folder, 'drivers');
  makeDriverFolder(root);
  expect(await findDriver(root, 'viostor', server2022)).toMatchObject({
    folder: join(root, 'viostor/2k22/amd64'),
    service: 'viostor',
  });
  expect(await findDriver(root, 'netkvm', server2022)).toMatchObject({ folder: join(root, 'NetKVM/2k22/amd64') });
  const flat = await findDriver(root, 'vmxnet3', server2022);
  expect(flat).toMatchObject({ service: 'vmxnet3ndis6', infName: 'vmxnet3ndis6.inf' });
  putPackage(join(root, 'other'), { service: 'other', program: 'other.sys', ids: [String.raw`PCI\X`] }, 0x14c);
  expect(await findDriver(root, 'other', server2022)).toEqual({
    because: 'other.inf: other.sys is for x86, not for amd64',
  });
  expect(await findDriver(root, 'viostor', { ...server2022, architecture: 'ARM64' })).toMatchObject({
    because: expect.stringContaining('no .inf for it in 2k22/ARM64') as string,
  });
  expect(await findDriver(root, 'absent', server2022)).toEqual({ because: 'no folder absent' });
});

test('what is written for hivexregedit is read back by reglookup and hivexregedit, with hostile names as they are', () => {
  const path = join(folder, 'SYSTEM');
  makeHive(path, '[\\ControlSet001]\n');
  const key = ['ControlSet001', 'Services', 'viostor'];
  const text = regeditText(
    [
      { kind: 'set', key, name: 'Start', value: numberValue(0) },
      { kind: 'set', key, name: '', value: textsValue(['a', 'b']) },
      { kind: 'set', key, name: 'a"b\\c', value: textValue('x" [\\y] z') },
      { kind: 'delete-key', key: [...key, 'StartOverride'] },
    ],
    (above) => above.length === 1,
  );
  execFileSync('hivexregedit', ['--merge', path], { input: text });
  const read = execFileSync('reglookup', ['-p', '/ControlSet001/Services/viostor', path], { encoding: 'utf8' });
  expect(read).toContain('/ControlSet001/Services/viostor/Start,DWORD,0x00000000');
  expect(exportKey(path, String.raw`\ControlSet001\Services\viostor`)).toContain(
    String.raw`"a\"b\\c"=str(1):"x\" [\y] z"`,
  );
});

test('a hive is refused when it is cut, empty, another file, or was not written to its end', () => {
  const hive = emptyHive();
  expect(hiveProblem(hive, hive.length)).toBeNull();
  expect(hiveProblem(hive, 6000)).toBe('6000 bytes of 8192');
  expect(hiveProblem(Buffer.alloc(0), 0)).toBe('a file of 0 bytes');
  expect(hiveProblem(Buffer.alloc(8192), 8192)).toBe('a file without the mark of a hive');
  expect(hiveProblem(setSequences(emptyHive(), 3, 2), hive.length)).toContain('sequence numbers 3 and 2');
  hive[508]! ^= 1;
  expect(hiveProblem(hive, hive.length)).toContain('checksum');
});

test('the date and number of a driver stand in its package as Windows writes them', () => {
  // vioscsi 100.85.104.20800, as a Windows Server had it after installing it.
  const bytes = packageVersion({
    ...{ classGuid: '{4d36e97b-e325-11ce-bfc1-08002be10318}', date: '08/30/2021', version: '100.85.104.20800' },
  });
  expect(bytes.toString('hex')).toBe(
    '00ff090000000000' +
      '7be9364d25e3ce11bfc108002be10318' +
      '0040c3f9319dd701' +
      '4051680055006400' +
      '0000000000000000',
  );
});

const identity = Buffer.alloc(12, 1);
const windowsVolume = { place: 'disk0, partition 2', identity };
const data = { place: 'disk1, partition 1', identity: Buffer.alloc(12, 2) };

test('drive letters that fit are left, and unknown ones are told of', () => {
  const entries = new Map([
    [String.raw`\DosDevices\C:`, binaryValue(identity)],
    [String.raw`\DosDevices\D:`, binaryValue(data.identity)],
    [String.raw`\DosDevices\E:`, binaryValue(Buffer.alloc(12, 9))],
    [String.raw`\DosDevices\F:`, binaryValue(Buffer.from(String.raw`\??\SCSI#CdRom`, 'utf16le'))],
    [String.raw`\??\Volume{1}`, binaryValue(identity)],
  ]);
  const report = judgeLetters(entries, [windowsVolume, data], windowsVolume, 'C');
  expect(report.edits).toEqual([]);
  expect(report.verified).toEqual(['drive C: is disk0, partition 2', 'drive D: is disk1, partition 1']);
  expect(report.warnings).toEqual(['drive E: names a partition that is on none of the disks; left as it is']);
});

test('the Windows volume gets its own letter back where another disk has it', () => {
  const entries = new Map([
    [String.raw`\DosDevices\C:`, binaryValue(Buffer.alloc(12, 9))],
    [String.raw`\DosDevices\D:`, binaryValue(identity)],
  ]);
  const key = ['MountedDevices'];
  expect(judgeLetters(entries, [windowsVolume], windowsVolume, 'C').edits).toEqual([
    { kind: 'delete-value', key, name: String.raw`\DosDevices\D:` },
    { kind: 'set', key, name: String.raw`\DosDevices\C:`, value: binaryValue(identity) },
  ]);
  expect(judgeLetters(new Map(), [windowsVolume], windowsVolume, 'C').edits).toEqual([]);
});

test('the mark that an NTFS volume needs a check is found where ntfsinfo finds it', () => {
  const path = join(folder, 'volume.raw');
  execFileSync('truncate', ['-s', '16M', path]);
  execFileSync('mkntfs', ['-q', '-F', '-Q', path], { stdio: 'ignore' });
  const place = volumeRecordPlace(readFileSync(path).subarray(0, 512))!;
  const record = () => readFileSync(path).subarray(place.offsetBytes, place.offsetBytes + place.lengthBytes);
  expect(isDirty(record())).toBe(false);
  const bytes = readFileSync(path);
  // In the table and in its mirror, which ntfsinfo compares.
  const clusterBytes = bytes.readUInt16LE(0x0b) * bytes.readUInt8(0x0d);
  const mirror = Number(bytes.readBigUInt64LE(0x38)) * clusterBytes + 3 * place.lengthBytes;
  for (const from of [place.offsetBytes, mirror]) {
    const at = bytes.indexOf(Buffer.from([0x70, 0, 0, 0]), from);
    bytes[at + bytes.readUInt16LE(at + 20) + 10]! |= 1;
  }
  writeFileSync(path, bytes);
  const seen = execFileSync('ntfsinfo', ['-m', '-f', path], { encoding: 'utf8' });
  expect(seen).toMatch(/Volume Flags: 0x0001/);
  expect(isDirty(record())).toBe(true);
  expect(isDirty(Buffer.alloc(1024))).toBeNull();
  expect(volumeRecordPlace(Buffer.alloc(512))).toBeNull();
});
