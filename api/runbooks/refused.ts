/** What is wrong with a runbook as the answer to who wanted something of it: every problem, the first few in the sentence. */
import { nearNames } from '../../model/near';
import type { LocatedProblem } from '../../model/runbook/problems';
import type { RunbookVersion } from '../../store/contract';
import { notFound, Problem, type ProblemIssue } from '../problems';

const mostInSentence = 3;

/** `what`: what was not done. Warnings are left out. */
export function textRefused(what: string, problems: readonly LocatedProblem[]): Problem {
  const errors = problems.filter(({ severity }) => severity === 'error');
  return runbookRefused(
    what,
    errors.map(({ position: { line, column }, ...words }) => ({ at: `${line}:${column}`, message: wordsOf(words) })),
    'line ',
  );
}

/** @param before said before each place in the sentence */
export function runbookRefused(what: string, issues: readonly ProblemIssue[], before = ''): Problem {
  const first = issues.slice(0, mostInSentence).map(({ at, message }) => `${before}${at} ${message}`);
  const more = issues.length > mostInSentence ? `; and ${issues.length - mostInSentence} more` : '';
  return new Problem('runbook-errors', `${what}: ${first.join('; ')}${more}`, { issues });
}

export const wordsOf = ({ found, needed, remedy }: Pick<LocatedProblem, 'found' | 'needed' | 'remedy'>): string =>
  `found ${found}, needed ${needed}${remedy === undefined ? '' : `. ${remedy}`}`;

/** `versions`: those that there are; without any, `names` says what runbooks there are. */
export async function noSuchRunbook(
  name: string,
  version: number | undefined,
  versions: readonly RunbookVersion[],
  names: () => Promise<readonly RunbookVersion[]>,
): Promise<Problem> {
  if (versions.length === 0) {
    const all = (await names()).map((one) => one.name);
    return notFound('runbook', name, nearNames(name, all));
  }
  const known = versions.map((one) => one.version).join(', ');
  return new Problem('not-found', `Runbook ${name} has no version ${version}. It has ${known}`);
}
