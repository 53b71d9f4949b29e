/** What every command that calls the API gets, and the one place where its errors end. */
import { InvalidArgumentError, type Command } from 'commander';
import { createClient, type Client } from './client';
import { findConnection } from './connection';
import { CliError, exitCodeOf } from './exit-codes';
import { createOutput, type Output } from './output';

export interface Context {
  readonly client: Client;
  readonly out: Output;
  readonly env: NodeJS.ProcessEnv;
}

export interface GlobalOptions {
  readonly url?: string;
  readonly json?: boolean;
}

/** An action of a command: gets its options (global ones included) and sets the exit code. */
export function action<O extends object, A extends unknown[]>(
  run: (context: Context, options: O, ...args: A) => Promise<void>,
): (...all: unknown[]) => Promise<void> {
  return async (...all) => {
    const command = all.at(-1) as Command;
    const args = all.slice(0, -2) as A;
    const options = command.optsWithGlobals<O & GlobalOptions>();
    const out = createOutput(options.json === true, process.stdout, process.env);
    try {
      const client = createClient(findConnection(options.url, process.env));
      await run({ client, out, env: process.env }, options, ...args);
    } catch (error) {
      process.exitCode = fail(error, out);
    }
  };
}

/** Says what went wrong and returns the exit code. A stack trace is for faults of Muster only. */
export function fail(error: unknown, out: Pick<Output, 'error' | 'json'>): number {
  const known = error instanceof InvalidArgumentError ? new CliError('usage', error.message) : error;
  if (!(known instanceof CliError)) {
    out.error(
      `muster: a fault of Muster itself: ${known instanceof Error ? (known.stack ?? known.message) : String(known)}`,
    );
    return exitCodeOf('muster-failed');
  }
  const code = exitCodeOf(known.problem);
  if (out.json) out.error(JSON.stringify({ error: known.problem, exitCode: code, message: known.message }));
  else out.error(`muster: ${known.message}`);
  return code;
}

/** Why somebody acts stands in the record, so it is asked for before anything is sent. */
export function requireReason(reason: string | undefined, what: string): string {
  if (reason !== undefined && reason.trim() !== '') return reason.trim();
  throw new CliError('usage', `A reason is missing: the record says why somebody acted. Add --reason 'why ${what}'`);
}
