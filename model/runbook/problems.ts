/** What is wrong with a runbook, and where in its text. */

/** Keys and indexes from the file's top. */
export type PlaceInFile = readonly (string | number)[];

export interface RunbookProblem {
  /** error: it cannot be imported. warning: it can, and somebody should look. */
  readonly severity: 'error' | 'warning';
  readonly at: PlaceInFile;
  readonly found: string;
  readonly needed: string;
  /** Absent where `needed` says it all. */
  readonly remedy?: string;
  /** Names that may have been meant; compared only for problems that are shown, because 2,000 by 2,000 take seconds. */
  readonly meant?: { readonly name: string; readonly known: readonly string[] };
  /** It keeps no run from being started: people and webhooks may be mended while it runs. */
  readonly canWait?: true;
}

/** From 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface LocatedProblem extends Omit<RunbookProblem, 'meant'> {
  readonly position: Position;
}

/** An error; warnings are said as such. */
export function problem(at: PlaceInFile, found: string, needed: string, remedy?: string): RunbookProblem {
  return { severity: 'error', at, found, needed, ...(remedy === undefined ? {} : { remedy }) };
}

export function warning(at: PlaceInFile, found: string, needed: string, remedy?: string): RunbookProblem {
  return { ...problem(at, found, needed, remedy), severity: 'warning' };
}

/** A name that leads nowhere; `remedy` where none of the known is near. */
export function unknownName(
  at: PlaceInFile,
  name: string,
  known: readonly string[],
  needed: string,
  remedy?: string,
): RunbookProblem {
  return { ...problem(at, `"${name}"`, needed, remedy), meant: { name, known } };
}
