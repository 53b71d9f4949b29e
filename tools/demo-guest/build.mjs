/**
 * Builds the demo's source server `app01` once and keeps it in the cache (README.md says what is in it).
 *
 *     node tools/demo-guest/build.mjs            prints the image's path; builds it first when it is missing
 *     node tools/demo-guest/build.mjs --status   says whether it is there; exit code 3 when it is not
 */
import { createHash, randomUUID } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheRoot, readableFolder, withLock } from '../shared/cache.mjs';
import { findProgram, run } from '../shared/programs.mjs';
import { assembleImage, layout } from './image.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const suite = 'bookworm';
const mirror = process.env.MUSTER_DEBIAN_MIRROR ?? 'http://deb.debian.org/debian';

/** The guest's packages beyond Debian's minimum. */
const guestPackages = [
  'dbus', // systemd-logind, which answers the power button
  'e2fsprogs',
  'grub-pc',
  'initramfs-tools',
  'iproute2',
  'kmod',
  'linux-image-amd64', // not the cloud kernel: that one has neither AHCI nor VMware's drivers
  'python3-minimal',
  'qemu-guest-agent',
  'systemd-sysv',
  'udev',
  'zstd',
];

/** What the build needs on the host, and the Debian package that has it. */
const hostPrograms = {
  flock: 'util-linux',
  mmdebstrap: 'mmdebstrap',
  sfdisk: 'fdisk',
  mke2fs: 'e2fsprogs',
  guestfish: 'guestfish',
  'qemu-img': 'qemu-utils',
};

/** Where the image is or will be: its name carries a hash of everything the build is made of. */
export function demoGuestStatus() {
  const folder = path.join(cacheRoot(), 'demo-guest');
  const name = `app01-${inputsHash()}`;
  const factsPath = path.join(folder, `${name}.json`);
  const facts = existsSync(factsPath) ? JSON.parse(readFileSync(factsPath, 'utf8')) : undefined;
  const imagePath = path.join(folder, `${name}.qcow2`);
  return {
    folder,
    name,
    imagePath,
    factsPath,
    guest: facts && existsSync(imagePath) ? { imagePath, ...facts } : undefined,
  };
}

/**
 * The demo guest, built first when the cache has none: {imagePath, kernelRelease, sizeBytes, fileBytes, rootUuid, dataUuid,
 * builtAt}. The image must never be written: start machines from an overlay on it. Several builders may run at once.
 *
 * @throws Error naming the missing program or right and the command that provides it, or the build's log.
 */
export async function demoGuest({ progress = (line) => process.stderr.write(`${line}\n`) } = {}) {
  const before = demoGuestStatus();
  if (before.guest) return before.guest;
  checkHost();
  readableFolder(before.folder);
  const onWait = () => progress('demo guest: another process is building it; waiting');
  return withLock(
    path.join(before.folder, 'build.lock'),
    onWait,
    async () => demoGuestStatus().guest ?? build(progress),
  );
}

async function build(progress) {
  const { folder, name, imagePath, factsPath } = demoGuestStatus();
  removeAbandonedWork(folder);
  const workFolder = mkdtempSync(path.join(folder, 'building-'));
  const logPath = path.join(folder, `${name}.log`);
  writeFileSync(logPath, '');
  const started = Date.now();
  const step = (what) => progress(`demo guest: ${what} (${Math.round((Date.now() - started) / 1000)} s)`);
  const uuids = { root: randomUUID(), data: randomUUID() };
  try {
    step('Debian packages, about 90 s');
    const rootFolder = path.join(workFolder, 'root');
    await makeRootFolder(rootFolder, uuids, logPath);
    const kernelRelease = readdirSync(path.join(rootFolder, 'lib/modules'))[0];
    const unfinished = path.join(workFolder, 'app01.qcow2');
    await assembleImage({ rootFolder, workFolder, imagePath: unfinished, uuids, logPath, progress: step });
    const facts = {
      kernelRelease,
      sizeBytes: layout.sizeBytes,
      fileBytes: statSync(unfinished).blocks * 512,
      rootUuid: uuids.root,
      dataUuid: uuids.data,
      builtAt: new Date().toISOString(),
    };
    publish(unfinished, imagePath, factsPath, facts);
    step('ready');
    return { imagePath, ...facts };
  } finally {
    rmSync(workFolder, { recursive: true, force: true });
  }
}

function makeRootFolder(rootFolder, uuids, logPath) {
  const args = ['--variant=minbase', '--mode=root', `--include=${guestPackages.join(',')}`]
    .concat(['--dpkgopt=force-unsafe-io', '--dpkgopt=path-exclude=/usr/share/man/*'])
    .concat(['--dpkgopt=path-exclude=/usr/share/locale/*', '--dpkgopt=path-exclude=/usr/share/doc/*'])
    .concat(['--dpkgopt=path-include=/usr/share/doc/*/copyright'])
    .concat([`--customize-hook=${path.join(here, 'customize.sh')}`, suite, rootFolder, `deb ${mirror} ${suite} main`]);
  const env = { APP01_ROOT_UUID: uuids.root, APP01_DATA_UUID: uuids.data, TMPDIR: path.dirname(rootFolder) };
  return run('mmdebstrap', args, { logPath, env, timeoutMs: 20 * 60_000 });
}

/** The image first, its facts last: whoever sees the facts sees a whole image. Readable by libvirt-qemu, writable by nobody. */
function publish(unfinished, imagePath, factsPath, facts) {
  chmodSync(unfinished, 0o444);
  renameSync(unfinished, imagePath);
  writeFileSync(`${factsPath}.new`, `${JSON.stringify(facts, null, 2)}\n`, { mode: 0o644 });
  renameSync(`${factsPath}.new`, factsPath);
}

/** Called under the lock, so whoever made these is gone. */
function removeAbandonedWork(folder) {
  for (const name of readdirSync(folder).filter((entry) => entry.startsWith('building-')))
    rmSync(path.join(folder, name), { recursive: true, force: true });
}

function checkHost() {
  const missing = Object.entries(hostPrograms).filter(([program]) => !findProgram(program));
  if (missing.length > 0) {
    const packages = [...new Set(missing.map(([, name]) => name))].join(' ');
    throw new Error(
      `The demo guest cannot be built: ${missing.map(([program]) => program).join(', ')} not found. Run: ` +
        `sudo apt-get install --no-install-recommends ${packages}`,
    );
  }
  if (process.getuid?.() !== 0)
    throw new Error(
      'The demo guest cannot be built without root: its files belong to other users than you. Run once: ' +
        `sudo env MUSTER_CACHE=${cacheRoot()} ${process.execPath} ${path.join(here, 'build.mjs')}`,
    );
}

/** A change to any file of the builder, or to the packages or the suite above, makes another image. */
function inputsHash() {
  const hash = createHash('sha256');
  const names = readdirSync(here, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(md|d\.mts)$/.test(entry.name))
    .map((entry) => path.relative(here, path.join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
  for (const name of names)
    hash
      .update(`${name}\0`)
      .update(readFileSync(path.join(here, name)))
      .update('\0');
  return hash.digest('hex').slice(0, 12);
}

async function main(args) {
  if (args.includes('--status')) {
    const { guest, imagePath } = demoGuestStatus();
    console.log(guest ? JSON.stringify(guest) : `not built: ${imagePath}`);
    process.exitCode = guest ? 0 : 3;
    return;
  }
  console.log((await demoGuest()).imagePath);
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  main(process.argv.slice(2)).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
