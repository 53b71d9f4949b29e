/** What can keep the stack from running, each with the exit code that scripts may rely on. */
import { assertNever, describeFacts, type ErrorFacts } from '../model/errors';

export const stackProblems = [
  'bad-configuration',
  'port-in-use',
  'newer-folder',
  'already-running',
  'part-not-up',
  'program-missing',
  'folder-not-usable',
] as const;
export type StackProblem = (typeof stackProblems)[number];

/** A problem of the stack that a person can solve; shown as its message alone, without a stack trace. */
export class StackError extends Error {
  override readonly name = 'StackError';
  constructor(
    readonly problem: StackProblem,
    readonly facts: ErrorFacts,
    options?: ErrorOptions,
  ) {
    super(describeFacts(facts), options);
  }

  get exitCode(): number {
    return exitCodeOf(this.problem);
  }
}

/** The one place where a problem becomes a number. 0 is success, 1 a fault of Muster's own, 2 wrong usage of the command. */
export function exitCodeOf(problem: StackProblem): number {
  switch (problem) {
    case 'bad-configuration':
      return 10;
    case 'port-in-use':
      return 11;
    case 'newer-folder':
      return 12;
    case 'already-running':
      return 13;
    case 'part-not-up':
      return 14;
    case 'program-missing':
      return 15;
    case 'folder-not-usable':
      return 16;
    default:
      return assertNever(problem);
  }
}

/** For help texts and docs/configuration.md. */
export const exitCodeMeanings: Readonly<Record<StackProblem, string>> = {
  'bad-configuration': 'the configuration has problems; all of them are printed',
  'port-in-use': 'a port that the stack needs is taken by another program',
  'newer-folder': 'the data folder was written by a newer version of Muster',
  'already-running': 'another `muster up` works on this data folder',
  'part-not-up': 'Temporal, Postgres, worker or API did not come up in time, or gave up',
  'program-missing': 'a program that the stack starts is not installed',
  'folder-not-usable': 'the data folder cannot be created, written or reached',
};
