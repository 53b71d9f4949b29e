/** Where the next page of a list begins: the sort key of the last row shown, as one word that only the same list reads. */
import { z } from 'zod';
import { OperatorError } from '../model/errors';
import { storableText } from '../record/canonical';

/** The parts of a sort key, as Postgres takes them: `text` and `integer`. */
export const textPart = z.string().transform(storableText);
export const integerPart = z.int32();

export function cursorOf(position: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

/** @throws OperatorError for text that no list of this sort key has given out. */
export function positionOf<Key>(cursor: string, key: z.ZodType<Key>): Key {
  const position = key.safeParse(parsed(cursor));
  if (position.success) return position.data;
  throw new OperatorError({
    what: 'the list cannot be continued',
    found: `the position ${JSON.stringify(cursor.slice(0, 80))}`,
    needed: 'the `next` of an earlier page',
    remedy: 'List again from the start.',
  });
}

function parsed(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}
