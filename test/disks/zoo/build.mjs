/**
 * Builds the guests that tests inoculate besides the demo guest, once, and keeps them in the cache (README.md says what is
 * in them).
 *
 *     node test/disks/zoo/build.mjs      prints what is there; builds it first when it is missing
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { demoGuest, demoGuestStatus } from '../../../tools/demo-guest/build.mjs';
import { cacheRoot, readableFolder, withLock } from '../../../tools/shared/cache.mjs';
import { biosLuks } from './bios-luks.mjs';
import { uefiLvm } from './uefi-lvm.mjs';
import { miniTree } from './mini.mjs';
import { copyTree, extractDemoRoot, fetchLists, installPackages, thinModules } from './trees.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));

/** Where the guests are or will be: the folder's name carries a hash of everything that they are made of. */
export function zooStatus() {
  const folder = path.join(cacheRoot(), 'zoo', `zoo-${inputsHash()}`);
  const factsPath = path.join(folder, 'facts.json');
  const facts = existsSync(factsPath) ? JSON.parse(readFileSync(factsPath, 'utf8')) : undefined;
  return { folder, zoo: facts === undefined ? undefined : { folder, ...facts } };
}

/**
 * The guests, built first when the cache has none: {folder, kernelRelease, uefiLvm, biosLuks, miniTar}. Their images are
 * qcow2 files that must never be written: use overlays. Several builders may run at once.
 *
 * @throws Error naming the log of the build.
 */
export async function zoo({ progress = (line) => process.stderr.write(`${line}\n`) } = {}) {
  const before = zooStatus();
  if (before.zoo) return before.zoo;
  const demo = await demoGuest({ progress });
  const parent = readableFolder(path.dirname(zooStatus().folder));
  const onWait = () => progress('test guests: another process is building them; waiting');
  return withLock(
    path.join(parent, 'build.lock'),
    onWait,
    async () => zooStatus().zoo ?? build(parent, demo, progress),
  );
}

async function build(parent, demo, progress) {
  for (const name of readdirSync(parent).filter((entry) => entry.startsWith('building-')))
    rmSync(path.join(parent, name), { recursive: true, force: true });
  const work = mkdtempSync(path.join(parent, 'building-'));
  const logPath = path.join(parent, 'build.log');
  writeFileSync(logPath, '');
  const started = Date.now();
  const step = (what) => progress(`test guests: ${what} (${Math.round((Date.now() - started) / 1000)} s)`);
  const target = path.join(work, 'zoo');
  const context = { work, target, release: demo.kernelRelease, logPath, step };
  try {
    readableFolder(target);
    step('packages');
    const { plain, dracut } = await makeTrees(context, demo.imagePath);
    const facts = {
      kernelRelease: demo.kernelRelease,
      miniTar: await miniTree(context, plain),
      biosLuks: await biosLuks(context, plain),
      uefiLvm: await uefiLvm(context, dracut),
    };
    writeFileSync(path.join(target, 'facts.json'), `${JSON.stringify(facts, null, 2)}\n`);
    for (const name of readdirSync(target)) chmodSync(path.join(target, name), 0o444);
    const { folder } = zooStatus();
    renameSync(target, folder);
    step('ready');
    return { folder, ...facts };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function makeTrees({ work, release, logPath }, imagePath) {
  const plain = path.join(work, 'plain');
  await extractDemoRoot({ imagePath, rawPath: path.join(work, 'demo.raw'), folder: plain, logPath });
  await thinModules(plain, release, logPath);
  await fetchLists(plain, logPath);
  const dracut = await copyTree(plain, path.join(work, 'dracut'), logPath);
  await installPackages(plain, ['cryptsetup-initramfs', 'btrfs-progs', 'ifupdown'], logPath);
  await installPackages(
    dracut,
    ['dracut', 'lvm2', 'xfsprogs', 'grub-efi-amd64-signed', 'shim-signed', 'network-manager'],
    logPath,
  );
  return { plain, dracut };
}

/** A change to any file of the builder, or of the demo guest's, makes others. */
function inputsHash() {
  const hash = createHash('sha256').update(demoGuestStatus().name);
  for (const name of readdirSync(here)
    .filter((entry) => entry.endsWith('.mjs'))
    .sort())
    hash
      .update(`${name}\0`)
      .update(readFileSync(path.join(here, name)))
      .update('\0');
  return hash.digest('hex').slice(0, 12);
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  zoo().then(
    (found) => process.stdout.write(`${JSON.stringify(found, null, 2)}\n`),
    (error) => {
      process.stderr.write(`${error.message}\n`);
      process.exitCode = 1;
    },
  );
