/** What the command line says agrees with the rest: exit codes with the stack's, roles with the store's. */
import { roleNames } from '../../cli/commands/tokens';
import { cliProblems, exitCodeOf } from '../../cli/exit-codes';
import { exitCodeOf as stackExitCodeOf, stackProblems } from '../../stack/exit-codes';
import { roles } from '../../store/contract';

test('every problem has an exit code of its own, of the stack and of the client together', () => {
  const codes = [...cliProblems.map(exitCodeOf), ...stackProblems.map(stackExitCodeOf)];
  expect(new Set(codes).size).toBe(codes.length);
  expect(codes).not.toContain(0);
});

test('the roles that `token issue` offers are those that the store knows', () => {
  expect(roleNames).toEqual(roles);
});
