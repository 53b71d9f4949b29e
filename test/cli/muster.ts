/** Runs `bin/muster` as a person's shell would, without a terminal. */
import { execa } from 'execa';
import { join } from 'node:path';

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const root = join(__dirname, '..', '..');

/**
 * Started, for who wants to see what it prints meanwhile, and may watch it for as long as the longest test lasts. Only these
 * variables: a developer's own configuration changes nothing.
 */
export const startMuster = (args: readonly string[], env: Record<string, string> = {}, timeout = 170_000) =>
  execa('node', [join(root, 'bin', 'muster'), ...args], {
    reject: false,
    extendEnv: false,
    env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', MUSTER_DATA_FOLDER: '/nonexistent/muster', ...env },
    cwd: root,
    timeout,
  });

export async function muster(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  // Less than a test may take: what a command that hangs has printed is to be seen.
  const result = await startMuster(args, env, 100_000);
  return { exitCode: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr };
}

export function longestLine(text: string): number {
  return Math.max(...text.split('\n').map((line) => [...line].length));
}
