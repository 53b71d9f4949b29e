/**
 * What a script printed, as evidence: beginning and end, without the secrets that it was given, harmless to a terminal.
 *
 * A secret is looked for as it is, and as programs tend to show it: base64 (also within a longer text), base64url,
 * percent-encoded, hexadecimal, as JSON text, and each longer line of one with several lines.
 */
import { printableLines } from '../../model/names';
import type { Kept } from '../../programs/group';

/** Longest beginning and longest end that is shown of an output. */
const shownBytes = 32 * 1024;
const mask = Buffer.from('[secret]');
/** Shorter pieces of a secret's other forms are in any text. */
const shortestPiece = 6;

/** The forms in which these secrets may appear. */
export function secretForms(secrets: readonly Buffer[]): Buffer[] {
  const forms = secrets.flatMap((secret) => [secret, ...otherForms(secret)]);
  return forms.filter((form) => form.length > 0);
}

function otherForms(secret: Buffer): Buffer[] {
  const text = secret.toString('utf8');
  const percent = encodeURIComponent(text);
  const forms = [
    ...[0, 1, 2].map((offset) => innerBase64(secret, offset)),
    ...[percent, percent.replaceAll('%20', '+'), percent.toLowerCase()],
    ...[secret.toString('hex'), secret.toString('hex').toUpperCase()],
    JSON.stringify(text).slice(1, -1),
    ...text.split(/\r?\n/),
  ].filter((form) => form.length >= shortestPiece);
  const url = forms.map((form) => form.replaceAll('+', '-').replaceAll('/', '_'));
  return [...forms, ...url].map((form) => Buffer.from(form));
}

/** What stays the same of its base64 when `offset` bytes stand before it and any behind it. */
function innerBase64(secret: Buffer, offset: number): string {
  const whole = Buffer.concat([Buffer.alloc(offset), secret])
    .toString('base64')
    .replace(/=+$/, '');
  const first = offset === 0 ? 0 : offset + 1;
  const last = (offset + secret.length) % 3 === 0 ? whole.length : whole.length - 1;
  return whole.slice(first, last);
}

/** How many bytes beyond `shownBytes` have to be kept, so that no secret is cut in two and shown in part. */
export const keepBytesFor = (forms: readonly Buffer[]): number =>
  shownBytes + Math.max(0, ...forms.map(({ length }) => length));

/** Null: it printed nothing. `isCut`: others cut it off, where a secret may have begun. */
export function shownOutput({ head, tail, totalBytes }: Kept, forms: readonly Buffer[], isCut = false): string | null {
  if (totalBytes === 0) return null;
  const whole = tail === null ? head : totalBytes <= head.length + tail.length ? Buffer.concat([head, tail]) : null;
  if (whole !== null && whole.length <= 2 * shownBytes) return text(masked(whole, forms, 0, whole.length, isCut));
  // Where nothing was lost between them a secret may lie across.
  const [first, last] = whole === null ? [head, tail!] : [whole, whole];
  const from = Math.max(0, last.length - shownBytes);
  const left = totalBytes - 2 * shownBytes;
  return [
    text(masked(first, forms, 0, shownBytes)),
    `\n[… ${left} bytes left out …]\n`,
    text(masked(last, forms, from, last.length, isCut)),
  ].join('');
}

const text = (bytes: Buffer): string => printableLines(bytes.toString('utf8'));

/** The bytes from..to with every form of a secret masked, also one that begins before or ends behind them. */
function masked(bytes: Buffer, forms: readonly Buffer[], from: number, to: number, isCut = false): Buffer {
  const parts: Buffer[] = [];
  let at = from;
  for (const [start, end] of found(bytes, forms, isCut)) {
    if (end <= at || start >= to) continue;
    parts.push(bytes.subarray(at, Math.max(at, start)), mask);
    at = Math.max(at, end);
  }
  return Buffer.concat([...parts, bytes.subarray(Math.min(at, to), to)]);
}

/** Ranges of secrets in order; those that meet are one. */
function found(bytes: Buffer, forms: readonly Buffer[], isCut: boolean): [number, number][] {
  const ranges: [number, number][] = isCut ? [begun(bytes, forms)] : [];
  for (const form of forms) {
    for (let at = bytes.indexOf(form); at !== -1; at = bytes.indexOf(form, at + form.length)) {
      ranges.push([at, at + form.length]);
    }
  }
  ranges.sort(([a], [b]) => a - b);
  const merged: [number, number][] = [];
  for (const [start, end] of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && start <= last[1]) last[1] = Math.max(last[1], end);
    else merged.push([start, end]);
  }
  return merged;
}

/** Where at the end a secret may have begun, half a character behind it included. */
function begun(bytes: Buffer, forms: readonly Buffer[]): [number, number] {
  const whole = Buffer.from(bytes.toString('utf8').replace(/\uFFFD+$/, ''));
  const lengths = forms.map((form) => {
    let length = Math.min(form.length - 1, whole.length);
    while (length > 0 && !whole.subarray(-length).equals(form.subarray(0, length))) length -= 1;
    return length;
  });
  const longest = Math.max(0, ...lengths);
  return longest === 0 ? [bytes.length, bytes.length] : [whole.length - longest, bytes.length];
}

/** One short text, such as a message, without secrets. */
export const withoutThem = (words: string, forms: readonly Buffer[]): string =>
  masked(Buffer.from(words), forms, 0, Buffer.byteLength(words)).toString('utf8');
