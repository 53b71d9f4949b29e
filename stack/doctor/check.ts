/** How checks are run: each with a deadline, a few at a time, and none of them able to end the others. */
import { isMusterError } from '../../model/errors';
import { printable } from '../../model/names';
import { withoutSecrets } from '../../programs/redact';
import type { StackError } from '../exit-codes';
import { problem, type Checked, type Finding } from './report';

export interface Check {
  readonly id: string;
  readonly title: string;
  /** Default: five seconds. */
  readonly deadlineMs?: number;
  /**
   * Looks and changes nothing that stays. What it throws becomes a problem; undefined: it cannot be known now, because
   * another check, which has said so, found nobody to ask. The signal fires at the deadline.
   */
  readonly look: (signal: AbortSignal) => Promise<Finding | undefined>;
}

const standardDeadlineMs = 5_000;
/** Enough to be quick, few enough not to slow down what runs on this machine. */
const atOnce = 8;
const longestText = 600;

/** All findings, in the order of the checks; and the ids of those that nobody could be asked about. */
export async function runChecks(checks: readonly Check[]): Promise<{ checks: Checked[]; notAsked: string[] }> {
  const results: (Checked | undefined)[] = [];
  let next = 0;
  const take = async (): Promise<void> => {
    for (let index = next++; index < checks.length; index = next++) results[index] = await runCheck(checks[index]!);
  };
  await Promise.all(Array.from({ length: atOnce }, take));
  return {
    checks: results.filter((result) => result !== undefined),
    notAsked: checks.flatMap(({ id }, index) => (results[index] === undefined ? [id] : [])),
  };
}

async function runCheck({ id, title, deadlineMs = standardDeadlineMs, look }: Check): Promise<Checked | undefined> {
  const ended = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Finding>((resolve) => {
    timer = setTimeout(() => {
      ended.abort(new Error(`no answer within ${deadlineMs / 1000} s`));
      resolve(problem(`no answer within ${deadlineMs / 1000} s`, 'an answer', 'Look at the log of that part.'));
    }, deadlineMs);
  });
  const finding = await Promise.race([look(ended.signal).catch(asProblem), late]);
  clearTimeout(timer);
  if (finding === undefined) return undefined;
  const { state, found, needed, remedy } = finding;
  return { id, title, state, found: shown(found), needed: shown(needed), remedy: shown(remedy) };
}

/** What a check threw, in the words of a problem. */
export function asProblem(error: unknown): Finding {
  if (isMusterError(error) || (error as Error).name === 'StackError') {
    const { facts } = error as StackError;
    const { what, found, needed, remedy } = facts;
    return problem(found === undefined ? what : `${what}: ${found}`, needed ?? '', remedy ?? '');
  }
  return problem(error instanceof Error ? error.message : String(error), '', '');
}

/** Found text may come from anywhere: no terminal sequence, no secret, no page of it. */
function shown(text: string): string {
  const safe = withoutSecrets(printable(text));
  return safe.length <= longestText ? safe : `${safe.slice(0, longestText)}…`;
}
