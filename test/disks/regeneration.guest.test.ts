/**
 * A guest whose initramfs nothing can be put behind, because its compression is not read here: update-initramfs builds
 * another one in the appliance, and the guest starts from it.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { editorAsARun } from './editor-as-a-run';
import type { InoculationReport } from '../../disks/contract';
import { hardwareProfiles } from '../../model/server';
import { demoGuest, type DemoGuest } from '../../tools/demo-guest/build.mjs';
import { startVmwareLike, type GuestMachine } from './guest-machine';
import * as make from './zoo/layouts';

jest.setTimeout(1_800_000);

const hardware = hardwareProfiles['vmware-pvscsi']!;
const nics = [{ index: 0, macAddress: '52:54:00:12:34:56', model: 'e1000', network: 'prod' } as const];
const neededModules = ['vmw_pvscsi', 'vmxnet3', 'ahci', 'sd_mod', 'ext4', 'virtio_pci', 'virtio_console', 'autofs4'];
const ownSettings = 'COMPRESS=lzma\nCOMPRESSLEVEL=1\n';
let folder: string;
let guest: DemoGuest;
let initramfs: string;
let machine: GuestMachine | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'muster-regeneration-'));
  guest = await demoGuest();
  initramfs = `/boot/initrd.img-${guest.kernelRelease}`;
  compressWithLzma(at('lzma.raw'));
});
afterAll(async () => {
  await machine?.kill();
  rmSync(folder, { recursive: true, force: true });
});

const at = (name: string) => join(folder, name);
const editor = () => editorAsARun({ scratchFolder: at('scratch') });
const inoculate = (path: string) => editor().inoculate([make.asDisk(path, 0, 'qcow2')], hardware, { nics });

/** The demo guest as COMPRESS=lzma makes it; Linux unpacks that, Muster does not. Its partition begins at 1 MiB. */
function compressWithLzma(raw: string): void {
  make.quietly('qemu-img', ['convert', '-O', 'raw', guest.imagePath, raw]);
  const archive = make.quietly('zstd', ['-dc'], make.readExt4(raw, initramfs, 1, folder));
  writeFileSync(at('initramfs'), make.quietly('xz', ['--format=lzma', '-1', '-c'], archive));
  writeFileSync(at('settings'), ownSettings);
  const commands = [
    `rm ${initramfs}`,
    `write ${at('initramfs')} ${initramfs}`,
    `write ${at('settings')} /etc/initramfs-tools/conf.d/compression`,
    // xz by that name works as lzma.
    'write /usr/bin/xz /usr/bin/lzma',
    'set_inode_field /usr/bin/lzma mode 0100755',
  ];
  debugfs(raw, [...commands, ...thinModules(raw)]);
}

function debugfs(raw: string, commands: readonly string[]): void {
  writeFileSync(at('commands'), `${commands.join('\n')}\n`);
  make.quietly('debugfs', ['-w', '-f', at('commands'), `${raw}?offset=${make.MiB}`]);
}

/** Commands that leave the kernel the modules that this test needs: all of them would take minutes to be packed. */
function thinModules(raw: string): string[] {
  const inside = `/usr/lib/modules/${guest.kernelRelease}`;
  const outside = at(`modules/usr/lib/modules/${guest.kernelRelease}`);
  mkdirSync(dirname(outside), { recursive: true });
  make.quietly('debugfs', ['-R', `rdump ${inside} ${dirname(outside)}`, `${raw}?offset=${make.MiB}`]);
  symlinkSync('usr/lib', at('modules/lib'));
  const show = ['-d', at('modules'), '-S', guest.kernelRelease, '-a', '--show-depends', '--ignore-install'];
  const shown = make.quietly('modprobe', [...show, ...neededModules]).toString();
  const kept = new Set([...shown.matchAll(/(\/kernel\/\S+\.ko)/g)].map(([, path]) => path!));
  const found = execFileSync('find', ['.', '-name', '*.ko'], { cwd: outside, encoding: 'utf8' });
  const others = found
    .split('\n')
    .map((path) => path.replace(/^\./, ''))
    .filter((path) => path !== '' && !kept.has(path));
  for (const path of others) rmSync(join(outside, path));
  make.quietly('depmod', ['-b', at('modules'), guest.kernelRelease]);
  const index = readdirSync(outside).filter((name) => /^modules\.(dep|alias|symbols|softdep|devname)/.test(name));
  return [
    ...others.map((path) => `rm ${inside}${path}`),
    ...index.flatMap((name) => [`rm ${inside}/${name}`, `write ${join(outside, name)} ${inside}/${name}`]),
  ];
}

function overlayOn(backing: string, format: 'raw' | 'qcow2', name: string): string {
  make.quietly('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', at(backing), '-F', format, at(name)]);
  return at(name);
}

test('update-initramfs builds an initramfs with the drivers in the appliance', async () => {
  const stages: string[] = [];
  const report: InoculationReport = await editor().inoculate(
    [make.asDisk(overlayOn('lzma.raw', 'raw', 'run'), 0, 'qcow2')],
    hardware,
    { nics, onProgress: ({ label }) => void stages.push(label) },
  );
  expect(stages).toContain(`regenerating the initramfs of kernel ${guest.kernelRelease}`);
  expect(report).toMatchObject({ inoculator: 'initramfs-tools', warnings: [] });
  expect(report.kernels).toEqual([expect.objectContaining({ release: guest.kernelRelease, how: 'regenerated' })]);
  expect(report.verified).toContainEqual(expect.stringMatching(/initrd\.img-\S+ holds .*\bvmw_pvscsi\b/));
});

test('other tools find the drivers in it, and the settings of the guest as they were', () => {
  machine = startVmwareLike(overlayOn('run', 'qcow2', 'boot'), folder);
  make.quietly('qemu-img', ['convert', '-O', 'raw', at('run'), at('read.raw')]);
  const read = (path: string) => make.readExt4(at('read.raw'), path, 1, folder);
  writeFileSync(at('rebuilt'), read(initramfs));
  const names = execFileSync('lsinitramfs', [at('rebuilt')], { encoding: 'utf8' });
  expect(names).toMatch(/\/kernel\/drivers\/scsi\/vmw_pvscsi\.ko$/m);
  expect(names).toMatch(/\/kernel\/drivers\/net\/vmxnet3\/vmxnet3\.ko$/m);
  expect(read('/etc/initramfs-tools/conf.d/compression').toString()).toBe(ownSettings);
  expect(read('/etc/initramfs-tools/conf.d/driver-policy').toString()).toBe('MODULES=dep\n');
  expect(read('/etc/initramfs-tools/modules').toString()).toMatch(/^vmw_pvscsi$/m);
  const listed = make.quietly('debugfs', [
    ...['-R', 'ls -p /etc/initramfs-tools/conf.d'],
    `${at('read.raw')}?offset=${make.MiB}`,
  ]);
  expect(listed.toString()).not.toContain('muster');
  rmSync(at('read.raw'));
});

test('a second inoculation changes no byte of the disk', async () => {
  const report = await inoculate(overlayOn('run', 'qcow2', 'again'));
  expect(report.kernels.map(({ how }) => how)).toEqual(['already-fit']);
  expect(report.changes).toEqual([]);
  expect(make.quietly('qemu-img', ['compare', at('run'), at('again')]).toString()).toContain('Images are identical');
});

test('it cannot be prepared, and that is said with the reason', async () => {
  mkdirSync(at('prepared'));
  const disk = make.asDisk(overlayOn('lzma.raw', 'raw', 'ground'), 0, 'qcow2');
  const [result] = await editor().prepareInoculation([disk], [hardware], { folder: at('prepared'), nics });
  const because = `^its initramfs must be rebuilt \\(kernel ${guest.kernelRelease}: its initramfs cannot be read: .+\\)$`;
  expect(result).toEqual({ hardwareId: hardware.id, because: expect.stringMatching(because) as string });
});

test('it starts from the new initramfs on pvscsi and vmxnet3', async () => {
  await machine!.until('the guest agent', () => machine!.agent('guest-ping'), 900_000);
  // Where startVmwareLike puts its pvscsi.
  expect(await machine!.run('/usr/bin/readlink', ['-f', '/sys/block/sda'])).toContain('/0000:00:10.0/');
  expect(await machine!.run('/usr/bin/readlink', ['/sys/class/net/enp1s0/device/driver'])).toContain('vmxnet3');
});
