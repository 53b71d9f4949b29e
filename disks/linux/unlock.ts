/** Opens LUKS volumes with the keys that the order refers to. No key stands in an argument, a message or a log. */
import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { printable } from '../guestfish-words';
import type { Guestfish } from '../guestfish';

/** cryptsetup's word for a key that fits no slot; everything else is about the volume or the appliance. */
const wrongKey = /No key available|status 2\b/;

/**
 * Tries each key; the opened volume's device, or why it stays closed.
 *
 * @throws TransientError when the appliance fails.
 */
export async function openVolume(
  guest: Guestfish,
  device: string,
  name: string,
  keys: readonly Uint8Array[],
): Promise<{ device: string } | { locked: string }> {
  // Goes into a command of the appliance's shell; LVM and the kernel use no other characters.
  if (!/^\/dev\/[A-Za-z0-9/._+-]+$/.test(device)) return { locked: `it has an unusual name: ${printable(device)}` };
  if (keys.length === 0) return { locked: 'no key was given' };
  const told: string[] = [];
  for (const key of keys) {
    const said = await openWith(guest, device, name, key);
    if (said === null) return { device: `/dev/mapper/${name}` };
    if (!wrongKey.test(said)) told.push(printable(said));
  }
  const many = keys.length === 1 ? 'the key that was given does not fit' : `none of the ${keys.length} keys fits`;
  return { locked: told.length === 0 ? many : told.join('; ') };
}

/**
 * null: it is open. Twice where something else than the key was in the way: right after another key had been refused, cryptsetup once
 * found no header on a volume whose header it had just read (seen on a busy machine; it was there the next time).
 */
async function openWith(guest: Guestfish, device: string, name: string, key: Uint8Array): Promise<string | null> {
  const open = () => (isOneLine(key) ? guest.openEncrypted(device, name, key) : openWithFile(guest, device, name, key));
  const said = await open();
  if (said === null || wrongKey.test(said)) return said;
  await guest.attempt('udev-settle');
  return open();
}

/** guestfish takes a key as one line of text. */
const isOneLine = (key: Uint8Array) => key.length > 0 && !key.includes(0) && !key.includes(0x0a) && !key.includes(0x0d);

/** Key files with any bytes: a file in the appliance's memory (/run), put there through one on the host that is removed at once. */
async function openWithFile(guest: Guestfish, device: string, name: string, key: Uint8Array): Promise<string | null> {
  const inside = `/run/muster-${randomBytes(8).toString('hex')}`;
  await mkdir(guest.temporaryFolder, { recursive: true, mode: 0o700 });
  const outside = join(guest.temporaryFolder, `key-${randomBytes(8).toString('hex')}`);
  try {
    await writeFile(outside, key, { mode: 0o600, flag: 'wx' });
    await guest.ask('debug-upload', [outside, inside.slice(1), '0600']);
  } finally {
    await rm(outside, { force: true });
  }
  const command = `cryptsetup open --type luks --key-file ${inside} ${device} ${name} 2>&1; rm -f ${inside}`;
  const said = (await guest.ask('debug', ['sh', command], 15 * 60_000)).trim();
  const { error } = await guest.attempt('blockdev-getsize64', [`/dev/mapper/${name}`]);
  return error === null ? null : said || error;
}
