/** docs/cli.md's command reference, made from the commands themselves. */
import type { Command } from 'commander';
import { fillBetween } from '../config/documentation';
import { createProgram } from './program';

/** Markdown: one section for each command with its help as the program prints it. */
export function commandReference(): string {
  const program = createProgram();
  return everyCommand(program)
    .map(({ name, command }) => `### ${name}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\``)
    .join('\n\n');
}

function everyCommand(command: Command, before = ''): { name: string; command: Command }[] {
  const name = `${before}${command.name()}`;
  return [{ name, command }, ...command.commands.flatMap((child) => everyCommand(child, `${name} `))];
}

/** Also what follows the options: environment and exit codes. */
function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => (text += part),
    getOutHelpWidth: () => 80,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text
    .trim()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** docs/cli.md with its generated part filled in. */
export function cliDocument(page: string): string {
  return fillBetween(page, 'commands', commandReference());
}
