/** What a server's rehearsal showed of its isolation and its clean-up, folded event by event, so that a plan can sum up all of them. */
import type { Failure, RunEvent } from './events';
import { isDifference, type SurveyRow } from './survey';

export interface RehearsedFacts {
  /** As the platform had the running machine; null: not shown. */
  readonly isolation: {
    readonly at: string;
    readonly cards: number;
    readonly networks: readonly string[];
  } | null;
  /** The site before and after, as it was compared last; null: never, or not yet. */
  readonly clean: CleanFacts | null;
}

export interface CleanFacts {
  readonly verdict: 'clean' | 'not clean';
  readonly at: string;
  /** Items that were compared; null: the comparison did not end well, and its message says how far it came. */
  readonly items: number | null;
  /** What was not as before, item by item, where the failure names it. */
  readonly left: readonly Pick<SurveyRow, 'kind' | 'name' | 'before' | 'after' | 'verdict'>[];
  /** Why it is not clean, or could not be compared; of a clean one what was noted all the same. null: nothing. */
  readonly because: string | null;
}

/** A row of a list is no record: the run's own report has all. */
const longestBecause = 1_000;
const mostLeft = 20;

/** One event more. The same value where it changes nothing. */
export function nextRehearsed(facts: RehearsedFacts, event: RunEvent): RehearsedFacts {
  switch (event.kind) {
    case 'step-done':
      return event.step === 'prove-isolation'
        ? { ...facts, isolation: isolationOf(event.data.result, event.at) }
        : facts;
    case 'attempt-succeeded':
      return isComparison(event) ? { ...facts, clean: cleanOf(event.data.result, event.at) } : facts;
    case 'attempt-failed':
      return isComparison(event) ? { ...facts, clean: notClean(event.data.failure, event.at) } : facts;
    case 'rewound':
      return facts.isolation === null ? facts : { ...facts, isolation: null };
    default:
      return facts;
  }
}

/** Also the undo of the survey, with which an aborted rehearsal ends; never a script beside it, which is an item of the step. */
const isComparison = ({ step, item, data }: Pick<RunEvent, 'step' | 'item'> & { readonly data: { undo: boolean } }) =>
  item === null && (step === 'prove-clean' || (step === 'survey' && data.undo));

type Fields = Readonly<Record<string, unknown>>;

/** Results are of unknown shape, perhaps of another version: what does not have the shape proves nothing. */
const listOf = (value: unknown, name: string): readonly Fields[] | null => {
  const list = typeof value === 'object' && value !== null ? (value as Fields)[name] : undefined;
  return Array.isArray(list) ? (list as Fields[]) : null;
};
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function isolationOf(result: unknown, at: string): RehearsedFacts['isolation'] {
  const nics = listOf(result, 'nics');
  if (nics === null) return null;
  return { at, cards: nics.length, networks: [...new Set(nics.map(({ network }) => textOf(network)))].sort() };
}

function cleanOf(result: unknown, at: string): CleanFacts | null {
  const rows = listOf(result, 'rows');
  if (rows === null) return null;
  const noted = textOf((result as Fields)['noted']).slice(0, longestBecause);
  return { verdict: 'clean', at, items: rows.length, left: [], because: noted === '' ? null : noted };
}

function notClean({ message, detail }: Failure, at: string): CleanFacts {
  const because = message.slice(0, longestBecause);
  return { verdict: 'not clean', at, items: null, left: leftIn(detail).slice(0, mostLeft), because };
}

/** The failure's detail has the rows (activities/clean-up-effects.ts); cut off, or of another failure: none, and the message tells. */
function leftIn(detail: string | null): CleanFacts['left'] {
  try {
    const rows: unknown = JSON.parse(detail ?? '');
    if (!Array.isArray(rows)) return [];
    return (rows as SurveyRow[])
      .filter((row) => typeof row?.name === 'string' && isDifference(row))
      .map(({ kind, name, before, after, verdict }) => ({ kind, name, before, after, verdict }));
  } catch {
    return [];
  }
}
