/** Who has an image open, seen from outside the target server. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { limitsFor } from '../programs/limits';
import { ProgramError, runProgram } from '../programs/run';

export interface Holder {
  readonly pid: number;
  readonly program: string;
}

/** Tries to open the image for writing, as a new machine would; true when QEMU's lock says that somebody has it open. */
export async function isLocked(path: string, options: { signal?: AbortSignal | undefined } = {}): Promise<boolean> {
  try {
    await runProgram('qemu-io', ['-f', 'qcow2', '-c', 'read 0 512', path], {
      timeoutMs: 60_000,
      signal: options.signal,
      limits: limitsFor.chain,
    });
    return false;
  } catch (error) {
    if (error instanceof ProgramError && /Failed to get .*lock/.test(error.stderr)) return true;
    throw error;
  }
}

/** Processes that have the file open, as far as this user may see. */
export async function holdersOf(path: string): Promise<Holder[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const holders = await Promise.all(
    pids.map(async (pid) => {
      const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
      const links = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
      if (!links.includes(path)) return undefined;
      const program = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
      return { pid: Number(pid), program };
    }),
  );
  return holders.filter((holder) => holder !== undefined);
}
