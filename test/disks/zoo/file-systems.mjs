/** File systems filled from folders without mounting anything. */
import { lstatSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from '../../../tools/shared/programs.mjs';

export const makeExt4 = (target, mebibytes, folder, uuid, logPath) =>
  run(
    'mke2fs',
    [
      '-q',
      '-F',
      '-t',
      'ext4',
      '-O',
      '^metadata_csum_seed,^orphan_file',
      '-U',
      uuid,
      '-d',
      folder,
      target,
      `${mebibytes}M`,
    ],
    {
      logPath,
    },
  );

export async function makeBtrfs(target, mebibytes, folder, uuid, logPath) {
  await run('truncate', ['-s', `${mebibytes}M`, target], { logPath });
  await run('mkfs.btrfs', ['-q', '-U', uuid, '--rootdir', folder, target], { logPath });
}

/** An EFI system partition with these files: path in it -> file on this host. */
export async function makeFat(target, mebibytes, files, logPath, serial) {
  await run('truncate', ['-s', `${mebibytes}M`, target], { logPath });
  await run('mkfs.vfat', ['-n', 'ESP', '-i', serial, target], { logPath });
  const folders = new Set();
  for (const name of Object.keys(files)) {
    const parts = name.split('/').slice(0, -1);
    parts.forEach((_part, depth) => folders.add(parts.slice(0, depth + 1).join('/')));
  }
  for (const folder of folders) await run('mmd', ['-i', target, `::${folder}`], { logPath });
  for (const [name, file] of Object.entries(files)) await run('mcopy', ['-i', target, file, `::${name}`], { logPath });
}

/** mkfs.xfs fills a new filesystem from a prototype file (mkfs.xfs(8), -p); it runs in the tree, which has it. */
export async function makeXfs(target, mebibytes, tree, uuid, logPath) {
  const inside = '/zoo.xfs';
  writeFileSync(path.join(tree, 'zoo.proto'), `/none\n0 0\n${prototype(tree)}`);
  await run('truncate', ['-s', `${mebibytes}M`, path.join(tree, inside)], { logPath });
  await run('chroot', [tree, 'mkfs.xfs', '-q', '-m', `uuid=${uuid}`, '-p', '/zoo.proto', inside], { logPath });
  await run('mv', [path.join(tree, inside), target], { logPath });
}

const kinds = { directory: 'd', file: '-', link: 'l' };

/** One line a file: name, type and mode, owner, group, where its content is. Device nodes are udev's to make. */
function prototype(tree) {
  const lines = [];
  const entry = (stat, kind) => {
    const special = `${stat.mode & 0o4000 ? 'u' : '-'}${stat.mode & 0o2000 ? 'g' : '-'}`;
    return `${kinds[kind]}${special}${(stat.mode & 0o777).toString(8).padStart(3, '0')} ${stat.uid} ${stat.gid}`;
  };
  const walk = (folder, depth) => {
    for (const name of readdirSync(path.join(tree, folder)).sort()) {
      const here = `${folder}/${name}`;
      const indent = ' '.repeat(depth);
      if (/\s/.test(name) || here === '/zoo.proto' || here === '/zoo.xfs') continue;
      const stat = lstatSync(path.join(tree, here));
      if (stat.isDirectory()) {
        lines.push(`${indent}${name} ${entry(stat, 'directory')}`);
        walk(here, depth + 1);
        lines.push(`${indent}$`);
      } else if (stat.isFile()) lines.push(`${indent}${name} ${entry(stat, 'file')} ${here}`);
      else if (stat.isSymbolicLink())
        lines.push(`${indent}${name} ${entry(stat, 'link')} ${readlinkSync(path.join(tree, here))}`);
    }
  };
  walk('', 1);
  return `${entry(lstatSync(tree), 'directory')}\n${lines.join('\n')}\n$\n`;
}

/** Puts a file system's bytes at an offset of a disk. */
export const place = (from, disk, offsetMebibytes, logPath) =>
  run('dd', [`if=${from}`, `of=${disk}`, 'bs=1M', `seek=${offsetMebibytes}`, 'conv=notrunc,sparse', 'status=none'], {
    logPath,
  });

/** One guestfish with these drives, in order. */
export function guestfish(drives, commands, logPath) {
  const script = [
    ...drives.map((drive) => `add-drive ${drive} format:raw`),
    'run',
    ...commands,
    'umount-all',
    'shutdown',
  ];
  const env = { LIBGUESTFS_BACKEND: 'direct', LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg', LIBGUESTFS_MEMSIZE: '768' };
  return run('guestfish', ['--no-progress-bars'], {
    logPath,
    env,
    input: `${script.join('\n')}\n`,
    timeoutMs: 20 * 60_000,
  });
}
