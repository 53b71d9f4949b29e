/** What a setting is, and the kinds of values that settings have. */
import { z } from 'zod';

export interface Setting<T = unknown> {
  readonly variable: string;
  /** Path in the YAML file, dotted; null: environment only. */
  readonly key: string | null;
  readonly meaning: string;
  /** What is needed, as a person would say it; part of the error message. */
  readonly needed: string;
  /** The default as the documentation shows it. */
  readonly standard: string;
  /** Takes text (from the environment or YAML); the input undefined gives the default. */
  readonly schema: z.ZodType<T>;
  /** The value may hold a password: never printed. */
  readonly secret?: true;
}

const trueWords = ['1', 'true', 'yes', 'on'];
const falseWords = ['0', 'false', 'no', 'off'];

export const text = z.string().trim().min(1);
export const flag = (standard: boolean) =>
  z
    .union([
      z.boolean(),
      z
        .string()
        .toLowerCase()
        .pipe(z.enum([...trueWords, ...falseWords])),
    ])
    .transform((value) => value === true || (typeof value === 'string' && trueWords.includes(value)))
    .default(standard);
export const wholeNumber = (min: number, max: number) =>
  z.union([z.number(), z.string().trim().regex(/^\d+$/).transform(Number)]).pipe(z.number().int().min(min).max(max));
export const port = wholeNumber(1, 65_535);
/** In the environment separated by commas, in YAML a list. */
export const listOf = (one: z.ZodType<string, string>) =>
  z
    .union([z.array(z.string()), z.string().transform((list) => list.split(',').map((part) => part.trim()))])
    .pipe(z.array(one).min(1));
/** Stands in tables, workflow ids, queues and paths, so it is kept to characters that are safe in all of them. */
export const identifier = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/);
export const identifierNeeded = 'lower-case letters, digits and hyphens, at most 40';
export const hostAndPort = z.string().regex(/^[\w.-]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/);

export const portNeeded = 'a port number from 1 to 65535';
export const flagNeeded = `one of ${[...trueWords, ...falseWords].join(', ')}`;

export function setting<T>(
  variable: string,
  key: string | null,
  schema: z.ZodType<T>,
  words: { meaning: string; needed: string; standard: string; secret?: true },
): Setting<T> {
  return { variable, key, schema, ...words };
}
