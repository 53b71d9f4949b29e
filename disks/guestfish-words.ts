/** How arguments reach guestfish through its standard input, and how its messages are read. */
import { PermanentError } from '../model/errors';

/**
 * One argument for a line of guestfish's standard input. Everything but plain characters is written as `\xNN`, the form
 * that guestfish expands inside double quotes (guestfish(1), "Quoting"), so that a hostile name stays one argument.
 */
export function guestfishWord(argument: string): string {
  if (argument.includes('\0')) {
    throw new PermanentError({ what: 'an argument for guestfish contains a NUL byte', found: printable(argument) });
  }
  if (/^[A-Za-z0-9/._=:@+-]+$/.test(argument) && !argument.startsWith('-')) return argument;
  const escaped = [...Buffer.from(argument, 'utf8')].map((byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9/._=:@+, -]/.test(character) ? character : `\\x${byte.toString(16).padStart(2, '0')}`;
  });
  return `"${escaped.join('')}"`;
}

/** One line of guestfish's standard input. */
export function guestfishLine(command: string, args: readonly string[]): string {
  return [command, ...args.map(guestfishWord)].join(' ');
}

/** A name that came from a guest, fit for a message or a record: printable, on one line, at most 200 characters. */
export function printable(name: string): string {
  const clean = name.replace(/[^\x20-\x7e\u00a0-\u024f]/g, '?');
  return clean.length <= 200 ? clean : `${clean.slice(0, 200)}…`;
}
