import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { editorAsARun } from './editor-as-a-run';
import type { TakenDisk } from '../../model/replica';
import { hardwareProfiles } from '../../model/server';
import { demoGuest, type DemoGuest } from '../../tools/demo-guest/build.mjs';
import { findVolumes, signaturesOf } from '../../disks/signatures';
import { startVmwareLike } from './guest-machine';
import { networkOf } from './guest-network';
import { kernelDevices, watchHost, type HostWatch } from './host-watch';
import { exportOverlay, type StorageDaemon } from './storage-daemon';

jest.setTimeout(3_600_000);

const hardware = hardwareProfiles['vmware-pvscsi']!;
const nics = [{ index: 0, macAddress: '52:54:00:12:34:56', model: 'e1000', network: 'prod' } as const];
/** Another than QEMU's own network gives by DHCP (10.0.2.15). */
const addresses = [{ macAddress: nics[0]!.macAddress, ip: '10.8.0.12/24', gateway: '10.8.0.1', dns: ['10.8.0.2'] }];
let folder: string;
let guest: DemoGuest;
let overlay: string;
let daemon: StorageDaemon | undefined;
let watch: HostWatch | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'muster-inoculation-'));
  guest = await demoGuest();
  overlay = newOverlay('run.qcow2');
  daemon = await exportOverlay(overlay, join(folder, 'nbd.sock'), 'run-disk0');
});

afterAll(async () => {
  watch?.stop();
  await daemon?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function newOverlay(name: string): string {
  const path = join(folder, name);
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', guest.imagePath, '-F', 'qcow2', path]);
  return path;
}

const editor = () => editorAsARun({ scratchFolder: join(folder, 'scratch') });

const taken = (editUri: string): TakenDisk => ({
  ...{ diskId: 'disk0', index: 0, pointId: 'p1', virtualSizeBytes: guest.sizeBytes },
  ...{ path: overlay, format: 'qcow2', editUri, signatures: [] },
});

/** Programs of the appliance that work on this test's folder. */
const leftovers = () =>
  execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes('guestfs') && line.includes(folder));

/** Reads a file of the guest with e2fsprogs on a copy of the disk, without anything of Muster's. */
function fileOnDisk(disk: string, path: string): Buffer {
  const raw = join(folder, 'independent.raw');
  execFileSync('qemu-img', ['convert', '-O', 'raw', disk, raw]);
  const out = join(folder, 'independent.file');
  rmSync(out, { force: true });
  execFileSync('debugfs', ['-R', `dump ${path} ${out}`, `${raw}?offset=1048576`], { stdio: 'ignore' });
  return readFileSync(out);
}

test('a guest whose initramfs knows only AHCI ends in the initramfs shell on pvscsi', async () => {
  const machine = startVmwareLike(newOverlay('untouched.qcow2'), folder);
  try {
    const text = await machine.until(
      'the initramfs shell',
      async () => ((await machine.console()).includes('(initramfs)') ? machine.console() : undefined),
      900_000,
    );
    expect(text).toMatch(/ALERT!\s+UUID=\S+ does not exist/);
  } finally {
    await machine.kill();
  }
});

test('an inoculation aborted in mid-write leaves no program and an overlay that can be inoculated again', async () => {
  const controller = new AbortController();
  let programs: string[] | undefined;
  let looking: NodeJS.Timeout | undefined;
  const aborted = editor().inoculate([taken(daemon!.editUri)], hardware, {
    nics,
    signal: controller.signal,
    onProgress: ({ done }) => {
      if (done < 75 || programs !== undefined) return;
      programs = leftovers();
      const before = statSync(overlay).mtimeMs;
      looking = setInterval(() => {
        if (statSync(overlay).mtimeMs > before) controller.abort(new Error('enough'));
      }, 5);
    },
  });
  await expect(aborted.finally(() => clearInterval(looking))).rejects.toThrow('enough');
  expect(programs).not.toEqual([]);
  const end = performance.now() + 60_000;
  while (leftovers().length > 0 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 100));
  expect(leftovers()).toEqual([]);
});

test('a guest is inoculated over NBD, and the report says what was done', async () => {
  const shares: number[] = [];
  watch = watchHost([overlay]);
  const disk = taken(daemon!.editUri);
  const signatures = signaturesOf(await findVolumes({ uri: disk.editUri, format: 'raw' }));
  expect(signatures.map(({ type }) => type)).toContain('ext4');
  await editor().applySignatures({ ...disk, signatures });
  const report = await editor().inoculate([taken(daemon!.editUri)], hardware, {
    nics,
    addresses,
    onProgress: ({ done }) => shares.push(done),
  });
  expect(report.operatingSystem).toContain('Debian GNU/Linux 12');
  expect(report.kernels).toEqual([expect.objectContaining({ release: guest.kernelRelease, how: 'archive-appended' })]);
  expect(report.kernels[0]!.modulesAdded).toContain('kernel/drivers/scsi/vmw_pvscsi.ko');
  expect(report.warnings).toEqual([]);
  expect(shares).toEqual([...shares].sort((a, b) => a - b));
  expect(shares.at(-1)).toBe(100);
  watch.stop();
});

test('meanwhile nothing but QEMU opened the disk, and the host’s kernel mounted and mapped nothing', () => {
  expect(watch!.looks).toBeGreaterThan(20);
  expect([...watch!.openers]).toEqual(['qemu-storage-daemon']);
  expect([...watch!.appeared]).toEqual([]);
});

test('another program that opens a disk, and a kernel that uses one, would have been seen', async () => {
  const planted = join(folder, 'planted.img');
  writeFileSync(planted, '');
  const control = watchHost([planted]);
  const file = openSync(planted, 'r');
  const opener = spawn('sleep', ['600'], { stdio: [file, 'ignore', 'ignore'] });
  closeSync(file);
  try {
    while (control.openers.size === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    expect([...control.openers]).toContain('sleep');
  } finally {
    control.stop();
    opener.kill('SIGKILL');
  }

  const blocks = join(folder, 'sys');
  const facts = {
    'loop0/loop/backing_file': planted,
    'loop1/loop/backing_file': '/else',
    'nbd0/pid': '7',
    'dm-0/dm/name': 'vg',
  };
  for (const [path, text] of Object.entries(facts)) {
    mkdirSync(join(blocks, path, '..'), { recursive: true });
    writeFileSync(join(blocks, path), `${text}\n`);
  }
  const mounts = join(folder, 'mounts');
  writeFileSync(mounts, 'proc /proc proc rw 0 0\n/dev/nbd0p1 /mnt ext4 ro 0 0\nguestmount /m fuse rw 0 0\n');
  expect(kernelDevices(new Set([planted]), { mounts, blocks })).toEqual([
    '/dev/nbd0p1 /mnt ext4 ro 0 0',
    'guestmount /m fuse rw 0 0',
    'dm-0: vg',
    `loop0: ${planted}`,
    'nbd0: 7',
  ]);
});

test('a second inoculation changes no byte of the disk', async () => {
  const before = join(folder, 'before.qcow2');
  copyFileSync(overlay, before);
  const report = await editor().inoculate([taken(daemon!.editUri)], hardware, { nics, addresses });
  await daemon!.stop();
  expect(report.kernels.map(({ how }) => how)).toEqual(['already-fit']);
  expect(report.changes).toEqual([]);
  expect(execFileSync('qemu-img', ['compare', before, overlay], { encoding: 'utf8' })).toContain(
    'Images are identical',
  );
});

test('other tools find the drivers behind the old archive and the lasting names in fstab', async () => {
  await daemon!.stop();
  const path = `/boot/initrd.img-${guest.kernelRelease}`;
  const old = fileOnDisk(guest.imagePath, path);
  const now = fileOnDisk(overlay, path);
  expect(now.subarray(0, old.length).equals(old)).toBe(true);
  const archive = execFileSync('zstd', ['-dc'], { input: now.subarray(old.length), maxBuffer: 64 * 1024 * 1024 });
  const names = execFileSync('cpio', ['-t', '--quiet'], { input: archive, encoding: 'utf8' });
  expect(names).toContain('/kernel/drivers/scsi/vmw_pvscsi.ko');
  expect(names).toContain('/kernel/drivers/net/vmxnet3/vmxnet3.ko');
  const network = fileOnDisk(overlay, '/etc/systemd/network/00-muster-52-54-00-12-34-56.network').toString();
  expect(network).toContain('[Network]\nAddress=10.8.0.12/24\nGateway=10.8.0.1\nDNS=10.8.0.2\nDHCP=no\n');
  const fstab = fileOnDisk(overlay, '/etc/fstab').toString();
  expect(fstab).toContain(`UUID=${guest.dataUuid}`);
  expect(fstab).not.toMatch(/^\/dev\/sd/m);
  expect(fileOnDisk(overlay, '/etc/initramfs-tools/modules').toString()).toMatch(/^vmw_pvscsi$/m);
});

test('the inoculated guest boots on pvscsi and vmxnet3, and its network card has its name and its new address', async () => {
  await daemon!.stop();
  const machine = startVmwareLike(overlay, folder);
  try {
    await machine.until('the guest agent', () => machine.agent('guest-ping'), 900_000);
    expect(await machine.run('/usr/sbin/modinfo', ['-F', 'name', 'vmw_pvscsi'])).toContain('vmw_pvscsi');
    expect(await machine.run('/usr/bin/readlink', ['/sys/class/net/enp1s0/device/driver'])).toContain('vmxnet3');
    const { whole, ...network } = await networkOf(machine, '10.8.0.12/24');
    expect(network).toEqual({
      ...{ addresses: ['enp1s0 10.8.0.12/24'], gateways: ['10.8.0.1'], nameServers: ['10.8.0.2'] },
    });
    expect(whole).not.toContain('10.0.2.');
    const status = async () => {
      const text = await machine.run('/usr/local/bin/counter-status', []);
      return text.includes('"chain":"ok"') ? text : undefined;
    };
    expect(await machine.until('the service', status, 300_000)).toContain('"service":"counter"');
  } finally {
    await machine.kill();
  }
});
