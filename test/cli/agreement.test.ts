/** What the command line says agrees with the rest: exit codes with the stack's, roles with the store's. */
import { Command } from 'commander';
import { createProgram } from '../../cli/program';
import { tokenCommands } from '../../cli/commands/tokens';
import { cliProblems, exitCodeOf } from '../../cli/exit-codes';
import { exitCodeOf as stackExitCodeOf, stackProblems } from '../../stack/exit-codes';
import { people } from '../../store/migrations/003-people';

test('every problem has an exit code of its own, of the stack and of the client together', () => {
  const codes = [...cliProblems.map(exitCodeOf), ...stackProblems.map(stackExitCodeOf)];
  expect(new Set(codes).size).toBe(codes.length);
  expect(codes).not.toContain(0);
});

test('the roles that `token issue` offers are those that the store knows', () => {
  const token = new Command();
  tokenCommands(token);
  const issue = token.commands[0]!.commands.find((command) => command.name() === 'issue')!;
  expect(issue.options.find(({ long }) => long === '--role')!.argChoices).toEqual(rolesOfTheDatabase());
});

test('no line of any help is wider than a terminal of 80 columns', () => {
  const helps = [...everyCommand(createProgram())].map((command) => {
    let text = '';
    command.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
    return text;
  });
  expect(helps.length).toBeGreaterThan(40);
  expect(helps.flatMap((text) => text.split('\n')).filter((line) => line.length > 80)).toEqual([]);
});

function* everyCommand(command: Command): Generator<Command> {
  yield command;
  for (const child of command.commands) yield* everyCommand(child);
}

/** What the table takes, read from its own definition. */
function rolesOfTheDatabase(): string[] {
  const [, list] = /check \(role in \(([^)]*)\)\)/.exec(people.sql)!;
  return list!.split(', ').map((quoted) => quoted.slice(1, -1));
}
