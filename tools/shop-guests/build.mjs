/**
 * Builds the three servers of the shop once and keeps them in the cache (README.md says what is in them).
 *
 *     node tools/shop-guests/build.mjs     prints the images' paths as JSON; builds them first when they are missing
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { demoGuest, demoGuestStatus } from '../demo-guest/build.mjs';
import { cacheRoot, readableFolder, withLock } from '../shared/cache.mjs';
import { run } from '../shared/programs.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const files = path.join(here, 'files');

/** From the bottom up: each asks the one before it. Addresses of RFC 5737's TEST-NET-1, so that no network has them. */
export const shopServers = [
  { name: 'shop-db', tier: 'db', address: '192.0.2.11', port: 7001, asks: null },
  { name: 'shop-app', tier: 'app', address: '192.0.2.12', port: 7002, asks: '192.0.2.11:7001' },
  { name: 'shop-web', tier: 'web', address: '192.0.2.13', port: 80, asks: '192.0.2.12:7002' },
];

/** Name of each server -> path of its image, or undefined when one is missing. */
export function shopGuestsStatus() {
  const paths = imagePaths();
  return Object.values(paths).every((image) => existsSync(image)) ? paths : undefined;
}

/**
 * The images by server, built when the cache has none. Each stands on the demo guest's image; none must ever be written: start
 * machines from overlays. Several builders may run at once.
 *
 * @throws Error as demoGuest does, or ProgramFailed naming guestfish's log.
 */
export async function shopGuests({ progress = (line) => process.stderr.write(`${line}\n`) } = {}) {
  const { imagePath: base } = await demoGuest({ progress });
  const before = shopGuestsStatus();
  if (before) return before;
  const folder = readableFolder(shopFolder());
  const onWait = () => progress('shop guests: another process is building them; waiting');
  return withLock(
    path.join(folder, 'build.lock'),
    onWait,
    async () => shopGuestsStatus() ?? build(folder, base, progress),
  );
}

const shopFolder = () => path.join(cacheRoot(), 'shop-guests');

function imagePaths() {
  const hash = inputsHash();
  return Object.fromEntries(shopServers.map(({ name }) => [name, path.join(shopFolder(), `${name}-${hash}.qcow2`)]));
}

async function build(folder, base, progress) {
  progress('shop guests: three servers of the demo guest (about 40 s)');
  for (const name of readdirSync(folder).filter((entry) => entry.startsWith('building-')))
    rmSync(path.join(folder, name), { recursive: true, force: true });
  const work = mkdtempSync(path.join(folder, 'building-'));
  const logPath = path.join(folder, 'build.log');
  writeFileSync(logPath, '');
  try {
    const drives = [];
    for (const server of shopServers) {
      const image = path.join(work, `${server.name}.qcow2`);
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', image], { logPath });
      drives.push(image);
    }
    await run('guestfish', ['--no-progress-bars'], {
      logPath,
      env: guestfishEnv(),
      input: script(drives, work),
      timeoutMs: 10 * 60_000,
    });
    const paths = imagePaths();
    shopServers.forEach(({ name }, index) => {
      chmodSync(drives[index], 0o444);
      renameSync(drives[index], paths[name]);
    });
    progress('shop guests: ready');
    return paths;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function guestfishEnv() {
  const env = { LIBGUESTFS_BACKEND: 'direct' };
  if (!process.env.LIBGUESTFS_BACKEND_SETTINGS) env.LIBGUESTFS_BACKEND_SETTINGS = 'force_tcg';
  return env;
}

/** One start of the appliance for all three. Texts go through files: guestfish has escapes of its own. */
function script(drives, work) {
  const each = shopServers.flatMap((server, index) => {
    const texts = path.join(work, server.name);
    mkdirSync(texts);
    const put = (name, text, place) => {
      writeFileSync(path.join(texts, name), text, { mode: 0o644 });
      return [`upload ${path.join(texts, name)} ${place}`, `chmod 0644 ${place}`];
    };
    return [
      `mount /dev/sd${'abc'[index]}1 /`,
      ...put('hostname', `${server.name}\n`, '/etc/hostname'),
      ...put('hosts', hosts(server), '/etc/hosts'),
      ...put('network', network(server), '/etc/systemd/network/10-lan.network'),
      ...put('shop.conf', config(server), '/etc/shop.conf'),
      'mkdir-p /etc/systemd/system.conf.d',
      ...put('patience.conf', patience, '/etc/systemd/system.conf.d/patience.conf'),
      `upload ${path.join(files, 'shop')} /usr/local/bin/shop`,
      'chmod 0755 /usr/local/bin/shop',
      `upload ${path.join(files, 'shop.service')} /etc/systemd/system/shop.service`,
      'chmod 0644 /etc/systemd/system/shop.service',
      'ln-sf /etc/systemd/system/shop.service /etc/systemd/system/multi-user.target.wants/shop.service',
      // Orders are kept by the database alone.
      ...(server.tier === 'db' ? [] : ['rm-f /etc/systemd/system/multi-user.target.wants/counter.service']),
      'umount-all',
    ];
  });
  return [...drives.map((image) => `add-drive ${image} format:qcow2`), 'run', ...each, 'shutdown', ''].join('\n');
}

const hosts = ({ name }) =>
  `127.0.0.1 localhost\n127.0.1.1 ${name}\n${shopServers.map((one) => `${one.address} ${one.name}\n`).join('')}`;

const config = ({ tier, port, asks }) => `tier=${tier}\nport=${port}\n${asks === null ? '' : `ask=${asks}\n`}`;

/** Three that boot at once on two emulated processors, which others use too, find their disks later than in systemd's 90 s. */
const patience = '[Manager]\nDefaultTimeoutStartSec=15min\nDefaultDeviceTimeoutSec=15min\n';

/** By the name of the card on the machine that it was made for, as the demo guest has it: other hardware needs inoculation. */
const network = ({ address }) =>
  `[Match]\nName=enp1s0\n\n[Network]\nAddress=${address}/24\nConfigureWithoutCarrier=yes\n`;

/** A change to a file of this folder, or to the demo guest beneath, makes other images. */
function inputsHash() {
  const hash = createHash('sha256').update(demoGuestStatus().name);
  for (const file of [fileURLToPath(import.meta.url), ...readdirSync(files).map((name) => path.join(files, name))])
    hash.update(`${path.basename(file)}\0`).update(readFileSync(file));
  return hash.digest('hex').slice(0, 12);
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  shopGuests()
    .then((paths) => console.log(JSON.stringify(paths, null, 2)))
    .catch((error) => {
      console.error(error.message);
      process.exitCode = 1;
    });
