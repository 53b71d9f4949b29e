/** The stack's own commands without the rest of the CLI: what the tests in this folder start as processes. */
import { Command } from 'commander';
import { stackCommands } from '../../stack/commands';

const program = new Command('muster');
stackCommands(program, { ownProcess: (name) => [process.execPath, '--require', 'tsx/cjs', __filename, name] });
void program.parseAsync();
