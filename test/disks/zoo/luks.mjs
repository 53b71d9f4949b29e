/** Encrypts a file system into a LUKS2 container, without the kernel's device mapper, which containers lack. */
import { createCipheriv } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { run } from '../../../tools/shared/programs.mjs';

const sectorBytes = 4096;
const headerMebibytes = 16;
const chunkBytes = 1024 * 1024;

/** Few iterations, so that a test does not wait for the key. cryptsetup makes the container; the sectors are ours. */
export async function encryptInto(image, container, passphrase, logPath) {
  const mebibytes = Math.ceil(statSync(image).size / chunkBytes) + headerMebibytes;
  const [keyFile, volumeKey] = [`${container}.key`, `${container}.volume-key`];
  writeFileSync(keyFile, passphrase, { mode: 0o600 });
  await run('truncate', ['-s', `${mebibytes}M`, container], { logPath });
  const kind = [
    '--type',
    'luks2',
    '--cipher',
    'aes-xts-plain64',
    '--key-size',
    '512',
    '--sector-size',
    String(sectorBytes),
  ];
  const quick = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'];
  await run('cryptsetup', ['luksFormat', '-q', ...kind, ...quick, container, keyFile], { logPath });
  const dump = [
    'luksDump',
    '-q',
    '--dump-volume-key',
    '--volume-key-file',
    volumeKey,
    '--key-file',
    keyFile,
    container,
  ];
  await run('cryptsetup', dump);
  encryptSectors(image, container, readFileSync(volumeKey));
  for (const name of [keyFile, volumeKey]) rmSync(name);
  return mebibytes;
}

/** dm-crypt's plain64: the tweak is the number of the sector's first 512 bytes. Zeros are encrypted like everything else. */
function encryptSectors(image, container, key) {
  const [from, to] = [openSync(image, 'r'), openSync(container, 'r+')];
  const chunk = Buffer.alloc(chunkBytes);
  for (let at = 0; ; at += chunkBytes) {
    const bytes = readSync(from, chunk, 0, chunkBytes, at);
    if (bytes === 0) break;
    const sectors = [];
    for (let start = 0; start < bytes; start += sectorBytes) {
      const tweak = Buffer.alloc(16);
      tweak.writeBigUInt64LE(BigInt((at + start) / 512));
      sectors.push(createCipheriv('aes-256-xts', key, tweak).update(chunk.subarray(start, start + sectorBytes)));
    }
    const encrypted = Buffer.concat(sectors);
    writeSync(to, encrypted, 0, encrypted.length, headerMebibytes * 1024 * 1024 + at);
  }
  closeSync(from);
  closeSync(to);
}
