/** From runs in the store to who is told that an objective is at risk; without Temporal, the journal answers for them. */
import pino from 'pino';
import { defaultApiConfig, type ApiDeps } from '../../api/deps';
import { createObjectiveWatch, startObjectiveWatch } from '../../api/objective-watch';
import type { NotificationRule } from '../../model/runbook/runbook';
import type { OpenStore } from '../../store/open-store';
import { defaultScope } from '../../store/contract';
import { Story } from '../support/events';
import { makeOrder, storyServer } from '../support/order';
import { withOutbox } from '../store/outbox';
import { batch, newRunId } from '../store/run-events';

const minute = 60_000;
const hour = 60 * minute;
const before = (ms: number): string => new Date(Date.now() - ms).toISOString();
const rule: NotificationRule = { on: ['objective-at-risk'], mail: ['oncall@dr.example'], webhooks: [] };

/** The button of a server with an RTO of 15 min was pushed then. */
function begun(serverId: string, at: string): Story {
  // Far from the size of any that has run.
  const disks = storyServer.disks.map((disk) => ({
    ...disk,
    sizeBytes: disk.sizeBytes * (serverId === 'known' ? 1 : 9),
  }));
  const objectives = { rpoMs: hour, rtoMs: 15 * minute };
  const server = { ...storyServer, id: serverId, name: serverId, disks, objectives };
  return new Story(makeOrder({ ...defaultScope, runId: newRunId(), server, requestedAt: at, lostAt: null }), at);
}

async function keep(store: OpenStore, { events, order }: Story): Promise<string> {
  await store.journal.append(batch(order.runId, 1, events));
  return order.runId;
}

/** Ten minutes from the button to the proof. */
async function past(store: OpenStore, serverId: string): Promise<void> {
  const story = begun(serverId, before(24 * hour));
  story.announce('prove-boot').step('prove-boot', { tookMs: 10 * minute, result: { provenAt: story.at, rungs: [] } });
  await keep(store, story.close('succeeded', 'Recovered.'));
}

const depsOf = (store: OpenStore, asked: (runId: string) => void = () => undefined) => ({
  store,
  temporal: {
    findPlan: () => Promise.resolve(undefined),
    findRecovery: (_tenantId: string, runId: string) => Promise.resolve(asked(runId)),
  } as unknown as ApiDeps['temporal'],
  config: { ...defaultApiConfig, ...defaultScope, version: '0', siteIds: [] },
  // An hour behind: what has passed is told by Postgres.
  clock: () => new Date(Date.now() - hour),
  log: pino({ level: 'silent' }),
});
const watchOf = (store: OpenStore) => createObjectiveWatch(depsOf(store));

async function told(store: OpenStore): Promise<string[]> {
  while ((await store.notifications.address({ defaults: [rule], windowMs: 0, quietMs: 0 })) > 0);
  const all = await store.notifications.list({ limit: 9 });
  return all.map(({ key }) => key).sort();
}

test('a run that past runs let expect too late is told at once, others at four fifths, each once', () =>
  withOutbox(async (store) => {
    await past(store, 'known');
    const runs = {
      late: await keep(store, begun('known', before(6 * minute))),
      inTime: await keep(store, begun('known', before(2 * minute))),
      unknown: await keep(store, begun('other', before(6 * minute))),
      unknownLate: await keep(store, begun('other', before(13 * minute))),
    };
    const watch = watchOf(store);
    await watch.look();
    const expected = [`${runs.late}/rto`, `${runs.unknownLate}/rto`].sort();
    expect(await told(store)).toEqual(expected);
    await watch.look();
    await watchOf(store).look();
    expect(await told(store)).toEqual(expected);
  }));

test('of several processes one looks at a time, and at no run that is being undone', () =>
  withOutbox(async (store) => {
    const open = await keep(store, begun('known', before(minute)));
    const undone = begun('other', before(minute));
    await keep(store, undone.emit('undo-started', { because: 'Wrong site' }));
    const asked: string[] = [];
    const processes = Array.from({ length: 3 }, () => startObjectiveWatch(depsOf(store, (runId) => asked.push(runId))));
    await Promise.all(processes.map((one) => one.stop()));
    expect(new Set(asked)).toEqual(new Set([open]));
    const once = asked.length;
    await createObjectiveWatch(depsOf(store, (runId) => asked.push(runId))).look();
    expect(asked.length).toBe(2 * once);
    expect(await store.risks.asked()).toEqual([]);
  }));
