/**
 * A runbook's text, read: YAML 1.2 core without anchors, tags or duplicate keys, then the schema, then the checks; every problem
 * that was found with its line and column.
 *
 * Hostile text ends as problems, too: aliases are refused (a bomb needs them), so are more than `longestText` characters and deep
 * nesting, before anything is built from them.
 */
import {
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type ParsedNode,
  type YAMLMap,
} from 'yaml';
import type { z } from 'zod';
import type { LocatedProblem, PlaceInFile, Position, RunbookProblem } from '../runbook/problems';
import { printable } from '../names';
import { nearest } from '../near';
import { runbookSchema, type RunbookFile } from './runbook';

/** 2,000 servers with everything said about each take 1.2 million characters. */
export const longestText = 4_000_000;
const deepest = 32;
const mostProblems = 100;
/** Halves of surrogate pairs and NUL: what no database gives back as it was. */
const unstorable = /[\p{Cs}\0]/u;

export interface ReadRunbook {
  /** undefined when there are errors. */
  readonly file: RunbookFile | undefined;
  readonly problems: readonly LocatedProblem[];
  /** Where something stands in the text; the nearest place above it for what is not there. */
  locate(at: PlaceInFile): Position;
}

export function readRunbook(text: string): ReadRunbook {
  if (text.length > longestText) {
    return refused(`${text.length} characters`, `at most ${longestText}`, 'Divide it: a runbook may include others.');
  }
  const unfit = unstorable.exec(text);
  if (unfit !== null)
    return refused('half a character, or one that is none', 'text', undefined, placeOf(text, unfit.index));
  const lines = new LineCounter();
  const document = parse(text, lines);
  if (document === undefined) return refused('lists in lists without end', `at most ${deepest} levels`);
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const locate = (place: PlaceInFile): Position => at(offsetOf(document, place));
  const wrong = [...syntaxProblems(document, at), ...forbidden(document, at)];
  if (wrong.length > 0) return { file: undefined, problems: wrong.slice(0, mostProblems), locate };
  const tree: unknown = document.toJS({ maxAliasCount: 0 });
  const parsed = runbookSchema.safeParse(tree);
  if (parsed.success) return { file: parsed.data, problems: [], locate };
  const problems = parsed.error.issues.flatMap((issue) => schemaProblems(tree, issue));
  return { file: undefined, problems: located(problems, locate), locate };
}

/** In the order of the text; no more than anybody would read. */
export function located(problems: readonly RunbookProblem[], locate: (at: PlaceInFile) => Position): LocatedProblem[] {
  return problems
    .map((problem) => ({ problem, position: locate(problem.at) }))
    .sort((a, b) => a.position.line - b.position.line || a.position.column - b.position.column)
    .slice(0, mostProblems)
    .map(({ problem, position }) => ({ ...worded(problem), position }));
}

/** Names come from the file, and go to a terminal. */
function worded({ meant, ...problem }: RunbookProblem): Omit<RunbookProblem, 'meant'> {
  const near = meant && nearest(meant.name, meant.known);
  const remedy = near === undefined ? problem.remedy : `Is "${near}" meant?`;
  const words = { found: printable(problem.found), needed: printable(problem.needed) };
  return { ...problem, ...words, ...(remedy === undefined ? {} : { remedy: printable(remedy) }) };
}

function placeOf(text: string, offset: number): Position {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: before.at(-1)!.length + 1 };
}

function refused(
  found: string,
  needed: string,
  remedy?: string,
  position: Position = { line: 1, column: 1 },
): ReadRunbook {
  const problem = { severity: 'error' as const, at: [], position, found, needed, ...(remedy ? { remedy } : {}) };
  return { file: undefined, problems: [problem], locate: () => position };
}

/** `75` and `"75"` are one key to whoever reads the map, and the last would win in silence. */
const isSameKey = (a: ParsedNode, b: ParsedNode): boolean =>
  a === b || (isScalar(a) && isScalar(b) && String(a.value) === String(b.value));

/** undefined: nested so deeply that the parser gave up. */
function parse(text: string, lineCounter: LineCounter): Document.Parsed | undefined {
  try {
    return parseDocument(text, { lineCounter, uniqueKeys: isSameKey, version: '1.2', schema: 'core', merge: false });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function syntaxProblems(document: Document.Parsed, at: (offset: number) => Position): LocatedProblem[] {
  // One slip of a hand makes the parser complain several times of one place.
  const first = document.errors.filter(
    ({ pos }, index, all) => all.findIndex((other) => other.pos[0] === pos[0]) === index,
  );
  return first.map((error) => ({ severity: 'error', at: [], position: at(error.pos[0]), ...wordsFor(error) }));
}

function wordsFor({ code, message }: { code: string; message: string }): { found: string; needed: string } {
  switch (code) {
    case 'DUPLICATE_KEY':
      return { found: 'this key a second time', needed: 'each key once' };
    case 'MULTIPLE_DOCS':
      return { found: 'a second document', needed: 'one runbook in one file' };
    case 'TAB_AS_INDENT':
      return { found: 'a tab', needed: 'spaces before a key' };
    case 'BLOCK_AS_IMPLICIT_KEY':
      return { found: 'a key that is not in the column of its level', needed: 'keys of one level in one column' };
    case 'MULTILINE_IMPLICIT_KEY':
      return { found: 'a key that goes on in the next line', needed: 'each key and its colon in one line' };
    case 'RESOURCE_EXHAUSTION':
      return { found: 'lists in lists without end', needed: `at most ${deepest} levels` };
    default:
      return { found: printable(firstLine(message)), needed: 'YAML 1.2' };
  }
}

/** Aliases, tags and depth: what a plan does not need and a bomb does. */
function forbidden(document: Document.Parsed, at: (offset: number) => Position): LocatedProblem[] {
  const problems: LocatedProblem[] = [];
  const complain = (offset: number, found: string, needed: string): symbol => {
    problems.push({ severity: 'error', at: [], position: at(offset), found, needed });
    return visit.BREAK;
  };
  visit(document, {
    Alias: (_, node) => complain(node.range?.[0] ?? 0, `the alias *${node.source}`, 'the thing itself, written out'),
    Node: (_, node, path) => {
      const offset = node.range?.[0] ?? 0;
      if ('tag' in node && node.tag !== undefined)
        return complain(offset, `the tag ${printable(node.tag)}`, 'a plain value');
      if (path.length > 2 * deepest) return complain(offset, 'lists in lists', `at most ${deepest} levels`);
      return undefined;
    },
  });
  return problems;
}

const firstLine = (text: string): string => text.split('\n', 1)[0]!.replace(/ at line \d+, column \d+:?$/, '');

/** Where the key or the list's item begins; of what is not there, the nearest thing above it. */
function offsetOf(document: Document.Parsed, place: PlaceInFile): number {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0] ?? 0;
  for (const part of place) {
    if (isMap(node)) {
      const pair: YAMLMap['items'][number] | undefined = node.items.find(
        ({ key }) => isScalar(key) && String(key.value) === String(part),
      );
      if (pair === undefined) return offset;
      offset = isScalar(pair.key) ? (pair.key.range?.[0] ?? offset) : offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item: unknown = node.items[Number(part)];
      if (item === undefined) return offset;
      node = item;
      offset = (item as { range?: [number, number, number] | null }).range?.[0] ?? offset;
    } else return offset;
  }
  return offset;
}

function schemaProblems(tree: unknown, issue: z.core.$ZodIssue): RunbookProblem[] {
  const at = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      severity: 'error',
      at: [...at, key],
      found: `the key ${show(key)}`,
      needed: 'a key that a runbook has here (docs/runbook-reference.md)',
    }));
  }
  if (issue.code === 'invalid_union') {
    // The branch that got furthest says what is wrong; else what the union wants as a whole.
    const deepest = issue.errors.flat().sort((a, b) => b.path.length - a.path.length)[0];
    if (deepest && deepest.path.length > 0)
      return schemaProblems(tree, { ...deepest, path: [...issue.path, ...deepest.path] });
  }
  const found = at.reduce<unknown>((value, part) => (value as Record<PropertyKey, unknown> | undefined)?.[part], tree);
  const missing = found === undefined && at.length > 0 ? `no \`${at.at(-1)}\`` : show(found);
  return [{ severity: 'error', at, found: missing, needed: needed(issue) }];
}

/** zod's own words are for programmers; these are for the coordinator. */
function needed(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return article(issue.expected);
    case 'invalid_value':
      return issue.values.length === 1 ? String(issue.values[0]) : `one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return issue.origin === 'array' || issue.origin === 'string'
        ? `at least ${issue.minimum}`
        : `${issue.minimum} or more`;
    case 'too_big':
      return issue.origin === 'string' ? `at most ${issue.maximum} characters` : `${issue.maximum} at most`;
    case 'invalid_union':
      return unionWords(issue);
    case 'invalid_key':
      return issue.issues.map(needed).join('; ');
    default:
      return issue.message;
  }
}

function unionWords({ errors, message }: Extract<z.core.$ZodIssue, { code: 'invalid_union' }>): string {
  const each = errors.flat().filter(({ path }) => path.length === 0);
  const words = [...new Set(each.map((issue) => needed({ ...issue, path: [] } as z.core.$ZodIssue)))];
  return words.length === 0 || message !== 'Invalid input' ? message : words.join(', or ');
}

const names: Readonly<Record<string, string>> = {
  string: 'text',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'keys with values',
  record: 'keys with values',
};
const article = (expected: string): string => names[expected] ?? expected;

/** What was written, shortened; what may be a secret is not shown. */
function show(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return `"${text.length > 60 ? `${text.slice(0, 57)}…` : text}"`;
}
