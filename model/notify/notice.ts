/**
 * What people are to be told. A notice is made in the transaction that records what happened; it is addressed and sent later, so
 * that no run waits for a mail.
 *
 * Two notices are the same when key, epoch, occasion and stage are; the second is dropped.
 */
import type { Mode } from '../order';
import type { NotificationRule, Occasion } from '../runbook/runbook';
import type { DecisionKind, RunState } from '../steps';

export interface Notice {
  /** What it is about: a run's id, or a name such as `site/recovery` or `risk/app01/lag`. */
  readonly key: string;
  /** Of a parking; for what appears and goes, counted up with each appearance; 0: of the run as a whole. */
  readonly epoch: number;
  readonly occasion: Occasion;
  /** 0: it happened. From 1: reminders, or (of what is no run) that it is over. */
  readonly stage: number;
  readonly facts: NoticeFacts;
}

/** Of which run; null in facts of what is no run. */
export interface NoticeRun {
  readonly runId: string;
  readonly parentRunId: string | null;
  readonly procedure: string;
  readonly mode: Mode;
}

export interface NoticeFacts {
  /** Server, runbook, site, or what else it is about. */
  readonly name: string;
  readonly run: NoticeRun | null;
  /** Where it waits. */
  readonly step: string | null;
  readonly item: string | null;
  /** UTC. */
  readonly since: string;
  readonly cause: string;
  readonly remedy: string;
  /** What a person may answer. */
  readonly allowed: readonly DecisionKind[];
  /** Of a run that has finished. */
  readonly state: RunState | null;
  /** It is over: a risk that went, a site that has a worker again. */
  readonly over: boolean;
}

/** The places of a notification. */
export const channels = ['mail', 'webhook'] as const;
export type Channel = (typeof channels)[number];

export interface Recipient {
  readonly channel: Channel;
  /** Mail address, or name of a webhook. */
  readonly to: string;
}

/** Whom these rules tell of an occasion, each once. An address is the same in any case of its letters. */
export function recipientsOf(rules: readonly NotificationRule[], occasion: Occasion): Recipient[] {
  const all = rules
    .filter((rule) => rule.on.includes(occasion))
    .flatMap((rule) => [
      ...rule.mail.map((to) => ({ channel: 'mail', to }) as const),
      ...rule.webhooks.map((to) => ({ channel: 'webhook', to }) as const),
    ]);
  const byPlace = new Map(all.map((one) => [`${one.channel} ${one.to.toLowerCase()}`, one]));
  return [...byPlace.values()];
}

/** Longest text of a notice that comes from elsewhere: a mail is no log. */
export const longestText = 1_000;

/**
 * What a cause has in common with the same one elsewhere: without the name of the server, without ids and numbers. 200
 * servers that are stuck on one full datastore are one cause.
 */
export function causeOf(occasion: Occasion, stage: number, { name, cause, over }: NoticeFacts): string {
  const words = (name === '' ? cause : cause.replaceAll(name, '…'))
    .toLowerCase()
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '#')
    .replace(/[0-9]+(?:[.,:][0-9]+)*/g, '#')
    .replace(/\s+/g, ' ')
    .slice(0, 300);
  return [occasion, stage > 0 && !over ? 'reminder' : '', over ? 'over' : '', words].join('|');
}
