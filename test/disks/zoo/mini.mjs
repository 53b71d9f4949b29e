/**
 * A system in small: what inoculation looks at and nothing else, to be put on disks of any layout within a test. It cannot
 * be started.
 */
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from '../../../tools/shared/programs.mjs';
import { updateInitramfs } from './trees.mjs';

const kept = [
  'etc/debian_version',
  'etc/os-release',
  'etc/default',
  'etc/initramfs-tools',
  'usr/lib/os-release',
].concat(['usr/sbin/update-initramfs']);
const modules = [
  'drivers/scsi',
  'drivers/message',
  'drivers/ata',
  'drivers/virtio',
  'drivers/block',
  'drivers/nvme',
  'lib',
  'crypto',
]
  .concat([
    'block',
    'arch/x86/crypto',
    'drivers/net/ethernet/intel/e1000',
    'drivers/net/ethernet/intel/e1000e',
    'net/core',
  ])
  .concat([
    'drivers/net/vmxnet3',
    'drivers/net/virtio_net.ko',
    'drivers/net/net_failover.ko',
    'drivers/ptp',
    'drivers/pps',
  ]);

/** Name of a tar archive in the target folder. */
export async function miniTree({ work, target, release, logPath, step }, tree) {
  step('system in small');
  await updateInitramfs(tree, release, ['ahci', 'sd_mod', 'ext4'], logPath);
  const mini = path.join(work, 'mini');
  for (const folder of ['boot', 'usr/sbin', 'usr/lib/modules', 'var', 'dev', 'proc', 'sys'])
    mkdirSync(path.join(mini, folder), { recursive: true });
  await run('ln', ['-s', 'usr/lib', path.join(mini, 'lib')], { logPath });
  for (const name of kept)
    cpSync(path.join(tree, name), path.join(mini, name), { recursive: true, verbatimSymlinks: true });
  cpSync(path.join(tree, 'boot', `initrd.img-${release}`), path.join(mini, 'boot', `initrd.img-${release}`));
  writeFileSync(path.join(mini, 'boot', `vmlinuz-${release}`), 'not a kernel\n');
  const from = path.join(tree, 'usr/lib/modules', release);
  const to = path.join(mini, 'usr/lib/modules', release);
  for (const module of modules.filter((name) => existsSync(path.join(from, 'kernel', name))))
    cpSync(path.join(from, 'kernel', module), path.join(to, 'kernel', module), { recursive: true });
  for (const name of ['modules.builtin', 'modules.builtin.modinfo', 'modules.order'])
    cpSync(path.join(from, name), path.join(to, name));
  await run('depmod', ['-b', mini, release], { logPath });
  await run('tar', ['-C', mini, '-cf', path.join(target, 'mini.tar'), '.'], { logPath });
  rmSync(mini, { recursive: true });
  return 'mini.tar';
}
