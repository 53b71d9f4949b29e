/** Entry of `bin/muster`: runs the command line and ends with its exit code. */
import { CommanderError } from 'commander';
import { fail } from './context';
import { exitCodeOf } from './exit-codes';
import { createProgram } from './program';

async function main(argv: readonly string[]): Promise<void> {
  const program = createProgram();
  exitByThrowing(program);
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version are asked for; all else that commander refuses is wrong usage, and it has said so.
      process.exitCode = error.exitCode === 0 ? 0 : exitCodeOf('usage');
      return;
    }
    process.exitCode = fail(error, { error: (text) => console.error(text), json: argv.includes('--json') });
  }
}

function exitByThrowing(command: ReturnType<typeof createProgram>): void {
  command.exitOverride();
  command.commands.forEach(exitByThrowing);
}

// A reader that has gone (`muster runs | head -1`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

void main(process.argv);
