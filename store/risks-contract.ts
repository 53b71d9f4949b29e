/** Risks as they are kept: what was found, since when, and when it went. */
import type { Risk, RiskFound, RiskSubject } from '../model/readiness/risks';
import type { NotificationRule } from '../model/runbook/runbook';

/** What one round has found. */
export interface RiskRound {
  readonly at: string;
  /** Who was asked and answered: what they found before and do not find now, is over. */
  readonly asked: readonly string[];
  /** Everybody who is asked at all; risks of others are over, because nobody will ever ask them again. */
  readonly sources: readonly string[];
  readonly found: readonly RiskFound[];
  /** What was looked at; absent: everything. What concerns others stays as it was, found or not. */
  readonly looked?: (subject: RiskSubject) => boolean;
  /** What could not be looked at although it was asked about: stays as it was where it is not found. Absent: nothing. */
  readonly unseen?: (risk: RiskFound) => boolean;
  /** Whom to tell of a risk; null, or none that names its occasion: whom the installation names. */
  readonly rules: (risk: RiskFound) => readonly NotificationRule[] | null;
}

export interface SourceAsked {
  readonly source: string;
  readonly askedAt: string;
  /** null: never. */
  readonly answeredAt: string | null;
  /** Why it did not answer the last time; null: it did. */
  readonly because: string | null;
}

/** What is looked at again and again beside all requests. */
export type TurnOf = 'readiness' | 'objectives';

export interface Risks {
  /** Takes a round in: times kept, people told of what appeared and of what went, all in one transaction. */
  reconcile(round: RiskRound): Promise<{ appeared: number; gone: number }>;
  /** Worst first; `goneSince`: with those that went since then. */
  list(filter: { readonly goneSince?: string }): Promise<Risk[]>;
  /** Who was asked, and when. */
  asked(): Promise<SourceAsked[]>;
  noteAsked(source: string, at: string, because: string | null): Promise<void>;
  /**
   * `of`: whose rounds; readiness where nothing is said. Whether the next round is this process's: at most one of all processes is told so in `everyMs`. One that is lost in a
   * round costs that round.
   */
  takeTurn(now: string, everyMs: number, of?: TurnOf): Promise<boolean>;
}
