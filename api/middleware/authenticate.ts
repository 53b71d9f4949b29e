/**
 * Bearer tokens to named people. A verified token is remembered for a bounded time, so that a recovery can be started
 * and decided on while Postgres is down (design: law 5). Only the SHA-256 of a token is held in memory.
 */
import { createHash } from 'node:crypto';
import type { Person, Tokens } from '../../store/contract';
import type { ApiDeps } from '../deps';
import { Problem } from '../problems';
import { within } from '../within';

interface Known {
  readonly person: Person;
  readonly tokenId: string;
  readonly expiresAt: string | null;
  /** How long it had left when it was verified. */
  readonly leftMs: number;
  /** By a clock that nobody sets. */
  readonly verifiedAtMs: number;
}

export interface Verifier {
  /** undefined: unknown, expired or revoked. @throws Problem `part-unavailable` when Postgres is needed and does not answer. */
  verify(token: string): Promise<Person | undefined>;
  /** A revoked token is refused by this process at once. */
  forget(tokenId: string): void;
}

/** As many as there are people with a token open at once, with room to spare. */
const mostKnown = 1000;

export function createVerifier(
  tokens: Tokens,
  { config, clock, log, elapsedMs = () => performance.now() }: Pick<ApiDeps, 'config' | 'clock' | 'elapsedMs' | 'log'>,
): Verifier {
  const known = new Map<string, Known>();

  function remember(key: string, value: Known): void {
    known.delete(key);
    known.set(key, value);
    const oldest = known.size > mostKnown ? known.keys().next().value : undefined;
    if (oldest !== undefined) known.delete(oldest);
  }

  const leftMs = ({ expiresAt }: Pick<Known, 'expiresAt'>): number =>
    expiresAt === null ? Infinity : Date.parse(expiresAt) - clock().getTime();
  const ageMs = ({ verifiedAtMs }: Known): number => elapsedMs() - verifiedAtMs;
  /** By the clock, or by the time that has passed: a clock that was set back lengthens nothing. */
  const hasEnded = (one: Known): boolean => leftMs(one) <= 0 || ageMs(one) >= one.leftMs;

  return {
    async verify(token) {
      const key = createHash('sha256').update(token).digest('hex');
      const cached = known.get(key);
      // Its end is known here, so no Postgres is needed to refuse it.
      if (cached && hasEnded(cached)) {
        known.delete(key);
        return undefined;
      }
      if (cached && ageMs(cached) < config.tokenFreshMs) return cached.person;
      try {
        const found = await within(config.storeDeadlineMs, tokens.verify(token));
        if (!found) {
          known.delete(key);
          return undefined;
        }
        remember(key, { ...found, leftMs: leftMs(found), verifiedAtMs: elapsedMs() });
        return found.person;
      } catch (error) {
        if (cached && ageMs(cached) < config.tokenStaleMs) {
          log.warn(
            { err: error, person: cached.person.name },
            'Postgres does not answer; a token verified earlier is taken',
          );
          return cached.person;
        }
        throw new Problem(
          'part-unavailable',
          'The token cannot be checked: Postgres does not answer, and this token was not used here lately. Use one that was, or bring Postgres back',
          {},
          { cause: error },
        );
      }
    },
    forget(tokenId) {
      for (const [key, value] of known) if (value.tokenId === tokenId) known.delete(key);
    },
  };
}

/** The token of an `Authorization: Bearer …` header (RFC 6750); undefined when there is none. */
export function bearerToken(header: string | undefined): string | undefined {
  return /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(header ?? '')?.[1];
}
