/**
 * Editing a hive of a mounted guest: copied out, merged by hivexregedit on the host, put back.
 *
 * hivex has read the hive in the appliance before, but its writer is on the host, and a guest's bytes are hostile: it runs
 * with limits on time, memory and files, without privileges, as nobody and without a network where Muster is root.
 *
 * The hive keeps its place in the filesystem, because with it go its rights. So that a worker lost in mid-write leaves no
 * half hive, the old one lies beside it until the new one is verified, and `restoreHives` puts it back.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chown, lstat, mkdir, mkdtemp } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { OperatorError, PermanentError, TransientError } from '../../model/errors';
import { limitsFor } from '../../programs/limits';
import { ProgramError, runProgram } from '../../programs/run';
import type { Guestfish } from '../guestfish';
import { printable } from '../guestfish-words';

/** User and group of nobody and nogroup, in Debian and in every container. */
const nobody = 65_534;
const mergeTimeoutMs = 120_000;
const transferTimeoutMs = 10 * 60_000;

export const oldHive = (path: string): string => `${path}.muster-old`;
const halfCopy = (path: string): string => `${path}.muster-copy`;

/** Replaces the hive's content by what it is with `text` merged; the old one stays beside it until `forgetOldHive`. */
export async function editHive(
  guest: Guestfish,
  path: string,
  text: string,
  options: { scratch: string; signal?: AbortSignal | undefined },
): Promise<void> {
  await mkdir(options.scratch, { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(join(options.scratch, 'hive-'));
  const local = join(folder, 'hive');
  await guest.ask('download', [path, local], transferTimeoutMs);
  await merge(folder, text, path, options.signal);
  const sha256 = await digestOf(local);
  await guest.ask('cp', [path, halfCopy(path)], transferTimeoutMs);
  await guest.ask('mv', [halfCopy(path), oldHive(path)]);
  await guest.ask('upload', [local, path], transferTimeoutMs);
  const written = (await guest.ask('checksum', ['sha256', path], transferTimeoutMs)).trim();
  if (written === sha256) return;
  throw new PermanentError({
    what: `${printable(path)} in the guest does not read back`,
    found: `sha256 ${written}`,
    needed: sha256,
    remedy: 'Decide "retry" once; the old hive is put back before.',
  });
}

/** The new hive is verified: the old one goes. */
export async function forgetOldHive(guest: Guestfish, path: string): Promise<void> {
  await guest.ask('rm-f', [oldHive(path)]);
}

/** True where an attempt that was lost left an old hive beside it. */
export async function wasInterrupted(guest: Guestfish, path: string): Promise<boolean> {
  return (await guest.ask('is-file', [oldHive(path)])).trim() === 'true';
}

/** Puts back what a lost attempt left; the volume is mounted for writing. */
export async function restoreHive(guest: Guestfish, path: string): Promise<void> {
  if (!(await wasInterrupted(guest, path))) return;
  await guest.ask('cp', [oldHive(path), path], transferTimeoutMs);
  await guest.ask('rm-f', [oldHive(path)]);
}

async function merge(folder: string, text: string, path: string, signal: AbortSignal | undefined): Promise<void> {
  const asRoot = process.getuid?.() === 0;
  const local = join(folder, 'hive');
  if (asRoot) for (const one of [folder, local]) await chown(one, nobody, nobody);
  const { file, args } = confined(asRoot, asRoot && (await canLeaveNetwork()));
  try {
    // A relative name: nobody may not pass the folders above.
    await runProgram(file, [...args, 'hivexregedit', '--merge', 'hive'], {
      ...{ cwd: folder, input: text, timeoutMs: mergeTimeoutMs, signal, limits: limitsFor.hive },
    });
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof ProgramError) throw mergeFailed(path, error);
    throw error;
  }
  // What ran was not trusted: a link in place of the file would make Muster read what the link names.
  const left = await lstat(local);
  if (!left.isFile() || left.nlink !== 1)
    throw new PermanentError(`hivexregedit left no plain file of ${basename(path)}`);
}

/** The program and its first arguments: fewer rights. */
function confined(asRoot: boolean, withoutNetwork: boolean): { file: string; args: string[] } {
  const rights = ['setpriv', '--no-new-privs', '--pdeathsig', 'KILL'];
  const root = [`--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--inh-caps=-all', '--bounding-set=-all'];
  const lowered = [...rights, ...(asRoot ? root : []), '--'];
  const all = withoutNetwork ? ['unshare', '--net', '--', ...lowered] : lowered;
  return { file: all[0]!, args: all.slice(1) };
}

let leavesNetwork: Promise<boolean> | undefined;

/** Containers may forget the right to make a network namespace: asked once. */
function canLeaveNetwork(): Promise<boolean> {
  leavesNetwork ??= runProgram('unshare', ['--net', '--', 'true'], { timeoutMs: 10_000 }).then(
    () => true,
    () => false,
  );
  return leavesNetwork;
}

function mergeFailed(path: string, error: ProgramError): Error {
  const said = printable(error.stderr.trim().split('\n')[0] ?? error.shortMessage);
  if (error.code === 'ENOENT' || error.exitCode === 127) {
    return new OperatorError({
      what: 'hivexregedit cannot be started',
      needed: 'the packages libhivex-bin and libwin-hivex-perl on this host',
      remedy: 'Install them: apt-get install libhivex-bin libwin-hivex-perl. Then retry.',
    });
  }
  if (error.timedOut || error.exitCode === undefined) {
    return new TransientError({
      what: `${basename(path)} could not be edited`,
      found: error.shortMessage.slice(0, 200),
    });
  }
  return new OperatorError({
    what: `hivexregedit cannot edit ${printable(path)}`,
    found: said,
    needed: 'a whole registry hive',
    remedy: 'Choose another recovery point, or edit the registry by hand (docs/windows.md) and skip this step.',
  });
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
