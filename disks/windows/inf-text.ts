/** The syntax of .inf files (Microsoft's "INF file sections and directives"): sections, entries, strings. Pure. */

export interface InfEntry {
  /** Left of `=`; null where there is none. */
  readonly key: string | null;
  /** The comma-separated values, with %strings% filled in and quotes taken off. */
  readonly values: readonly string[];
}

/** Section name in lower case -> its entries; sections of one name are one. */
export type Inf = ReadonlyMap<string, readonly InfEntry[]>;

const maxLines = 50_000;
/** Before and after strings are filled in (Microsoft's "General syntax rules for INF files"); what is longer is cut. */
const longestValue = 4096;

/** Reads the text of an .inf file; what is no entry is left out. */
export function parseInf(bytes: Buffer): Inf {
  const raw = rawSections(decode(bytes));
  const strings = new Map(
    (raw.get('strings') ?? []).flatMap((line) => {
      const [key, values] = splitEntry(line);
      return key === null ? [] : [[key.toLowerCase(), unquote(values[0] ?? '')] as const];
    }),
  );
  const fill = (text: string) => filledIn(text, strings);
  const sections = new Map<string, InfEntry[]>();
  for (const [name, lines] of raw) {
    const entries = lines.map((line): InfEntry => {
      const [key, values] = splitEntry(line);
      return { key: key === null ? null : fill(unquote(key)), values: values.map((value) => fill(unquote(value))) };
    });
    sections.set(name, entries);
  }
  return sections;
}

function filledIn(text: string, strings: ReadonlyMap<string, string>): string {
  let length = 0;
  const filled = text.slice(0, longestValue).replace(/%([^%\s]*)%/g, (whole, name: string) => {
    const value = name === '' ? '%' : (strings.get(name.toLowerCase()) ?? whole);
    length += value.length;
    return length > longestValue ? '' : value;
  });
  return filled.slice(0, longestValue);
}

/** The values of the first entry of that name; empty where there is none. */
export function infValues(inf: Inf, section: string, key: string): readonly string[] {
  return inf.get(section.toLowerCase())?.find((entry) => entry.key?.toLowerCase() === key.toLowerCase())?.values ?? [];
}

function decode(bytes: Buffer): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return bytes.toString('utf16le').replace(/^\ufeff/, '');
  return bytes.toString('latin1').replace(/^\u00ef\u00bb\u00bf/, '');
}

function rawSections(text: string): Map<string, string[]> {
  const sections = new Map<string, string[]>();
  let lines: string[] | undefined;
  let held: string[] = [];
  for (const line of text.split(/\r\n|\r|\n/, maxLines)) {
    const part = withoutComment(line).trim();
    if (part.endsWith('\\')) {
      held.push(part.slice(0, -1));
      continue;
    }
    const clean = held.join('') + part;
    held = [];
    const name = /^\[([^\]]+)\]$/.exec(clean)?.[1]?.trim().toLowerCase();
    if (name !== undefined) {
      lines = sections.get(name) ?? [];
      sections.set(name, lines);
    } else if (clean !== '') lines?.push(clean);
  }
  return sections;
}

/** A semicolon outside quotes begins a comment. */
function withoutComment(line: string): string {
  let quoted = false;
  for (let at = 0; at < line.length; at += 1) {
    if (line[at] === '"') quoted = !quoted;
    else if (line[at] === ';' && !quoted) return line.slice(0, at);
  }
  return line;
}

function splitEntry(line: string): [string | null, string[]] {
  const parts = splitOutsideQuotes(line, '=');
  if (parts.length === 1) return [null, splitOutsideQuotes(line, ',')];
  return [parts[0]!.trim(), splitOutsideQuotes(parts.slice(1).join('='), ',')];
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts = [''];
  let quoted = false;
  for (const character of text) {
    if (character === '"') quoted = !quoted;
    if (character === separator && !quoted) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts.map((part) => part.trim());
}

const unquote = (text: string): string =>
  text.length >= 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text;
