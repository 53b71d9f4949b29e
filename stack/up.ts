/** `muster up`: the stack in the foreground until SIGINT or SIGTERM. */
import type { Configuration } from '../config/configuration';
import { describeFacts } from '../model/errors';
import { StackError } from './exit-codes';
import { prepareDatabase } from './prepare';
import { startStack, type StackOptions } from './start';

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs until a signal asks it to stop. Returns the exit code: 0 after a clean stop, also when the signal came while the
 * stack was still starting; otherwise the problem's (exit-codes.ts), after one line that says what to do.
 */
export async function up(configuration: Configuration, options: Omit<StackOptions, 'signal'> = {}): Promise<number> {
  const say = options.say ?? ((line: string) => console.log(line));
  const asked = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (!asked.signal.aborted) say(`${signal}: stopping.`);
    asked.abort(new Error('stopped by a signal'));
  };
  for (const signal of stopSignals) process.on(signal, onSignal);
  try {
    for (const name of configuration.unknownVariables) say(`${name} is no variable of Muster and is ignored.`);
    const stack = await startStack(configuration, { ...options, say, signal: asked.signal });
    say(`Muster runs at ${stack.url}`);
    say(`Admin token: ${stack.tokenFile}`);
    say(`Logs: ${stack.folder.logs}`);
    await new Promise<void>((resolve) => {
      if (asked.signal.aborted) resolve();
      asked.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await stack.stop();
    say('Stopped.');
    return 0;
  } catch (error) {
    if (asked.signal.aborted && error === asked.signal.reason) return 0;
    return reportProblem(error, (line) => console.error(line));
  } finally {
    for (const signal of stopSignals) process.off(signal, onSignal);
  }
}

/** `muster prepare`: for installations whose parts are started one by one. Returns the exit code. */
export async function prepare(configuration: Configuration): Promise<number> {
  try {
    await prepareDatabase(configuration, (line) => console.log(line));
    return 0;
  } catch (error) {
    return reportProblem(error, (line) => console.error(line));
  }
}

/** Prints the problem in one line, with the end of a part's log below it, and returns its exit code. */
export function reportProblem(error: unknown, sayError: (line: string) => void): number {
  if (!(error instanceof StackError)) throw error;
  sayError(describeFacts(error.facts));
  if (error.facts.detail) sayError(error.facts.detail.replace(/^/gm, '    '));
  return error.exitCode;
}
