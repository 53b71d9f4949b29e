/**
 * Makes app01's image of a folder: file systems filled by `mke2fs -d`, partitions by sfdisk, boot loader by the guest's
 * own grub-install in the libguestfs appliance. No loop devices, which containers often lack.
 */
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { run } from '../shared/programs.mjs';

const mebibyte = 1024 * 1024;
const sectorBytes = 512;

/** Where everything lies on the disk. The gap before the first partition takes GRUB's core image. */
export const layout = {
  sizeBytes: 3072 * mebibyte,
  root: { device: '/dev/sda1', offsetBytes: mebibyte, sizeBytes: 2814 * mebibyte, label: 'app01-root' },
  data: { device: '/dev/sda2', offsetBytes: 2815 * mebibyte, sizeBytes: 256 * mebibyte, label: 'app01-data' },
};

const partitionTable = [
  'label: dos',
  ...[layout.root, layout.data].map(
    ({ offsetBytes, sizeBytes }, index) =>
      `start=${offsetBytes / sectorBytes}, size=${sizeBytes / sectorBytes}, type=83${index === 0 ? ', bootable' : ''}`,
  ),
].join('\n');

/**
 * Writes the qcow2 image to `imagePath`, which must not be used by anybody yet.
 *
 * @throws ProgramFailed naming the tool that failed and the log.
 */
export async function assembleImage({ rootFolder, workFolder, imagePath, uuids, logPath, progress }) {
  const raw = path.join(workFolder, 'disk.raw');
  const options = { logPath };
  progress('file systems');
  // The data volume starts empty; systemd (StateDirectory) gives it to the service's user.
  const dataFolder = path.join(workFolder, 'data');
  mkdirSync(dataFolder);
  mkdirSync(path.join(rootFolder, 'var/lib/counter'));
  await run('truncate', ['--size', String(layout.sizeBytes), raw], options);
  await run('sfdisk', ['--quiet', raw], { ...options, input: partitionTable });
  await makeFileSystem(raw, layout.root, rootFolder, uuids.root, options);
  await makeFileSystem(raw, layout.data, dataFolder, uuids.data, options);
  rmSync(rootFolder, { recursive: true });
  progress('boot loader');
  await installBootLoader(raw, options);
  progress('image');
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, imagePath], options);
}

/** Features younger than Debian 12's GRUB and kernel are left out, whatever the build host's defaults are. */
function makeFileSystem(raw, volume, folder, uuid, options) {
  const features = '^metadata_csum_seed,^orphan_file';
  const place = `offset=${volume.offsetBytes},lazy_itable_init=0,lazy_journal_init=0`;
  return run(
    'mke2fs',
    ['-q', '-F', '-t', 'ext4', '-b', '4096', '-O', features, '-E', place, '-L', volume.label, '-U', uuid].concat([
      '-d',
      folder,
      raw,
      `${volume.sizeBytes / 1024}k`,
    ]),
    options,
  );
}

/**
 * The appliance is the only place where the guest's own grub-install and update-grub see the image as a disk.
 *
 * Its kernel names the image's disk sda or sdb, whichever is found first (seen in one build of three); libguestfs hides
 * that from its own commands, not from programs in the guest, so the disk is looked up from what / stands on.
 */
function installBootLoader(raw, options) {
  const script = [
    `add-drive ${raw} format:raw`,
    'run',
    'mount /dev/sda1 /',
    'sh "grub-install --target=i386-pc --no-floppy $(findmnt -n -o SOURCE / | tr -d 0-9)"',
    'command "update-grub"',
    'command "test -s /boot/grub/grub.cfg"',
    'umount-all',
    'shutdown',
  ];
  const env = { LIBGUESTFS_BACKEND: 'direct' };
  if (!process.env.LIBGUESTFS_BACKEND_SETTINGS) env.LIBGUESTFS_BACKEND_SETTINGS = 'force_tcg';
  return run('guestfish', ['--no-progress-bars'], {
    ...options,
    env,
    input: `${script.join('\n')}\n`,
    timeoutMs: 10 * 60_000,
  });
}
