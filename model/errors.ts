/**
 * The three families of failure, named for what happens next (design: closed sets).
 *
 * Every message is written for somebody woken at 3 a.m.: what failed, the value found, the value needed, what to do.
 */

export const errorFamilies = ['TransientError', 'PermanentError', 'OperatorError'] as const;
export type ErrorFamily = (typeof errorFamilies)[number];

export interface ErrorFacts {
  /** What failed, as a clause: `disk0 cannot be opened for writing`. */
  readonly what: string;
  /** The value found, in its own words and with its unit. */
  readonly found?: string;
  /** The value needed. */
  readonly needed?: string;
  /** What a person can do about it, as an instruction. */
  readonly remedy?: string;
  /** Last lines of the tool's own output; kept out of the message. */
  readonly detail?: string;
}

/** One sentence out of the facts, always in the same order. */
export function describeFacts(facts: ErrorFacts): string {
  const values = [
    facts.found === undefined ? undefined : `found ${facts.found}`,
    facts.needed === undefined ? undefined : `needed ${facts.needed}`,
  ].filter((value) => value !== undefined);
  const head = values.length === 0 ? facts.what : `${facts.what}: ${values.join(', ')}`;
  return facts.remedy === undefined ? head : `${head}. ${facts.remedy}`;
}

export abstract class MusterError extends Error {
  abstract readonly family: ErrorFamily;
  readonly facts: ErrorFacts;

  constructor(facts: ErrorFacts | string, options?: ErrorOptions) {
    const full = typeof facts === 'string' ? { what: facts } : facts;
    super(describeFacts(full), options);
    this.facts = full;
  }
}

/** Tried again by itself, with back-off. */
export class TransientError extends MusterError {
  readonly family = 'TransientError';
  override readonly name = 'TransientError';
}

/** Trying again cannot help: the step is stuck at once. */
export class PermanentError extends MusterError {
  readonly family = 'PermanentError';
  override readonly name = 'PermanentError';
}

/** A person has to do something first: the step is stuck at once and shows the remedy. */
export class OperatorError extends MusterError {
  readonly family = 'OperatorError';
  override readonly name = 'OperatorError';
}

/** True for the three families, also across module realms, where `instanceof` fails. */
export function isMusterError(error: unknown): error is MusterError {
  return error instanceof Error && errorFamilies.includes(error.name as ErrorFamily) && 'facts' in error;
}

/** Ends an exhaustive switch; throws when a value outside the closed set arrives at run time. */
export function assertNever(value: never): never {
  throw new PermanentError({ what: 'a value outside its closed set', found: JSON.stringify(value) });
}
