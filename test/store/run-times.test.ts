/** How long runs took is kept when they close, and read newest first. */
import { v7 as uuidv7 } from 'uuid';
import { defaultScope } from '../../store/contract';
import { makeOrder, storyServer } from '../support/order';
import { abortedStory, succeededStory } from '../support/stories';
import { withStore } from './store';

test('a run that went well is kept once, with its server and its site; one that was undone is not', () =>
  withStore(async (store) => {
    const append = (runId: string, events: ReturnType<typeof succeededStory>['events'], flush: number) =>
      store.journal.append({ ...defaultScope, runId, parentRunId: null, flush, events });
    const [first, second, other] = [uuidv7(), uuidv7(), uuidv7()];
    for (const runId of [first, second]) {
      const { events } = succeededStory(makeOrder({ runId }));
      await append(runId, events.slice(0, 5), 1);
      await append(runId, events.slice(5), 2);
      await append(runId, events.slice(5), 2);
    }
    await append(other, abortedStory().events, 1);
    const asked = { procedure: 'push-button-recovery', serverIds: [storyServer.id], siteIds: ['frankfurt'] };
    const past = await store.times.past(asked);
    expect(past.map(({ runId }) => runId).sort()).toEqual([first, second].sort());
    expect(past[0]).toMatchObject({ serverId: storyServer.id, siteId: 'frankfurt', toProofMs: expect.any(Number) });
    expect(await store.times.past({ ...asked, serverIds: [], siteIds: ['frankfurt'] })).toHaveLength(2);
    expect(await store.times.past({ ...asked, serverIds: ['nobody'], siteIds: [] })).toEqual([]);
  }));
