/** The end of a rehearsal's networks is read from the platform, not taken from its word. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Attempt } from '../../activities/attempt';
import { createNetworkEffects } from '../../activities/network-effects';
import type { ActivityDeps } from '../../activities/site';
import { openSimulatedSite } from '../../platforms/simulated/open';
import type { Platform } from '../../platforms/contract';
import { makeOrder, storyRunId } from '../support/order';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-networks-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const names = ['lab-1', 'lab-2'];
const order = makeOrder({
  mode: 'rehearsal',
  isolation: { ownerRunId: storyRunId, networks: names, siteId: 'frankfurt' },
});
const attempt = {
  effect: { runId: storyRunId, step: 'remove-networks', item: null, attempt: 1, token: 1, undo: false },
};

/** `broken`: in place of what the platform does. */
function site(broken: Partial<Platform> = {}) {
  const { platform } = openSimulatedSite({ folder, id: 'frankfurt' });
  const seen = new Proxy(platform, {
    get: (target, name, receiver) =>
      (broken as Record<string | symbol, unknown>)[name] ?? Reflect.get(target, name, receiver),
  });
  const recovery = new Map([['frankfurt', { platform: seen, leaseFolder: join(folder, 'leases') }]]);
  const deps = { sites: { recovery }, now: () => Date.parse('2026-03-14T03:00:00.000Z') } as unknown as ActivityDeps;
  const effects = createNetworkEffects(deps);
  const input = { order } as unknown as Parameters<typeof effects.removeNetworks>[0];
  const taking = attempt as unknown as Attempt;
  return {
    platform,
    make: () => effects.makeNetworks(input, taking),
    remove: () => effects.removeNetworks(input, taking),
  };
}

test('after their removal the platform is asked again, and the result says that they are gone', async () => {
  const { platform, make, remove } = site();
  await make();
  expect((await platform.networks()).map(({ name }) => name)).toEqual(names);
  const gone = { siteId: 'frankfurt', gone: names, lookedAt: '2026-03-14T03:00:00.000Z' };
  expect(await remove()).toEqual(gone);
  expect(await platform.networks()).toEqual([]);
  expect(await remove()).toEqual(gone);
});

test('a platform that takes the removal and keeps a network is an error that names it', async () => {
  const { make, remove } = site({ removeNetwork: () => Promise.resolve() });
  await make();
  await expect(remove()).rejects.toMatchObject({
    name: 'OperatorError',
    message: expect.stringContaining('still has lab-1, lab-2'),
  });
});
