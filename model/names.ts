/** Names that Muster makes, and foreign text made safe to print. */
import type { Mode } from './order';
import { OperatorError } from './errors';
import { shortId } from './ids';

/** What a machine is called when nobody says otherwise; a rehearsal's name must be nobody else's (design: law 7). */
export const defaultMachineNames: Readonly<Record<Mode, string>> = {
  recovery: '{server}-recovered',
  rehearsal: '{server}-rehearsal-{run}',
};

export const machineNameFields = ['server', 'mode', 'site', 'run'] as const;
export type MachineNameField = (typeof machineNameFields)[number];

export interface MachineNameFacts {
  readonly serverName: string;
  readonly mode: Mode;
  readonly siteId: string;
  readonly runId: string;
}

/** Longest name that every platform takes: one DNS label. */
export const machineNameMaxLength = 63;

/**
 * Fills a template such as `{server}-{mode}-{run}`; what is not a letter, digit, dot, dash or underscore becomes a dash.
 * A name that is too long loses characters of the server's name, never of the fields that make it unique.
 *
 * @throws OperatorError for a field that does not exist, and for a name that would be empty or too long all the same.
 */
export function machineNameFrom(template: string, facts: MachineNameFacts): string {
  const unknown = [...template.matchAll(/\{([^}]*)\}/g)].find((match) => !isField(match[1]));
  if (unknown) {
    throw new OperatorError({
      what: 'the machine name template has an unknown field',
      found: printable(unknown[0]),
      needed: machineNameFields.map((field) => `{${field}}`).join(', '),
      remedy: 'Correct the template.',
    });
  }
  const withServer = (server: string): string => clean(fill(template, { ...facts, serverName: server }));
  // Measured beside a letter: of an empty name the dash that follows it would go, too.
  const rest = withServer('x').length - 1;
  const name = withServer(clean(facts.serverName).slice(0, Math.max(1, machineNameMaxLength - rest)));
  if (name === '' || name.length > machineNameMaxLength) {
    throw new OperatorError({
      what: `the machine name from template ${printable(template)} cannot be used`,
      found: `${JSON.stringify(name)} (${name.length} characters)`,
      needed: `1 to ${machineNameMaxLength} characters`,
      remedy: 'Shorten the template or give the name yourself.',
    });
  }
  return name;
}

function isField(text: string | undefined): text is MachineNameField {
  return machineNameFields.includes(text as MachineNameField);
}

function fill(template: string, facts: MachineNameFacts): string {
  const values: Record<MachineNameField, string> = {
    server: facts.serverName,
    mode: facts.mode,
    site: facts.siteId,
    run: shortId(facts.runId),
  };
  return template.replace(/\{(\w+)\}/g, (_, field: MachineNameField) => values[field]);
}

function clean(text: string): string {
  return text.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[-.]+|[-.]+$/g, '');
}

const escape = String.fromCharCode(27);
const bell = String.fromCharCode(7);
/** Terminal sequences: CSI, OSC and its relatives up to BEL or ST, and the two-character ones. */
const terminalSequences = new RegExp(
  `${escape}(?:\\[[0-?]*[ -/]*[@-~]|[\\]PX^_][^${bell}${escape}]*(?:${bell}|${escape}\\\\)?|[ -/]*[0-~])`,
  'g',
);

/**
 * Foreign text on several lines, safe for a terminal and for HTML that escapes: sequences go, other controls become �.
 * The lookbehinds here and below begin a match where a run begins, so that a long run is read once, not once a character.
 */
export function printableLines(text: string): string {
  return text
    .replace(terminalSequences, '')
    .replace(/(?<!\r)\r+\n/g, '\n')
    .replace(/(?![\n\t])[\p{Cc}\p{Cs}\u2028\u2029]/gu, '\ufffd')
    .replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd'); // text direction can make a name read as another
}

/** Whether text can be shown as it is: no control characters but line ends and tabs, no marks of text direction, no half characters. */
export function isPrintable(text: string): boolean {
  const lines = text.replace(/\r\n/g, '\n');
  return printableLines(lines) === lines;
}

/** The same on one line. */
export function printable(text: string): string {
  return printableLines(text).replace(/(?<!\s)\s*[\n\t]\s*/g, ' ');
}

/**
 * JSON text that says the same to a program and nothing to a terminal: JSON itself escapes only the first 32 control
 * characters, and what is escaped here stands in JSON within strings only.
 */
export function printableJson(json: string): string {
  return json.replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const longestGuestWord = 200;

/** What a guest says of itself in a word or two, cleaned and cut; undefined for what is no text, or an empty one. */
export function guestWord(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  // Cut before it is cleaned, too: a guest may say megabytes.
  const word = printable(value.slice(0, 16 * longestGuestWord)).trim();
  return word === '' ? undefined : [...word].slice(0, longestGuestWord).join('');
}
