/** A runbook's file as it is on this machine, and what is wrong with it as editors read it: `file:line:column: …`. */
import { readFile } from 'node:fs/promises';
import { text as textOf } from 'node:stream/consumers';
import type { RunbookCheckDocument, RunbookProblemDocument } from '../api/schemas/runbooks';
import { printable } from '../model/names';
import { CliError } from './exit-codes';
import { fileProblem } from './file-problem';
import { paragraph, wrap, type Output } from './output';

export interface RunbookText {
  /** As it is called in front of problems. */
  readonly file: string;
  readonly text: string;
}

/** `-` is standard input. @throws CliError `usage` when the file cannot be read. */
export async function readRunbookText(file: string): Promise<RunbookText> {
  try {
    const bytes = file === '-' ? Buffer.from(await textOf(process.stdin)) : await readFile(file);
    return { file, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch (error) {
    const problem = fileProblem(error) ?? 'unknown';
    const found = problem === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'text that is not UTF-8' : problem;
    throw new CliError(
      'usage',
      `${file} cannot be read: found ${found}, needed a runbook's file, or - for standard input`,
    );
  }
}

/** One paragraph for each; its first line begins with the place, the others are set in. */
export function problemLines(
  { width }: Pick<Output, 'width'>,
  file: string,
  problems: readonly RunbookProblemDocument[],
): string[] {
  return problems.flatMap(({ severity, line, column, found, needed, remedy }) => {
    const place = `${printable(file)}:${line}:${column}:`;
    const words = `${severity}: found ${found}, needed ${needed}.${remedy === null ? '' : ` ${remedy}`}`;
    const [first = '', ...others] = wrap(printable(words), width - 4);
    if (place.length + 1 + first.length <= width) return [`${place} ${first}`, ...others.map((text) => `    ${text}`)];
    return [place, first, ...others].map((text, index) => (index === 0 ? text : `    ${text}`));
  });
}

/** `2 errors, 1 warning`. */
export function countOf(problems: readonly RunbookProblemDocument[]): string {
  const count = (severity: 'error' | 'warning'): string[] => {
    const { length } = problems.filter((problem) => problem.severity === severity);
    return length === 0 ? [] : [`${length} ${severity}${length === 1 ? '' : 's'}`];
  };
  return [...count('error'), ...count('warning')].join(', ') || 'nothing wrong';
}

/** What was found, and what nobody could be asked. */
export function sayProblems(
  out: Output,
  file: string,
  { problems, notChecked }: Pick<RunbookCheckDocument, 'problems' | 'notChecked'>,
): void {
  for (const line of problemLines(out, file, problems)) out.line(line);
  for (const what of notChecked) out.line(paragraph(out, 'not checked', what, 13));
}

/** For commands that take a file or the name of an imported runbook. */
export const looksLikeFile = (word: string): boolean => word === '-' || /[./\\]/.test(word);
