/** The `muster` program: its commands, its help, its exit codes. */
import { Command } from 'commander';
import { stackCommands } from '../stack/commands';
import { version } from '../stack/version';
import { completionCommands } from './commands/completion';
import { decisionCommands } from './commands/decisions';
import { machineCommands } from './commands/machines';
import { notificationCommands } from './commands/notifications';
import { planCommands } from './commands/plans';
import { protectionCommands } from './commands/protection';
import { readinessCommand } from './commands/readiness';
import { recoverCommand } from './commands/recover';
import { rehearseCommands } from './commands/rehearse';
import { runbookCommands } from './commands/runbooks';
import { runCommands } from './commands/runs';
import { scheduleCommands } from './commands/schedules';
import { serverCommands } from './commands/servers';
import { stuckCommands } from './commands/stuck';
import { tokenCommands } from './commands/tokens';
import { exitCodeHelp } from './exit-codes';

const environment = `Environment:
  MUSTER_URL         where the API is (default: this machine's configuration)
  MUSTER_TOKEN       your token
  MUSTER_TOKEN_FILE  a file that holds it (default: the data folder's admin-token)`;

export function createProgram(): Command {
  const program = new Command('muster')
    .description('Recovers servers by runbook: durable, recorded, proven.')
    .version(version)
    .option('--url <address>', 'where the API is')
    .option('--json', 'print JSON, for programs')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false, helpWidth: 80 })
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'muster: ')) })
    .showSuggestionAfterError(true)
    .addHelpText('after', `\n${environment}\n\n${exitCodeHelp()}\n  10 to 16 are of \`muster up\` (see its help)`);
  stackCommands(program);
  serverCommands(program);
  protectionCommands(program);
  machineCommands(program);
  readinessCommand(program);
  scheduleCommands(program);
  runbookCommands(program);
  recoverCommand(program);
  planCommands(program);
  rehearseCommands(program);
  runCommands(program);
  stuckCommands(program);
  decisionCommands(program);
  notificationCommands(program);
  tokenCommands(program);
  completionCommands(program);
  inherit(program);
  return program;
}

/** Commander gives settings to a sub-command only when it is made with them at hand; ours are made by many files. */
function inherit(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    inherit(child);
  }
}
