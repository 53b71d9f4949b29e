/** The two guests that have nearly everything, inoculated, read by other tools, and started on hardware that they did not know. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { editorAsARun } from '../editor-as-a-run';
import type { InoculationReport } from '../../../disks/contract';
import { hardwareProfiles, type NicSpec } from '../../../model/server';
import { startMachine, type GuestMachine } from '../guest-machine';
import { networkOf } from '../guest-network';
import { zoo, type Zoo, type ZooGuest } from './build.mjs';
import * as make from './layouts';

jest.setTimeout(3_600_000);

let folder: string;
let built: Zoo;
beforeAll(async () => {
  built = await zoo();
  folder = mkdtempSync(join(tmpdir(), 'muster-zoo-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const editor = () => editorAsARun({ scratchFolder: join(folder, 'scratch') });
const nics: NicSpec[] = [{ index: 0, macAddress: '52:54:00:12:34:56', model: 'e1000', network: 'prod' }];
/** In place of fixed ones within 192.0.2.0/24. */
const addresses = [
  { macAddress: nics[0]!.macAddress, ip: '10.8.0.12/24', gateway: '10.8.0.1', dns: ['10.8.0.2', '10.8.0.3'] },
];

function overlays(guest: ZooGuest): string[] {
  return guest.images.map((image) => {
    const path = join(folder, image);
    make.quietly('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', join(built.folder, image), '-F', 'qcow2', path]);
    return path;
  });
}

/** The disk with one kernel's initramfs gone from /boot at 65 MiB: dracut has to build that one in the appliance. */
function withoutInitramfs(overlay: string, release: string): string {
  const raw = `${overlay}.raw`;
  make.quietly('qemu-img', ['convert', '-O', 'raw', overlay, raw]);
  make.quietly('debugfs', ['-w', '-R', `rm /initrd.img-${release}`, `${raw}?offset=${65 * make.MiB}`]);
  make.quietly('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', raw, '-F', 'raw', overlay]);
  return overlay;
}

const asDisks = (paths: readonly string[]) => paths.map((path, index) => make.asDisk(path, index, 'qcow2'));

function asRaw(image: string): string {
  const raw = join(folder, 'read.raw');
  make.quietly('qemu-img', ['convert', '-O', 'raw', image, raw]);
  return raw;
}

/** Every line that `findmnt` prints of /, /boot and the like: what the guest really runs on. */
const mounts = (machine: GuestMachine) => machine.run('/usr/bin/findmnt', ['-rn', '-o', 'TARGET,SOURCE,FSTYPE']);

/** `counts`: of the addresses and gateways that it has. */
async function expectNewAddress(machine: GuestMachine, card: string, counts: (ip: string) => boolean): Promise<void> {
  const { whole, addresses, gateways, nameServers } = await networkOf(machine, '10.8.0.12/24');
  expect({ addresses: addresses.filter(counts), gateways: gateways.filter(counts), nameServers }).toEqual({
    ...{ addresses: [`${card} 10.8.0.12/24`], gateways: ['10.8.0.1'], nameServers: ['10.8.0.2', '10.8.0.3'] },
  });
  expect(whole).not.toContain('192.0.2.');
}

describe('UEFI, GPT, /boot apart, XFS on a volume group across two disks, two kernels, dracut: onto NVMe', () => {
  let disks: string[];
  let report: InoculationReport;

  test('both kernels get their drivers, one of them from dracut itself, and the firmware its loader', async () => {
    disks = overlays(built.uefiLvm);
    disks[0] = withoutInitramfs(disks[0]!, built.uefiLvm.olderKernel);
    report = await editor().inoculate(asDisks(disks), hardwareProfiles['physical-nvme']!, { nics, addresses });
    expect(report.inoculator).toBe('dracut');
    expect(report.kernels.map(({ release, how }) => [release, how])).toEqual([
      [built.kernelRelease, 'archive-appended'],
      [built.uefiLvm.olderKernel, 'regenerated'],
    ]);
    expect(report.changes).toContainEqual(expect.stringMatching(/BOOTX64\.EFI: copied from .*shimx64\.efi$/));
    expect(report.warnings).toEqual([]);
    expect(report.verified).toContain('NetworkManager: 52:54:00:12:34:56 has 10.8.0.12/24');
  });

  test('other tools find them behind the archive of dracut and in the one it built, and the loader where firmware looks', () => {
    const [now, before] = [asRaw(disks[0]!), join(folder, 'before.raw')];
    make.quietly('qemu-img', ['convert', '-O', 'raw', join(built.folder, built.uefiLvm.images[0]!), before]);
    const { kernelRelease: release } = built;
    const path = `/initrd.img-${release}`;
    const [whole, old] = [make.readExt4(now, path, 65, folder), make.readExt4(before, path, 65, folder)];
    expect(whole.subarray(0, old.length).equals(old)).toBe(true);
    const unpacked = make.unpackArchive(make.quietly('zstd', ['-dc'], whole.subarray(old.length)), folder);
    const names = execFileSync('find', ['.', '-name', '*.ko'], { cwd: unpacked, encoding: 'utf8' });
    expect(names).toContain(`/${release}/kernel/drivers/nvme/host/nvme.ko`);
    expect(readFileSync(join(unpacked, 'etc/cmdline.d/zz-muster.conf'), 'utf8')).toBe('rd.driver.pre=nvme,e1000e\n');
    const rebuilt = join(folder, 'rebuilt');
    const { olderKernel } = built.uefiLvm;
    writeFileSync(rebuilt, make.readExt4(now, `/initrd.img-${olderKernel}`, 65, folder));
    const listed = execFileSync('lsinitramfs', [rebuilt], { encoding: 'utf8' });
    for (const driver of ['drivers/nvme/host/nvme.ko', 'fs/xfs/xfs.ko', 'drivers/md/dm-mod.ko'])
      expect(listed).toContain(`/${olderKernel}/kernel/${driver}`);
    const loader = (path: string) => make.quietly('mtype', ['-i', `${now}@@1M`, `::${path}`]);
    expect(loader('EFI/BOOT/BOOTX64.EFI').equals(loader('EFI/debian/shimx64.efi'))).toBe(true);
    expect(loader('EFI/BOOT/grubx64.efi').equals(loader('EFI/debian/grubx64.efi'))).toBe(true);
    rmSync(before);
    rmSync(now);
  });

  test('it starts on NVMe, from firmware that has never seen it', async () => {
    const variables = join(folder, 'variables.fd');
    copyFileSync('/usr/share/OVMF/OVMF_VARS_4M.fd', variables);
    const machine = startMachine(folder, [
      ...['-drive', 'if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd'],
      ...['-drive', `if=pflash,format=raw,unit=1,file=${variables}`],
      ...disks.flatMap((path, n) => ['-drive', `if=none,id=d${n},format=qcow2,file=${path}`]),
      ...disks.flatMap((_path, n) => ['-device', `nvme,serial=zoo${n},drive=d${n}`]),
      ...['-device', 'e1000e,netdev=n0,mac=52:54:00:12:34:56', '-netdev', 'user,id=n0,restrict=on'],
    ]);
    try {
      await machine.until('the guest agent', () => machine.agent('guest-ping'), 1_200_000);
      const text = await mounts(machine);
      expect(text).toMatch(/^\/ \/dev\/mapper\/zoo-root xfs$/m);
      expect(text).toMatch(/^\/boot \/dev\/nvme\dn1p2 ext4$/m);
      expect(text).toMatch(/^\/boot\/efi \/dev\/nvme\dn1p1 vfat$/m);
      const under = await machine.run('/usr/bin/lsblk', ['-rsno', 'NAME', '/dev/mapper/zoo-root']);
      expect(under).toMatch(/^nvme0n1$/m);
      expect(under).toMatch(/^nvme1n1$/m);
      await expectNewAddress(machine, 'ens192', (ip) => !ip.includes(':'));
    } finally {
      await machine.kill();
    }
  });
});

describe('BIOS, MBR, LUKS, btrfs in a subvolume, MODULES=dep: onto virtio', () => {
  let disks: string[];

  test('with its key the system is found inside the encrypted volume; the key stands nowhere', async () => {
    disks = overlays(built.biosLuks);
    const { passphrase } = built.biosLuks;
    const seen: string[] = [];
    const report = await editor().inoculate(asDisks(disks), hardwareProfiles['kvm-virtio']!, {
      nics,
      addresses,
      unlockKeys: [Buffer.from('not this one'), Buffer.from(passphrase)],
      onProgress: (progress) =>
        void seen.push(JSON.stringify(progress), execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })),
    });
    expect(report.kernels).toEqual([expect.objectContaining({ how: 'archive-appended' })]);
    expect(report.changes).toContainEqual(expect.stringMatching(/^\/etc\/crypttab: .*QM00001-part2 -> UUID=/));
    expect(report.changes).toContainEqual(expect.stringMatching(/^\/boot\/grub\/device\.map: .* commented out$/));
    expect(report.verified).toContain('ifupdown: 52:54:00:12:34:56 has 10.8.0.12/24');
    expect(seen.join('\n')).toContain('guestfish');
    expect(seen.join('\n') + JSON.stringify(report)).not.toContain(passphrase);
  });

  test('it starts on virtio when its passphrase is typed', async () => {
    const machine = startMachine(folder, [
      ...['-drive', `if=none,id=d0,format=qcow2,file=${disks[0]!}`, '-device', 'virtio-blk-pci,drive=d0'],
      ...['-device', 'virtio-net-pci,netdev=n0,mac=52:54:00:12:34:56', '-netdev', 'user,id=n0,restrict=on'],
    ]);
    try {
      const asked = async () => (/unlock disk.*sda2_crypt/.test(await machine.console()) ? true : undefined);
      await machine.until('the question for the passphrase', asked, 900_000);
      await machine.type(`${built.biosLuks.passphrase}\n`);
      await machine.until('the guest agent', () => machine.agent('guest-ping'), 900_000);
      const text = await mounts(machine);
      expect(text).toMatch(/^\/ \/dev\/(mapper\/sda2_crypt|dm-0)\[\/@rootfs\] btrfs$/m);
      expect(text).toMatch(/^\/boot \/dev\/vda1 ext4$/m);
      // QEMU's network advertises a prefix, which the kernel takes.
      await expectNewAddress(machine, 'ens18', (ip) => !ip.includes(':'));
      expect(await machine.run('/usr/bin/cat', ['/sys/class/net/ens18/mtu'])).toBe('1400\n');
    } finally {
      await machine.kill();
    }
  });
});
