/** The order of sending, apart from what sends and what stores. */
import pino from 'pino';
import { startDispatcher } from '../../notify/dispatcher';
import type { Parcel, Notifications } from '../../store/notifications-contract';

const by = {
  actor: { kind: 'worker', id: 'test', name: 'test' },
  ...{ authMethod: 'internal', requestId: '', address: '' },
} as const;
const parcel = (parcelId: string): Parcel => ({ parcelId, notices: [] }) as unknown as Parcel;

/** An outbox of webhooks only; `sent` and `failed` are told when they are stored. */
function outbox(ids: readonly string[]) {
  const due = ids.map(parcel);
  const stored: string[] = [];
  let told = (): void => undefined;
  const notifications: Notifications = {
    address: () => Promise.resolve(0),
    take: (channel: string) => Promise.resolve(channel === 'webhook' ? due.shift() : undefined),
    sent: ({ parcelId }: Parcel) => Promise.resolve(void stored.push(`sent ${parcelId}`)).then(() => told()),
    failed: ({ parcelId }: Parcel) => Promise.resolve(void stored.push(`failed ${parcelId}`)).then(() => told()),
  } as unknown as Notifications;
  const until = (count: number): Promise<void> =>
    new Promise((resolve) => {
      told = () => void (stored.length >= count && resolve());
      told();
    });
  return { notifications, stored, until };
}

test('a receiver that hangs keeps nobody else waiting, and what is on its way gets its end before the dispatcher has stopped', async () => {
  const { notifications, stored, until } = outbox(['hangs', 'refused', 'one', 'two']);
  let answer = (): void => undefined;
  const hanging = new Promise<void>((resolve) => (answer = resolve));
  const send = ({ parcelId }: Parcel): Promise<void> => {
    if (parcelId === 'hangs') return hanging;
    return parcelId === 'refused' ? Promise.reject(new Error('status 500')) : Promise.resolve();
  };
  const dispatcher = startDispatcher({
    ...{ store: { notifications }, senders: { mail: { send }, webhook: { send } }, defaults: [], giveUpMs: 1, by },
    ...{ log: pino({ level: 'silent' }), pace: { everyMs: 1 } },
  });
  await until(3);
  expect([...stored].sort()).toEqual(['failed refused', 'sent one', 'sent two']);
  const stopped = dispatcher.stop();
  answer();
  await stopped;
  expect(stored.at(-1)).toBe('sent hangs');
});

test('no more are on their way at once than is said', async () => {
  const { notifications, stored, until } = outbox(Array.from({ length: 30 }, (_, at) => String(at)));
  let now = 0;
  let most = 0;
  const send = async (): Promise<void> => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setImmediate(resolve));
    now--;
  };
  const dispatcher = startDispatcher({
    ...{ store: { notifications }, senders: { mail: { send }, webhook: { send } }, defaults: [], giveUpMs: 1, by },
    ...{ log: pino({ level: 'silent' }), pace: { everyMs: 1 } },
  });
  await until(30);
  await dispatcher.stop();
  expect(stored).toHaveLength(30);
  expect([most > 1, most <= 8]).toEqual([true, true]);
});
