/** `muster doctor`: wired like the other commands of the stack; what it needs is loaded when it runs. */
import { createRequire } from 'node:module';
import type { Command } from 'commander';
import type * as Doctor from './doctor';
import { exitCodeOf } from './report';
import { describeReport } from './text';

const later: <T>(path: string) => T = createRequire(__filename);

const help = `
Nothing is changed. Every check has a deadline, so the whole takes seconds.

Exit codes:
  0  nothing keeps Muster from working; warnings are printed
  1  there are problems: what was found, what is needed, what to do`;

/** Adds the command; its exit code is the report's. */
export function doctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('examine this machine and what its configuration names, and say how to mend what is wrong')
    .option('--all', 'also show the checks that found nothing wrong')
    .addHelpText('after', help)
    .action(async (_options: unknown, command: Command) => {
      const { json, all } = command.optsWithGlobals<{ json?: boolean; all?: boolean }>();
      const report = await later<typeof Doctor>('./doctor').examine();
      if (json === true) console.log(JSON.stringify(report, null, 2));
      else for (const line of describeReport(report, all === true, process.stdout.isTTY === true)) console.log(line);
      process.exitCode = exitCodeOf(report);
    });
}
