/** How long a site was silent, where Temporal itself was away meanwhile. */
import pino from 'pino';
import { createSiteWatch } from '../../api/site-watch';
import { defaultApiConfig, type ApiDeps } from '../../api/deps';

const minute = 60_000;

test('while Temporal is away nobody can poll it: the silence of a site counts from when it is back', async () => {
  let [nowMs, isAway] = [0, false];
  let poll: string | null = '2026-01-01T00:00:00.000Z';
  const silences: boolean[] = [];
  const saw = (siteId: string, lastPollAt: string | null, isSilent: boolean) => {
    silences.push(isSilent);
    return Promise.resolve({ siteId, lastPollAt: lastPollAt ?? '', absentSince: null });
  };
  const watch = createSiteWatch({
    temporal: { lastPoll: () => (isAway ? Promise.reject(new Error('away')) : Promise.resolve(poll)) },
    store: { sites: { saw } },
    config: { ...defaultApiConfig, siteIds: ['dr'] },
    ...{ clock: () => new Date(nowMs), elapsedMs: () => nowMs, log: pino({ level: 'silent' }) },
  } as unknown as ApiDeps);
  const lookAt = async (at: number) => {
    nowMs = at;
    await watch.look();
  };
  await lookAt(0);
  isAway = true;
  await lookAt(minute);
  isAway = false;
  // It has forgotten who polled, and the worker has not come back to it yet.
  poll = null;
  await lookAt(5 * minute);
  await lookAt(5.5 * minute);
  expect(silences).toEqual([false, false, false]);
  await lookAt(10 * minute);
  expect(silences.at(-1)).toBe(true);
});
