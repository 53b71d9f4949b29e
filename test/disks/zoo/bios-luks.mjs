/** BIOS, MBR, /boot apart, LUKS, btrfs with the root in a subvolume and a snapshot beside it, MODULES=dep. */
import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from '../../../tools/shared/programs.mjs';
import { guestfish, makeBtrfs, makeExt4, place } from './file-systems.mjs';
import { toQcow2 } from './images.mjs';
import { encryptInto } from './luks.mjs';
import { refuseDrivers, updateInitramfs, withoutNetworkd, write } from './trees.mjs';

/** Only the zoo's: it stands in this file. */
export const passphrase = 'tiger-in-the-zoo';
const uuids = { root: '5b000000-0000-4000-8000-000000000001', boot: '5b000000-0000-4000-8000-000000000002' };
/** What MODULES=dep finds on an AHCI machine with this root. */
const hostDrivers = ['ahci', 'sd_mod', 'ext4', 'btrfs', 'dm_crypt', 'xts', 'aesni_intel', 'sha256_generic', 'ecb'];
const oldDisk = '/dev/disk/by-id/ata-QEMU_HARDDISK_QM00001';

/** The name is the one of the old machine's card. */
const interfaces = `auto lo
iface lo inet loopback

allow-hotplug ens18
iface ens18 inet static
    address 192.0.2.20/24
    gateway 192.0.2.1
    dns-nameservers 192.0.2.53
    mtu 1400
`;

const grubConfig = (release) => `set default="0"
set timeout=0
serial --unit=0 --speed=115200
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple' {
  search --no-floppy --fs-uuid --set=root ${uuids.boot}
  linux /vmlinuz-${release} root=/dev/mapper/sda2_crypt rootflags=subvol=@rootfs ro console=ttyS0,115200 no_timer_check
  initrd /initrd.img-${release}
}
`;

/** cryptsetup's own hook leaves out volumes that are not there while the initramfs is built. */
const cryptHook = `#!/bin/sh
[ "$1" = prereqs ] && exit 0
mkdir -p "$DESTDIR/cryptroot"
cp /etc/crypttab "$DESTDIR/cryptroot/crypttab"
`;

export async function biosLuks({ work, target, release, logPath, step }, tree) {
  step('BIOS guest: initramfs');
  write(tree, 'etc/crypttab', `sda2_crypt ${oldDisk}-part2 none luks,discard\n`);
  write(
    tree,
    'etc/fstab',
    '/dev/mapper/sda2_crypt / btrfs defaults,subvol=@rootfs 0 0\n/dev/sda1 /boot ext4 defaults 0 2\n',
  );
  write(tree, 'etc/hostname', 'zoo-bios\n');
  withoutNetworkd(tree);
  write(tree, 'etc/network/interfaces', interfaces);
  write(tree, 'etc/resolv.conf', 'search example.org\nnameserver 192.0.2.53\n');
  write(tree, 'etc/cryptsetup-initramfs/conf-hook', 'CRYPTSETUP=y\n');
  const hook = path.join(tree, 'etc/initramfs-tools/hooks/zoo');
  writeFileSync(hook, cryptHook);
  chmodSync(hook, 0o755);
  await updateInitramfs(tree, release, hostDrivers, logPath);
  rmSync(hook);
  await refuseDrivers(tree, 'lsinitramfs', release, ['virtio_blk', 'nvme', 'vmw_pvscsi']);
  write(tree, 'boot/grub/grub.cfg', grubConfig(release));
  write(tree, 'boot/grub/device.map', `(hd0)\t${oldDisk}\n`);
  step('BIOS guest: boot loader');
  const modules = [
    'biosdisk',
    'part_msdos',
    'ext2',
    'normal',
    'linux',
    'search',
    'search_fs_uuid',
    'serial',
    'echo',
    'configfile',
  ];
  const grub = ['grub-mkimage', '-O', 'i386-pc', '-o', '/zoo.core', '-p', '(hd0,msdos1)/grub'];
  await run('chroot', [tree, ...grub, ...modules], { logPath });
  const at = (name) => path.join(work, name);
  renameSync(path.join(tree, 'zoo.core'), at('core.img'));
  step('BIOS guest: file systems');
  renameSync(path.join(tree, 'boot'), at('bios-boot'));
  mkdirSync(path.join(tree, 'boot'));
  await makeExt4(at('boot.img'), 160, at('bios-boot'), uuids.boot, logPath);
  await makeBtrfs(at('btrfs.img'), 840, tree, uuids.root, logPath);
  await intoSubvolume(at('btrfs.img'), readdirSync(tree), logPath);
  await assemble({ at, bootCode: path.join(tree, 'usr/lib/grub/i386-pc/boot.img') }, logPath);
  rmSync(tree, { recursive: true });
  return { images: [await toQcow2(at('bios.raw'), target, 'bios-luks.qcow2', logPath)], passphrase, uuids };
}

async function assemble({ at, bootCode }, logPath) {
  const mebibytes = await encryptInto(at('btrfs.img'), at('luks.img'), passphrase, logPath);
  const disk = at('bios.raw');
  await run('truncate', ['-s', `${161 + mebibytes + 1}M`, disk], { logPath });
  const table = `label: dos\nstart=1MiB,size=160MiB,type=83,bootable\nsize=${mebibytes}MiB,type=83\n`;
  await run('sfdisk', ['-q', disk], { logPath, input: table });
  await place(at('boot.img'), disk, 1, logPath);
  await place(at('luks.img'), disk, 161, logPath);
  // What grub-install does on a plain BIOS disk: boot.img looks for the core image in sector 1, the gap before partition 1.
  const dd = (from, ...args) =>
    run('dd', [`if=${from}`, `of=${disk}`, 'conv=notrunc', 'status=none', ...args], { logPath });
  await dd(bootCode, 'bs=440', 'count=1');
  await dd(at('core.img'), 'bs=512', 'seek=1');
  for (const name of ['btrfs.img', 'luks.img', 'boot.img']) rmSync(at(name));
}

/** mkfs.btrfs fills the top level only; a snapshot of it becomes the subvolume, and what it was made of is removed. */
function intoSubvolume(image, names, logPath) {
  const snapshots = ['btrfs-subvolume-snapshot / /@rootfs', 'btrfs-subvolume-snapshot /@rootfs /before-upgrade'];
  const removals = names.map((name) => `rm-rf /${name}`);
  return guestfish([image], ['mount /dev/sda /', ...snapshots, ...removals], logPath);
}
