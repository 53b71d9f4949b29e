/** How many sessions are asked at the same time, apart from Temporal and from what a session says. */
import pino from 'pino';
import { defaultApiConfig, type ApiDeps } from '../../api/deps';
import type { KnownServers } from '../../api/known-servers';
import { viewReplicas } from '../../api/replicas';
import type { ReplicaView } from '../../model/replica';
import { storyServer } from '../support/order';

const ids = Array.from({ length: 300 }, (_, at) => `app${String(at).padStart(3, '0')}`);
const servers = {
  list: () => Promise.resolve(ids.map((id) => ({ ...storyServer, id, name: id, recoverySiteId: 'dr' }))),
} as unknown as KnownServers;
const view = (id: string): ReplicaView => ({
  ...{ serverId: id, serverName: id, state: 'replicating', heldBy: null, points: [], lagMs: 1, storedBytes: 1 },
  lastError: null,
});

/** The first half of them has a replica; each has a session. */
function asking(session: (id: string) => Promise<unknown>) {
  const config = {
    ...defaultApiConfig,
    tenantId: 't',
    coreId: 'c',
    version: '0',
    siteIds: ['dr'],
    queryDeadlineMs: 20,
  };
  const here = ids.slice(0, 150).map(view);
  const temporal = {
    viewReplicas: () => Promise.resolve(here),
    session: (_: string, id: string) => session(id),
  } as unknown as ApiDeps['temporal'];
  return viewReplicas({ temporal, config, log: pino({ level: 'silent' }) }, servers);
}

test('300 sessions are asked a few at a time, and each is in the answer under its own name', async () => {
  let now = 0;
  let most = 0;
  const { items } = await asking(async (id) => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setImmediate(resolve));
    now--;
    return { state: 'paused', heldBy: null, lastError: `of ${id}` };
  });
  expect([most > 1, most <= 20]).toEqual([true, true]);
  expect(items.map(({ serverId, lastError }) => [serverId, lastError])).toEqual(ids.map((id) => [id, `of ${id}`]));
});

test('where no session answers, the site’s own word is shown, and not all of them are waited for', async () => {
  let asked = 0;
  const { items } = await asking(async () => {
    asked += 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
    return undefined;
  });
  expect(items.map(({ serverId }) => serverId)).toEqual(ids.slice(0, 150));
  expect(asked).toBeLessThan(100);
});
