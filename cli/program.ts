/** The `muster` program: its commands, its help, its exit codes. */
import { Command, Option } from 'commander';
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

const runs = `A run is named by its id, by four or more characters of its start or end, by
PLAN/SERVER or PLAN/RUNBOOK (one that the plan includes), or by "last": the
newest run that belongs to no plan.`;

const environment = `Environment:
  MUSTER_URL         where the API is (default: this machine's configuration)
  MUSTER_TOKEN       your token
  MUSTER_TOKEN_FILE  a file that holds it (default: admin-token in the data
                     folder)`;

export function createProgram(): Command {
  const program = new Command('muster')
    .description('Recovers servers by runbook: durable, recorded, proven.')
    .version(version)
    // What stands after a command is that command's: `run --version 3` is no question for Muster's own version.
    .enablePositionalOptions()
    .configureHelp({
      ...{ showGlobalOptions: true, sortSubcommands: false, helpWidth: 80 },
      visibleGlobalOptions: (command) => (command.parent === null ? [] : everywhere()),
    })
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'muster: ')) })
    .showSuggestionAfterError(true)
    .addHelpText(
      'after',
      `\n${runs}\n\n${environment}\n\n${exitCodeHelp()}\n  10 to 16 are of \`muster up\` (see its help)`,
    );
  for (const option of everywhere()) program.addOption(option);
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

/** Options that are taken before a command and after it. */
const everywhere = (): Option[] => [
  new Option('--url <address>', 'where the API is'),
  new Option('--json', 'print JSON, for programs'),
];

/** Commander gives settings to a sub-command only when it is made with them at hand; ours are made by many files. */
function inherit(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    // Its help has them among the global ones.
    for (const option of everywhere()) child.addOption(option.hideHelp());
    inherit(child);
  }
}
