/** The demo acts through the same command line as its reader: what it shows is what it runs. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { quote } from '../../programs/run';
import { sayCommand, whileTold } from './telling';
import type { DemoPlace } from './place';

const program = join(__dirname, '..', '..', 'bin', 'muster');

export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
}

/** Shows the command, runs it with its output in the reader's terminal, and returns its exit code. */
export function showAndRun(place: DemoPlace, args: readonly string[]): Promise<number> {
  sayCommand(['muster', ...args].map(quote).join(' '));
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { env: place.env, stdio: 'inherit' });
    child.once('error', reject);
    child.once('exit', (code) => resolve(whileTold(code ?? 1)));
  });
}

/** The same, and the story cannot go on without its success. */
export async function mustRun(place: DemoPlace, args: readonly string[]): Promise<void> {
  const code = await showAndRun(place, args);
  if (code !== 0) throw new CommandFailed(`muster ${args[0]} ended with exit code ${code}`);
}

/** Runs quietly and returns what it printed as JSON. */
export function asJson<T>(place: DemoPlace, args: readonly string[]): Promise<T> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, '--json', ...args], {
      env: place.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      try {
        if (code === 0) return resolve(JSON.parse(stdout) as T);
        reject(new CommandFailed(`muster ${args.join(' ')} ended with exit code ${String(code)}: ${stderr.trim()}`));
      } catch (error) {
        reject(new CommandFailed(`muster ${args.join(' ')} printed no JSON: ${String(error)}`));
      }
    });
  });
}
