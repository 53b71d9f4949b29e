/** docs/cli.md's command reference, made from the commands themselves. */
import type { Command } from 'commander';
import { fillBetween } from '../config/documentation';
import { createProgram } from './program';

/** Markdown: one section for each command with its help as the program prints it. */
export function commandReference(): string {
  const everyone = everyCommand(createProgram());
  // Those of the whole program stand once, with the program.
  for (const { command } of everyone)
    command.configureHelp({ ...command.configureHelp(), visibleGlobalOptions: () => [] });
  return everyone.map(({ name, command }) => `### ${name}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\``).join('\n\n');
}

/** Every command that a person sees, with its whole name, from the top. */
export function everyCommand(command: Command, before = ''): { name: string; command: Command }[] {
  const name = `${before}${command.name()}`;
  const visible = command.createHelp().visibleCommands(command);
  const children = command.commands.filter((child) => visible.includes(child));
  return [{ name, command }, ...children.flatMap((child) => everyCommand(child, `${name} `))];
}

/** The help as the program prints it on 80 columns, with what follows the options: environment and exit codes. */
export function helpOf(command: Command): string {
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
