/**
 * Sends what is due, in the API's process, until it is stopped. Any number of them may run: the store gives each parcel to one.
 * Nothing here can hold up a run: runs write to the outbox and never look at it again.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { isMusterError } from '../model/errors';
import { channels, type Channel } from '../model/notify/notice';
import type { Provenance } from '../model/order';
import type { NotificationRule } from '../model/runbook/runbook';
import { withoutSecrets } from '../programs/redact';
import type { Store } from '../store/contract';
import type { Parcel } from '../store/notifications-contract';
import type { Sender } from './message';

export interface DispatcherDeps {
  readonly store: Pick<Store, 'notifications'>;
  readonly senders: Readonly<Record<Channel, Sender>>;
  /** On occasions that no runbook's rules name. */
  readonly defaults: readonly NotificationRule[];
  readonly giveUpMs: number;
  readonly log: Logger;
  /** Stands in the record as who sent it. */
  readonly by: Provenance;
  readonly pace?: Partial<Pace>;
}

export interface Pace {
  /** Between two looks. */
  readonly everyMs: number;
  /** So long more of the same is waited for, so that 200 servers are one mail. */
  readonly windowMs: number;
  /** Mails on one cause to one address are at least so far apart. */
  readonly quietMs: number;
  /** A parcel that nobody has said anything of for so long is sent again. Longer than any sender tries. */
  readonly leaseMs: number;
}

const standardPace: Pace = { everyMs: 2_000, windowMs: 10_000, quietMs: 120_000, leaseMs: 180_000 };
/** By channel: a receiver that hangs keeps its own messages waiting, and not the others'. */
const messagesAtOnce = 8;
/** A message that is on its way when the process stops gets so long to arrive. */
const stopGraceMs = 4_000;

export interface Dispatcher {
  /** Returns when nothing of it runs any more. */
  stop(): Promise<void>;
}

export function startDispatcher(deps: DispatcherDeps): Dispatcher {
  const pace = { ...standardPace, ...deps.pace };
  const stopping = new AbortController();
  const cutting = new AbortController();
  const loops = [
    loop(deps, pace, stopping.signal, () => addressAll(deps, pace)),
    ...channels.map((channel) => sendAll(deps, pace, channel, stopping.signal, cutting.signal)),
  ];
  return {
    async stop() {
      stopping.abort();
      const cut = setTimeout(() => cutting.abort(), stopGraceMs);
      await Promise.all(loops);
      clearTimeout(cut);
    },
  };
}

/** Postgres may be away for hours: said once, then looked at again and again. */
async function loop({ log }: DispatcherDeps, pace: Pace, signal: AbortSignal, round: () => Promise<void>) {
  let wasAway = false;
  while (!signal.aborted) {
    try {
      await round();
      wasAway = false;
    } catch (error) {
      if (!wasAway) log.warn({ err: error }, 'Notifications wait: the store does not answer');
      wasAway = true;
    }
    await pause(pace.everyMs, undefined, { signal }).catch(() => undefined);
  }
}

async function addressAll({ store, defaults }: DispatcherDeps, { windowMs, quietMs }: Pace): Promise<void> {
  while ((await store.notifications.address({ defaults, windowMs, quietMs })) > 0);
}

/** Returns when it is stopped and nothing of it is on its way any more. */
async function sendAll(
  deps: DispatcherDeps,
  pace: Pace,
  channel: Channel,
  stopping: AbortSignal,
  cutting: AbortSignal,
): Promise<void> {
  const onTheirWay = new Set<Promise<void>>();
  await loop(deps, pace, stopping, async () => {
    while (!stopping.aborted) {
      if (onTheirWay.size >= messagesAtOnce) await Promise.race(onTheirWay);
      const parcel = await deps.store.notifications.take(channel, pace.leaseMs);
      if (parcel === undefined) return;
      const sending = send(deps, channel, parcel, cutting).finally(() => onTheirWay.delete(sending));
      onTheirWay.add(sending);
    }
  });
  await Promise.all(onTheirWay);
}

async function send(
  { store, senders, giveUpMs, log, by }: DispatcherDeps,
  channel: Channel,
  parcel: Parcel,
  cutting: AbortSignal,
): Promise<void> {
  const about = { parcel: parcel.parcelId, channel, notices: parcel.notices.length };
  const failure = await senders[channel].send(parcel, cutting).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  try {
    if (failure === undefined) {
      await store.notifications.sent(parcel, by);
      return log.info(about, 'sent a notification');
    }
    const { error } = failure;
    // What is wrong with the configuration is mended there, and then goes out.
    const forGood = isMusterError(error) && error.family === 'PermanentError';
    const text = withoutSecrets(error instanceof Error ? error.message : String(error));
    log.warn({ ...about, reason: text, forGood }, 'A notification could not be sent');
    await store.notifications.failed(parcel, by, { error: text, forGood, giveUpMs });
  } catch (error) {
    log.warn({ ...about, err: error }, 'What became of a notification could not be stored: it is sent again');
  }
}
