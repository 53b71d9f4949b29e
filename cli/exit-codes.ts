/** Exit codes of `muster`, mapped in one place. 10 to 19 belong to the stack (stack/exit-codes.ts). */
import { assertNever } from '../model/errors';

export const cliProblems = [
  'run-not-succeeded',
  'usage',
  'refused',
  'unreachable',
  'not-found',
  'not-allowed',
  'pending',
  'waits-for-people',
  'muster-failed',
] as const;
export type CliProblem = (typeof cliProblems)[number];

/** An end that a person can understand and scripts can tell apart; shown as its message alone. */
export class CliError extends Error {
  override readonly name = 'CliError';
  constructor(
    readonly problem: CliProblem,
    message: string,
    options?: ErrorOptions & { readonly answered?: boolean },
  ) {
    super(message, options);
    this.answered = options?.answered ?? false;
  }

  /** Muster itself said so: of `unreachable`, that a part of it does not answer now. */
  readonly answered: boolean;
}

export function exitCodeOf(problem: CliProblem): number {
  switch (problem) {
    case 'run-not-succeeded':
      return 1;
    case 'usage':
      return 2;
    case 'refused':
      return 3;
    case 'unreachable':
      return 4;
    case 'not-found':
      return 5;
    case 'not-allowed':
      return 6;
    case 'pending':
      return 7;
    case 'waits-for-people':
      return 8;
    case 'muster-failed':
      return 9;
    default:
      return assertNever(problem);
  }
}

/** For --help and docs/cli.md. */
export const exitCodeMeanings: Readonly<Record<CliProblem, string>> = {
  'run-not-succeeded': 'the run ended as aborted or failed; of readiness: something is critical',
  usage: 'wrong usage: an option, a value, a reason that is missing',
  refused: 'refused: the state forbids it, somebody was first, or a runbook has errors',
  unreachable: 'the API, or a part that it needs, does not answer',
  'not-found': 'there is no such server, run, runbook or token',
  'not-allowed': 'no valid token, or a role that does not allow it',
  pending: 'sent, but no worker has taken it yet',
  'waits-for-people': 'the run is stuck or at a gate and waits for a decision',
  'muster-failed': 'a fault of Muster itself',
};

export function exitCodeHelp(): string {
  const rows = cliProblems.map((problem) => `  ${exitCodeOf(problem)}  ${exitCodeMeanings[problem]}`);
  return ['Exit codes:', '  0  done; of a run: succeeded, also with exceptions', ...rows].join('\n');
}
