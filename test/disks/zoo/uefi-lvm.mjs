/** The guest that needs most: UEFI, GPT, /boot apart, a volume group across two disks, XFS, two kernels, dracut. */
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { run } from '../../../tools/shared/programs.mjs';
import { guestfish, makeExt4, makeFat, makeXfs, place } from './file-systems.mjs';
import { toQcow2 } from './images.mjs';
import { addKernel, dracut, refuseDrivers, write } from './trees.mjs';

const uuids = { root: '5a000000-0000-4000-8000-000000000001', boot: '5a000000-0000-4000-8000-000000000002' };
const olderKernel = '6.0.0-1-amd64';
/** What hostonly finds on an AHCI machine with this root. */
const hostDrivers = ['ahci', 'sd_mod', 'xfs', 'dm_mod', 'ext4'];
const olderModules = [
  'drivers/ata',
  'drivers/md',
  'drivers/nvme',
  'drivers/net/ethernet/intel',
  'drivers/scsi',
  'drivers/nvdimm',
]
  .concat([
    'fs/xfs',
    'fs/ext4',
    'fs/jbd2',
    'fs/mbcache.ko',
    'lib',
    'crypto',
    'block',
    'arch/x86/crypto',
    'drivers/virtio',
  ])
  .concat(['drivers/ptp', 'drivers/pps', 'drivers/firmware']);

const fstab = `/dev/mapper/zoo-root / xfs defaults 0 0
# By device names on purpose: on another controller there is no sda.
/dev/sda2 /boot ext4 defaults 0 2
UUID=5A00-0001 /boot/efi vfat umask=0077 0 1
/dev/zoo/swap none swap sw 0 0
`;

const entry = (
  release,
) => `menuentry 'Debian GNU/Linux, with Linux ${release}' --class debian $menuentry_id_option 'gnulinux-${release}' {
  search --no-floppy --fs-uuid --set=root ${uuids.boot}
  linux /vmlinuz-${release} root=/dev/mapper/zoo-root ro console=ttyS0,115200
  initrd /initrd.img-${release}
}
`;

export async function uefiLvm({ work, target, release, logPath, step }, tree) {
  step('UEFI guest: initramfs of two kernels by dracut');
  await addKernel(tree, release, olderKernel, olderModules, logPath);
  for (const kernel of [release, olderKernel]) {
    await dracut(tree, kernel, hostDrivers, logPath);
    await refuseDrivers(tree, 'lsinitrd', kernel, ['nvme', 'virtio_blk', 'vmw_pvscsi']);
  }
  write(tree, 'etc/fstab', fstab);
  write(tree, 'etc/hostname', 'zoo-uefi\n');
  write(
    tree,
    'boot/grub/grub.cfg',
    `set default="0"\nset timeout=0\n${entry(release)}submenu 'Advanced options' $menuentry_id_option 'advanced' {\n${entry(release)}${entry(olderKernel)}}\n`,
  );
  step('UEFI guest: file systems');
  const at = (name) => path.join(work, name);
  const efi = at('esp.cfg');
  write(work, 'esp.cfg', `search.fs_uuid ${uuids.boot} root\nset prefix=($root)'/grub'\nconfigfile $prefix/grub.cfg\n`);
  await makeFat(
    at('esp'),
    64,
    {
      'EFI/debian/shimx64.efi': path.join(tree, 'usr/lib/shim/shimx64.efi.signed'),
      'EFI/debian/mmx64.efi': path.join(tree, 'usr/lib/shim/mmx64.efi.signed'),
      'EFI/debian/grubx64.efi': path.join(tree, 'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed'),
      'EFI/debian/grub.cfg': efi,
    },
    logPath,
    '5A000001',
  );
  renameSync(path.join(tree, 'boot'), at('boot'));
  mkdirSync(path.join(tree, 'boot/efi'), { recursive: true });
  mkdirSync(at('boot/efi'));
  await makeExt4(at('boot.img'), 160, at('boot'), uuids.boot, logPath);
  await makeXfs(at('root.img'), 1100, tree, uuids.root, logPath);
  const [first, second] = [at('uefi-0.raw'), at('uefi-1.raw')];
  await run('truncate', ['-s', '860M', first], { logPath });
  await run('truncate', ['-s', '704M', second], { logPath });
  const efiType = 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B';
  const lvmType = 'E6D6D379-F507-44C2-A23C-238F2A3DF928';
  await run('sfdisk', ['-q', first], {
    logPath,
    input: `label: gpt\nstart=1MiB,size=64MiB,type=${efiType}\nsize=160MiB\nsize=630MiB,type=${lvmType}\n`,
  });
  await run('sfdisk', ['-q', second], { logPath, input: `label: gpt\nstart=1MiB,size=700MiB,type=${lvmType}\n` });
  await place(at('esp'), first, 1, logPath);
  await place(at('boot.img'), first, 65, logPath);
  step('UEFI guest: volume group across both disks');
  await guestfish(
    [first, second, at('root.img')],
    [
      'pvcreate /dev/sda3',
      'pvcreate /dev/sdb1',
      'vgcreate zoo "/dev/sda3 /dev/sdb1"',
      'lvcreate root zoo 1120',
      'lvcreate swap zoo 64',
      'mkswap /dev/zoo/swap',
      'copy-device-to-device /dev/sdc /dev/zoo/root sparse:true',
    ],
    logPath,
  );
  for (const name of ['root.img', 'boot.img', 'esp']) rmSync(at(name));
  rmSync(tree, { recursive: true });
  const images = [
    await toQcow2(first, target, 'uefi-0.qcow2', logPath),
    await toQcow2(second, target, 'uefi-1.qcow2', logPath),
  ];
  return { images, olderKernel, uuids };
}
