/** What is printed: tables that fit, JSON for programs, and nothing of guests or servers that could drive a terminal. */
import Table from 'cli-table3';
import pico from 'picocolors';
import { printable, printableJson, printableLines } from '../model/names';

export interface Output {
  readonly json: boolean;
  /** Characters in a line. */
  readonly width: number;
  readonly interactive: boolean;
  readonly colors: ReturnType<typeof pico.createColors>;
  line(text?: string): void;
  /** One JSON document on standard output. */
  document(value: unknown): void;
  error(text: string): void;
}

export const standardWidth = 80;

export function createOutput(
  json: boolean,
  stream: NodeJS.WriteStream,
  env: NodeJS.ProcessEnv,
  errors: NodeJS.WriteStream = process.stderr,
): Output {
  const interactive = stream.isTTY === true && !json;
  const colored = interactive && !env['NO_COLOR'];
  return {
    json,
    width: interactive ? Math.max(40, stream.columns ?? standardWidth) : standardWidth,
    interactive,
    colors: pico.createColors(colored),
    line: (text = '') => void stream.write(`${text}\n`),
    document: (value) => void stream.write(`${jsonText(value)}\n`),
    error: (text) => void errors.write(`${errorLines(printableLines(text), json ? undefined : errors)}\n`),
  };
}

/** Between words on a terminal; for a program a message stays one line. */
function errorLines(text: string, stream: Pick<NodeJS.WriteStream, 'isTTY' | 'columns'> | undefined): string {
  if (stream?.isTTY !== true) return text;
  const width = Math.max(40, stream.columns ?? standardWidth);
  return text
    .split('\n')
    .flatMap((line) => (line.length <= width ? [line] : wrap(line, width)))
    .join('\n');
}

/** The same JSON to a program, and nothing to a terminal. */
export function jsonText(value: unknown, indent = 2): string {
  return printableJson(JSON.stringify(value, null, indent));
}

export interface Column {
  readonly title: string;
  /** Narrowest that still makes sense; the column that `grows` takes what is left. */
  readonly width: number;
  readonly grows?: boolean;
  readonly right?: boolean;
}

/** Never wider than the output; long cells are wrapped at words, or anywhere when a word is too long. */
export function table(
  { width }: Pick<Output, 'width'>,
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string {
  const widths = columnWidths(width, columns);
  const drawn = new Table({
    head: columns.map(({ title }) => title),
    colWidths: widths,
    colAligns: columns.map(({ right }) => (right ? 'right' : 'left')),
    wordWrap: true,
    wrapOnWordBoundary: false,
    chars: { ...noLines, middle: '  ' },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  });
  drawn.push(...rows.map((row) => row.map((cell, i) => wrap(shortened(printable(cell)), widths[i]!).join('\n'))));
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** A table is for a glance, and takes minutes to draw with a cell of 100 KB; the whole text is in the JSON. */
const longestCell = 500;
const shortened = (text: string): string => (text.length <= longestCell ? text : `${text.slice(0, longestCell)}…`);

/** Growing columns share what the others leave: more than they ask for, or less when there is not enough. */
function columnWidths(width: number, columns: readonly Column[]): number[] {
  const asked = columns.reduce((sum, column) => sum + column.width, 2 * (columns.length - 1));
  const growing = columns.filter(({ grows }) => grows).length;
  const each = growing === 0 ? 0 : Math.floor((width - asked) / growing);
  return columns.map((column) => (column.grows ? Math.max(4, column.width + each) : column.width));
}

const noLines = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid', 'middle']
    .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`])
    .concat(['top-left', 'top-right', 'left-mid', 'mid-mid', 'right-mid'])
    .map((name) => [name, '']),
);

/** Words into lines of at most `width` characters; a longer word is cut. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((each) => cut(each, width))) {
    if (line === '') line = word;
    else if (line.length + 1 + word.length <= width) line += ` ${word}`;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line];
}

function cut(word: string, width: number): string[] {
  const pieces = Math.max(1, Math.ceil(word.length / width));
  return Array.from({ length: pieces }, (_one, at) => word.slice(at * width, (at + 1) * width));
}

/**
 * The same for a command: what is copied from several lines is still one command, because a shell reads on after a
 * backslash. No quoted word of it may have a space.
 */
export function commandLines({ width }: Pick<Output, 'width'>, label: string, command: string, indent = 11): string {
  const lines = wrap(printable(command), Math.max(20, width - indent - 2));
  const broken = lines.map((line, i) => `${i === 0 ? '' : '  '}${line}${i < lines.length - 1 ? ' \\' : ''}`);
  return broken.map((line, i) => `${(i === 0 ? label : '').padEnd(indent)}${line}`).join('\n');
}

/** A paragraph under a heading word: `cause    text that goes on\n         here`. */
export function paragraph({ width }: Pick<Output, 'width'>, label: string, text: string, indent = 11): string {
  const lines = text.split('\n').flatMap((each) => wrap(printable(each), Math.max(20, width - indent)));
  return lines.map((line, i) => `${(i === 0 ? label : '').padEnd(indent)}${line}`.trimEnd()).join('\n');
}
