/**
 * Two root folders made of the demo guest's: one with initramfs-tools, cryptsetup and btrfs, one with dracut, LVM and XFS.
 * Packages are unpacked by apt on the host into the folder; nothing is emulated.
 */
import { appendFileSync, chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from '../../../tools/shared/programs.mjs';

/** Folders of kernel modules that no test needs: half of the kernel's size. */
const unneeded = [
  ...['sound', 'drivers/gpu', 'drivers/media', 'drivers/infiniband', 'drivers/staging', 'drivers/iio', 'drivers/isdn'],
  ...['drivers/net/wireless', 'drivers/net/can', 'drivers/bluetooth', 'drivers/usb/gadget', 'drivers/mtd', 'fs/ceph'],
  ...['net/bluetooth', 'net/wireless', 'net/mac80211', 'net/can', 'net/sctp', 'net/tipc', 'net/batman-adv', 'fs/ocfs2'],
  ...['net/openvswitch', 'fs/gfs2', 'fs/smb', 'fs/cifs', 'fs/nfsd', 'fs/ubifs', 'fs/reiserfs', 'fs/afs', 'fs/jfs'],
];

/** Takes the demo guest's root out of its image: `debugfs rdump` keeps owners and modes, not set-user-id bits. */
export async function extractDemoRoot({ imagePath, rawPath, folder, logPath }) {
  await run('qemu-img', ['convert', '-O', 'raw', imagePath, rawPath], { logPath });
  mkdirSync(folder);
  await run('debugfs', ['-R', `rdump / ${folder}`, `${rawPath}?offset=1048576`], { logPath });
  rmSync(rawPath);
  rmSync(path.join(folder, 'dev/null'), { force: true });
  await run('mknod', ['-m', '666', path.join(folder, 'dev/null'), 'c', '1', '3'], { logPath });
  chmodSync(path.join(folder, 'tmp'), 0o1777);
  rmSync(path.join(folder, 'etc/systemd/system/multi-user.target.wants/counter.service'), { force: true });
}

export async function copyTree(from, to, logPath) {
  await run('cp', ['-a', '--reflink=auto', from, to], { logPath });
  return to;
}

const aptOptions = (tree) =>
  [`Dir=${tree}`, 'Dir::Etc::TrustedParts=/etc/apt/trusted.gpg.d/', `DPkg::Chroot-Directory=${tree}`]
    .concat(['Dpkg::Options::=--force-unsafe-io', 'Dpkg::Options::=--path-exclude=/usr/share/doc/*'])
    .concat(['Dpkg::Options::=--path-exclude=/usr/share/man/*', 'Dpkg::Options::=--path-exclude=/usr/share/locale/*'])
    .flatMap((option) => ['-o', option]);

export const fetchLists = (tree, logPath) => run('apt-get', ['-q', ...aptOptions(tree), 'update'], { logPath });

/** From the lists that are there; they are removed. */
export async function installPackages(tree, packages, logPath) {
  // Each tool would build an initramfs that is thrown away at once.
  const update = path.join(tree, 'etc/initramfs-tools/update-initramfs.conf');
  const before = readFileSync(update, 'utf8');
  writeFileSync(update, 'update_initramfs=no\n');
  const env = { DEBIAN_FRONTEND: 'noninteractive', INITRD: 'No' };
  const install = ['-y', '--no-install-recommends', 'install', ...packages];
  await run('apt-get', ['-q', ...aptOptions(tree), ...install], { logPath, env });
  if (existsSync(update)) writeFileSync(update, before);
  for (const waste of ['var/lib/apt/lists', 'var/cache/apt']) rmSync(path.join(tree, waste), { recursive: true });
}

export async function thinModules(tree, release, logPath) {
  const kernel = path.join(tree, 'usr/lib/modules', release, 'kernel');
  for (const folder of unneeded) rmSync(path.join(kernel, folder), { recursive: true, force: true });
  await run('depmod', ['-b', tree, release], { logPath });
}

/** The same kernel under another name, with few modules: enough to be looked at, not to be started. */
export async function addKernel(tree, release, name, modules, logPath) {
  const at = (...parts) => path.join(tree, ...parts);
  cpSync(at('boot', `vmlinuz-${release}`), at('boot', `vmlinuz-${name}`));
  for (const module of modules) {
    cpSync(at('usr/lib/modules', release, 'kernel', module), at('usr/lib/modules', name, 'kernel', module), {
      recursive: true,
    });
  }
  for (const index of ['modules.builtin', 'modules.builtin.modinfo', 'modules.order']) {
    cpSync(at('usr/lib/modules', release, index), at('usr/lib/modules', name, index));
  }
  await run('depmod', ['-b', tree, name], { logPath });
}

/** The demo guest's own way of configuring its network, for another one to take its place. */
export function withoutNetworkd(tree) {
  const units = path.join(tree, 'etc/systemd');
  for (const name of ['system/multi-user.target.wants/systemd-networkd.service', 'network/10-lan.network'])
    rmSync(path.join(units, name));
}

export const write = (tree, file, text) => {
  mkdirSync(path.dirname(path.join(tree, file)), { recursive: true });
  writeFileSync(path.join(tree, file), text);
};

/** An initramfs as MODULES=dep makes it on an AHCI machine; MODULES=dep itself would look at this host's disks. */
export async function updateInitramfs(tree, release, modules, logPath) {
  const list = path.join(tree, 'etc/initramfs-tools/modules');
  const before = readFileSync(list, 'utf8');
  appendFileSync(list, `${modules.join('\n')}\n`);
  write(tree, 'etc/initramfs-tools/conf.d/driver-policy', 'MODULES=list\n');
  await run('chroot', [tree, 'update-initramfs', '-u', '-k', release], { logPath });
  writeFileSync(list, before);
  write(tree, 'etc/initramfs-tools/conf.d/driver-policy', 'MODULES=dep\n');
}

/** An initramfs as `hostonly` makes it on an AHCI machine with LVM and XFS. */
export function dracut(tree, release, drivers, logPath) {
  const modules = [
    '--add',
    'lvm dracut-systemd',
    '--omit',
    'plymouth multipath dmraid mdraid crypt btrfs qemu virtiofs nvdimm',
  ];
  const kind = ['--no-hostonly', '--no-hostonly-cmdline', '--no-hostonly-default-device', '--zstd'];
  const target = [`/boot/initrd.img-${release}`, release];
  return run(
    'chroot',
    [tree, 'dracut', '-q', '--force', ...kind, ...modules, '--drivers', drivers.join(' '), ...target],
    {
      logPath,
    },
  );
}

/** Names in an initramfs that must not be there, so that a guest cannot start on other hardware by luck. */
export async function refuseDrivers(tree, command, release, names) {
  const listing = await run('chroot', [tree, command, `/boot/initrd.img-${release}`]);
  const found = names.filter((name) => listing.includes(`/${name}.ko`));
  if (found.length > 0)
    throw new Error(`initrd.img-${release} holds ${found.join(', ')}: it would start without inoculation.`);
}
