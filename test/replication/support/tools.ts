/** Independent readers: everything asserted about a replica is asked of the system's own tools, not of our code. */
import { execFile } from 'node:child_process';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** A program that hangs ends its test with its name, and not the time of the test. */
const ended = { timeout: 240_000, killSignal: 'SIGKILL' } as const;

export async function sh(program: string, ...args: string[]): Promise<string> {
  return (
    await run(program, args, { ...ended, env: { ...process.env, LC_ALL: 'C' }, maxBuffer: 16 * 1024 * 1024 })
  ).stdout.trim();
}

/** Exit code of a program that may fail. */
export async function exitCodeOf(program: string, ...args: string[]): Promise<number> {
  return run(program, args, { ...ended, env: { ...process.env, LC_ALL: 'C' } }).then(
    () => 0,
    (error: { code: number }) => error.code,
  );
}

export async function write(image: string, pattern: number, offset: string, length: string): Promise<void> {
  await sh('qemu-io', '-f', 'qcow2', '-c', `write -P ${pattern} ${offset} ${length}`, image);
}

export async function same(a: string, formatA: string, b: string, formatB: string): Promise<boolean> {
  return (await exitCodeOf('qemu-img', 'compare', '-U', '-q', '-f', formatA, '-F', formatB, a, b)) === 0;
}

/** blkid's TYPE at an offset of a raw file; empty where it knows nothing. */
export async function typeAt(raw: string, offset: number, size: number): Promise<string> {
  return run('blkid', ['-p', '-o', 'value', '-s', 'TYPE', '-O', String(offset), '-S', String(size), raw]).then(
    (result) => result.stdout.trim(),
    () => '',
  );
}

/** A raw file with the bytes put over it. */
export async function patched(raw: string, pieces: readonly { offsetBytes: number; hex: string }[]): Promise<string> {
  const copy = `${raw}.patched`;
  await sh('cp', '--sparse=always', raw, copy);
  const file = await open(copy, 'r+');
  for (const piece of pieces) {
    const bytes = Buffer.from(piece.hex, 'hex');
    await file.write(bytes, 0, bytes.length, piece.offsetBytes);
  }
  await file.close();
  return copy;
}
