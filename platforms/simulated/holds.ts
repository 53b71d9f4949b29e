/** Who has a disk's file open: the simulated site's counterpart of QEMU's image lock, a file beside the disk. */
import { rm } from 'node:fs/promises';
import { OperatorError } from '../../model/errors';
import { withFileLock } from '../file-lock';
import { readJson, writeJson } from '../json-file';

/** `machine:<name>` or `target-server:<server id>`. */
export type Holder = `machine:${string}` | `target-server:${string}`;

/** Opens the file for that holder. Held by it: already so. @throws OperatorError naming another holder. */
export async function holdDisk(path: string, holder: Holder): Promise<void> {
  await withFileLock(`hold ${path}`, async () => {
    const now = await holderOf(path);
    if (now === holder) return;
    if (now) throw inUse(path, now);
    await writeJson(holdFile(path), { holder }, { alone: true });
  });
}

/** Closes the file for that holder; another's hold stays. True when something changed. */
export async function dropHold(path: string, holder: Holder): Promise<boolean> {
  return withFileLock(`hold ${path}`, async () => {
    if ((await holderOf(path)) !== holder) return false;
    await rm(holdFile(path), { force: true });
    return true;
  });
}

export async function holderOf(path: string): Promise<Holder | undefined> {
  return (await readJson<{ holder: Holder }>(holdFile(path)))?.holder;
}

/** Same file, other program: the message of QEMU's lock in the words of Muster. */
export function inUse(path: string, holder: string): OperatorError {
  return new OperatorError({
    what: `disk ${path} cannot be opened for writing`,
    found: `it is held by ${holder}`,
    needed: 'nobody else having it open',
    remedy: `Let ${holder} release the disk (switch the machine off, or hand the disk over), then retry.`,
  });
}

function holdFile(path: string): string {
  return `${path}.hold`;
}
