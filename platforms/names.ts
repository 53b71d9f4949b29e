/** Which machine names every driver takes, so that a name that works at one site works at all. */
import { PermanentError } from '../model/errors';

/** Longest name in bytes: libvirt makes file names of it (255 bytes at most) and adds its own endings. */
export const longestNameBytes = 200;

/** @throws PermanentError when no platform could take the name: empty, a slash, control characters, too long. */
export function requireMachineName(name: string): void {
  const bad = whatIsWrong(name);
  if (bad === undefined) return;
  throw new PermanentError({
    what: 'this machine name cannot be used',
    found: `${JSON.stringify(name.slice(0, 80))} (${bad})`,
    needed: `1 to ${longestNameBytes} bytes of text without slashes, control characters or surrounding blanks`,
    remedy: 'Choose another name for the machine (provide machineName).',
  });
}

function whatIsWrong(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..') return 'empty, or a folder';
  if (name !== name.trim()) return 'blanks around it';
  if (name.includes('/')) return 'a slash in it';
  // Unpaired surrogates have no UTF-8 form, so that the name read back would be another one.
  if (/[\p{Cc}\p{Cs}\u2028\u2029]/u.test(name)) return 'a control character in it';
  const bytes = Buffer.byteLength(name);
  return bytes > longestNameBytes ? `${bytes} bytes` : undefined;
}
