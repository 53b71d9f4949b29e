/** A runbook's text in two steps: read first, because what has to be asked for its checks stands in it; then checked. */
import { checkRunbook, type Inventory } from '../runbook/check';
import type { LocatedProblem, RunbookProblem } from '../runbook/problems';
import { located, readRunbook } from './read-runbook';
import type { RunbookFile } from './runbook';

export interface OpenText {
  /** undefined when it cannot be read; then `unreadable` says why. */
  readonly file: RunbookFile | undefined;
  readonly unreadable: readonly LocatedProblem[];
  /** What is wrong with what was read, together with what others have found in it. */
  check(inventory: Inventory | null, found?: readonly RunbookProblem[]): LocatedProblem[];
}

export function openText(text: string): OpenText {
  const { file, problems, locate } = readRunbook(text);
  return {
    file,
    unreadable: file === undefined ? problems : [],
    check: (inventory, found = []) =>
      file === undefined ? [] : located([...checkRunbook(file, inventory), ...found], locate),
  };
}
