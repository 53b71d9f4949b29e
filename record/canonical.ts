/** RFC 8785 (JSON Canonicalization Scheme) through the `canonicalize` package, and what has to be true before it. */
import { createHash } from 'node:crypto';
import canonicalizePackage from 'canonicalize';

/**
 * Text as both Postgres and RFC 8785 can keep it: lone surrogates and NUL become U+FFFD.
 *
 * Postgres refuses NUL in text (22021) and RFC 8785 refuses lone surrogates; a journal that is retried without limit must
 * not meet either.
 */
export function storableText(text: string): string {
  return wellFormed(text).replaceAll('\0', '\ufffd');
}

/**
 * The RFC 8785 form of plain JSON. Members that are undefined are left out; numbers that JSON does not have become their
 * names as text; lone surrogates become U+FFFD. NUL inside a string stays, as the escape `\u0000`.
 */
export function canonicalJson(value: unknown): string {
  return canonicalizePackage(plain(value)) ?? 'null';
}

/** Lower-case hex SHA-256 of bytes, or of a text's UTF-8. */
export function sha256Hex(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Under the u flag, only surrogates without their partner match. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}

function plain(value: unknown): unknown {
  if (typeof value === 'string') return wellFormed(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'bigint') return String(value);
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(plain);
  if ('toJSON' in value && typeof value.toJSON === 'function') return plain(value.toJSON());
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [wellFormed(key), plain(member)]));
}
