/** The commands of the stack, for the `muster` program: `up`, and its parts one by one. */
import { createRequire } from 'node:module';
import type { Command } from 'commander';
import { loadConfiguration } from '../config/load';
import { ConfigurationError, describeProblem } from '../config/problems';
import type { Configuration } from '../config/configuration';
import type * as WorkerMain from '../worker/main';
import type * as ApiProcess from './api-process';
import { demoCommand } from './demo/command';
import { doctorCommand } from './doctor/command';
import { exitCodeMeanings, exitCodeOf, stackProblems } from './exit-codes';
import type { StackOptions } from './start';
import type * as Up from './up';

/** `require`, because import() of a TypeScript file does not pass through tsx's hook for CommonJS. */
const later: <T>(path: string) => T = createRequire(__filename);

/**
 * Adds `up`, `demo`, `doctor`, `prepare`, `worker` and `api`. Each sets `process.exitCode`. `ownProcess` is for programs other than bin/muster. What they need is loaded when they run, so that other
 * commands start quickly.
 */
export function stackCommands(program: Command, options: Pick<StackOptions, 'ownProcess'> = {}): void {
  program
    .command('up')
    .description('run everything on this machine from one data folder, until Ctrl-C')
    .addHelpText('after', `\n${exitCodeHelp()}`)
    .action(() => withConfiguration((configuration) => later<typeof Up>('./up').up(configuration, options)));
  demoCommand(program);
  doctorCommand(program);
  program
    .command('prepare')
    .description('migrate the database and make the admin token (`muster up` does this for you)')
    .action(() => withConfiguration((configuration) => later<typeof Up>('./up').prepare(configuration)));
  program
    .command('worker')
    .description('run one worker process (`muster up` does this for you)')
    .action(() =>
      withConfiguration(async (configuration) => {
        await later<typeof WorkerMain>('../worker/main').runWorkerProcess(configuration);
        return 0;
      }),
    );
  program
    .command('api')
    .description('run one API process (`muster up` does this for you)')
    .action(() =>
      withConfiguration(async (configuration) => {
        await later<typeof ApiProcess>('./api-process').runApiProcess(configuration);
        return 0;
      }),
    );
}

/** The table of exit codes as help text. */
export function exitCodeHelp(): string {
  const rows = stackProblems.map((problem) => `  ${exitCodeOf(problem)}  ${exitCodeMeanings[problem]}`);
  return ['Exit codes:', '   0  stopped cleanly', ...rows].join('\n');
}

async function withConfiguration(run: (configuration: Configuration) => Promise<number>): Promise<void> {
  let configuration: Configuration;
  try {
    configuration = loadConfiguration();
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    for (const problem of error.problems) console.error(describeProblem(problem));
    process.exitCode = exitCodeOf('bad-configuration');
    return;
  }
  process.exitCode = await run(configuration);
}
