/** Notices and notifications, as the rest of the product sees them: what happened, whom it was or will be told, and how that went. */
import type { Channel, Notice } from '../model/notify/notice';
import type { NotificationRule, Occasion } from '../model/runbook/runbook';
import type { Provenance } from '../model/order';

export const notificationStates = ['due', 'sent', 'failed', 'settled'] as const;
/** settled: it was decided, went by itself or was taken by somebody before it was told. failed: given up, see `error`. */
export type NotificationState = (typeof notificationStates)[number];

/** One notice for one recipient. */
export interface Notification {
  readonly notificationId: string;
  readonly runId: string | null;
  readonly key: string;
  readonly epoch: number;
  readonly occasion: Occasion;
  readonly stage: number;
  readonly name: string;
  readonly channel: Channel;
  readonly to: string;
  readonly state: NotificationState;
  readonly madeAt: string;
  /** When it was sent, given up or settled. */
  readonly endedAt: string | null;
  readonly attempts: number;
  /** Why the last try failed. */
  readonly error: string | null;
}

/**
 * What goes to one recipient as one message. The same parcel may be sent twice when whoever sent it was killed before it said so. A
 * mail that could not be sent is made anew, with what has come for the same recipient meanwhile; a call is repeated as it was.
 */
export interface Parcel {
  /** The same on every try of the same message. */
  readonly parcelId: string;
  readonly channel: Channel;
  readonly to: string;
  readonly notices: readonly Notice[];
}

export interface AddressingRules {
  /** Whom to tell of what has no runbook, and of an occasion that no rule of its runbooks names. */
  readonly defaults: readonly NotificationRule[];
  /** How long more of the same is waited for before it goes out. */
  readonly windowMs: number;
  /** Mails on one cause to one address are at least so far apart. */
  readonly quietMs: number;
}

export interface Undelivered {
  /** Wait to be sent. */
  readonly due: number;
  /** Since when the oldest of them does. */
  readonly dueSince: string | null;
  /** Given up in the last 24 hours. */
  readonly failed: number;
}

export interface Notifications {
  /**
   * Something that is of no run's journal: a risk, a rehearsal that is due. The same again (key, epoch, occasion, stage) changes
   * nothing. `rules`: of the runbook that it is about; where none names the occasion, the installation's own.
   */
  put(notice: Notice, rules?: readonly NotificationRule[]): Promise<void>;
  /** Makes a notification for each recipient of notices that are due; how many notices were looked at. */
  address(rules: AddressingRules): Promise<number>;
  /** The next message to send, kept from others for `leaseMs`; undefined: nothing is due. */
  take(channel: Channel, leaseMs: number): Promise<Parcel | undefined>;
  /** It was sent; the installation's own chain says to whom. Of a parcel that somebody else has taken meanwhile: nothing. */
  sent(parcel: Parcel, by: Provenance): Promise<void>;
  /** It was not: it is tried again later, or has failed when it is older than `giveUpMs` or `forGood`. */
  failed(
    parcel: Parcel,
    by: Provenance,
    why: { readonly error: string; readonly forGood: boolean; readonly giveUpMs: number },
  ): Promise<void>;
  /** Newest first. */
  list(filter: {
    readonly state?: NotificationState;
    readonly runId?: string;
    readonly limit: number;
  }): Promise<Notification[]>;
  /** Who was told of a parking, or will be; without an epoch of the whole run. Oldest first. */
  ofRun(runId: string, epoch?: number): Promise<Notification[]>;
  undelivered(): Promise<Undelivered>;
}
