/** docs/cli.md and --help say the same; exit codes do not clash with those of the stack. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { roleNames } from '../../cli/commands/tokens';
import { cliDocument } from '../../cli/documentation';
import { cliProblems, exitCodeOf } from '../../cli/exit-codes';
import { exitCodeOf as stackExitCodeOf, stackProblems } from '../../stack/exit-codes';
import { roles } from '../../store/contract';

test('docs/cli.md has the help of every command as the program prints it', () => {
  const page = readFileSync(join(__dirname, '..', '..', 'docs', 'cli.md'), 'utf8');
  expect(page).toBe(cliDocument(page));
});

test('every problem has an exit code of its own, of the stack and of the client together', () => {
  const codes = [...cliProblems.map(exitCodeOf), ...stackProblems.map(stackExitCodeOf)];
  expect(new Set(codes).size).toBe(codes.length);
  expect(codes).not.toContain(0);
});

test('the roles that `token issue` offers are those that the store knows', () => {
  expect(roleNames).toEqual(roles);
});
