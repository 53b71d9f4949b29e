import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { editorAsARun } from './editor-as-a-run';
import type { InoculationReport, KeptPreparation, PrepareResult } from '../../disks/contract';
import type { TakenDisk } from '../../model/replica';
import { hardwareProfiles, virtualProfiles } from '../../model/server';
import { demoGuest, type DemoGuest } from '../../tools/demo-guest/build.mjs';

jest.setTimeout(900_000);

const hardware = hardwareProfiles['vmware-pvscsi']!;
const nics = [{ index: 0, macAddress: '52:54:00:12:34:56', model: 'e1000', network: 'prod' } as const];
const preparedAt = '2026-01-01T00:00:00.000Z';
let folder: string;
let guest: DemoGuest;
let results: PrepareResult[];
let usual: TakenDisk;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'muster-prepared-'));
  guest = await demoGuest();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function newDisk(name: string): TakenDisk {
  const path = join(folder, `${name}.qcow2`);
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', guest.imagePath, '-F', 'qcow2', path]);
  return {
    ...{ diskId: 'disk0', index: 0, pointId: 'p1', virtualSizeBytes: guest.sizeBytes, signatures: [] },
    ...{ path, format: 'qcow2', editUri: `file:${path}` },
  };
}

const editor = () => editorAsARun({ scratchFolder: join(folder, 'scratch') });
const inoculate = (disk: TakenDisk, prepared?: KeptPreparation): Promise<InoculationReport> =>
  editor().inoculate([disk], hardware, { nics, ...(prepared === undefined ? {} : { prepared }) });

function kept(): KeptPreparation {
  const result = results.find(({ hardwareId }) => hardwareId === hardware.id)!;
  if (!('prepared' in result)) throw new Error(JSON.stringify(result));
  return { ...(JSON.parse(JSON.stringify(result.prepared)) as typeof result.prepared), preparedAt };
}

/** Files of the guest, read with e2fsprogs on a raw copy of the disk. */
function filesOnDisk(disk: TakenDisk, paths: readonly string[]): string[] {
  const raw = join(folder, 'independent.raw');
  execFileSync('qemu-img', ['convert', '-O', 'raw', disk.path, raw]);
  return paths.map((path) => {
    const out = join(folder, 'independent.file');
    rmSync(out, { force: true });
    const about = execFileSync('debugfs', ['-R', `stat ${path}`, `${raw}?offset=1048576`], {
      stdio: 'pipe',
    }).toString();
    execFileSync('debugfs', ['-R', `dump ${path} ${out}`, `${raw}?offset=1048576`], { stdio: 'ignore' });
    const owner = /User:\s+\d+\s+Group:\s+\d+/.exec(about)?.[0] ?? '';
    return `${owner} ${/Mode:\s+\d+/.exec(about)?.[0]} ${readFileSync(out).toString('base64')}`;
  });
}

/** Changes one file of the guest on its disk, without anything of Muster's. */
function changeOnDisk(disk: TakenDisk, path: string, text: string): void {
  const raw = join(folder, 'changed.raw');
  const file = join(folder, 'changed.file');
  writeFileSync(file, text);
  execFileSync('qemu-img', ['convert', '-O', 'raw', disk.path, raw]);
  for (const command of [`rm ${path}`, `write ${file} ${path}`]) {
    execFileSync('debugfs', ['-w', '-R', command, `${raw}?offset=1048576`], { stdio: 'ignore' });
  }
  execFileSync('qemu-img', ['convert', '-O', 'qcow2', raw, disk.path]);
}

test('inoculation is prepared for every profile of a hypervisor, and nothing is written to the disk', async () => {
  const disk = newDisk('ground');
  const files = join(folder, 'kept');
  mkdirSync(files);
  const profiles = virtualProfiles.map((id) => hardwareProfiles[id]!);
  results = await editor().prepareInoculation([disk], profiles, { folder: files, nics });
  expect(results.map(({ hardwareId }) => hardwareId)).toEqual(virtualProfiles);
  expect(results.every((result) => 'prepared' in result)).toBe(true);
  const archive = join(files, kept().files[0]!.name);
  expect(statSync(archive).size).toBeGreaterThan(100_000);
  expect(execFileSync('qemu-img', ['compare', guest.imagePath, disk.path]).toString()).toContain('identical');
});

test('what was prepared is used, and leaves the files that an inoculation without it leaves', async () => {
  const quick = newDisk('quick');
  usual = newDisk('usual');
  const report = await inoculate(quick, kept());
  const { prepared, ...rest } = await inoculate(usual);
  expect(prepared).toEqual({ used: false, because: 'nothing was prepared', preparedAt: null });
  expect(report).toEqual({
    ...rest,
    prepared: { used: true, because: 'the disks hold what it was made from', preparedAt },
  });
  const paths = [
    `/boot/initrd.img-${guest.kernelRelease}`,
    '/etc/fstab',
    '/etc/initramfs-tools/modules',
    '/etc/systemd/network/10-muster-enp1s0.link',
  ];
  const before = filesOnDisk(newDisk('untouched'), paths.slice(0, 3));
  const after = filesOnDisk(quick, paths);
  expect(after).toEqual(filesOnDisk(usual, paths));
  before.forEach((file, index) => expect(after[index]).not.toBe(file));
});

test('what does not fit any more is not used, and the report names the path', async () => {
  const disk = newDisk('changed');
  changeOnDisk(disk, '/etc/fstab', '/dev/sda1 / ext4 defaults 0 1\n');
  const report = await inoculate(disk, kept());
  expect(report.prepared).toEqual({ used: false, because: '/etc/fstab has changed since', preparedAt });
  expect(report.kernels[0]).toMatchObject({ how: 'archive-appended' });
  expect(Buffer.from(filesOnDisk(disk, ['/etc/fstab'])[0]!.split(' ').at(-1)!, 'base64').toString()).toMatch(/^UUID=/);
});
