/** What rehearsals have shown, as the store computes it from the journal. */
import { planHeader, withoutServersOfParts } from '../../model/plan';
import { samplePlan } from '../support/plan-sample';
import { tellRehearsal } from '../support/rehearsals';
import { at, batch, closed, event, newRunId, opened, serverSpec } from './run-events';
import { withStore } from './store';

test('a closed rehearsal is read with the last run of each of its servers; a recovery is none', () =>
  withStore(async (store) => {
    await tellRehearsal(store, { second: 0, servers: [{ name: 'db01', state: 'succeeded' }], mode: 'recovery' });
    expect(await store.rehearsals.closed('shop', 'a')).toEqual([]);
    const servers = [
      { name: 'db01', state: 'failed' },
      { name: 'app01', state: 'succeeded' },
      { name: 'db01', state: 'succeeded' },
    ] as const;
    const runId = await tellRehearsal(store, { second: 100, servers });
    const [rehearsal, ...others] = await store.rehearsals.closed('shop', 'a');
    expect(others).toEqual([]);
    expect(rehearsal!.run).toMatchObject({ runId, state: 'succeeded', closedAt: at(110), runbook: { sha256: 'a' } });
    const shown = rehearsal!.servers.map(({ server, state, skipped }) => [server!.name, state, skipped]);
    expect(shown.sort()).toEqual([
      ['app01', 'succeeded', ['prove-boot']],
      ['db01', 'succeeded', ['prove-boot']],
    ]);
  }));

test('of other texts only the newest that succeeded is read, newest first, and nothing of other runbooks', () =>
  withStore(async (store) => {
    const servers = [{ name: 'db01', state: 'succeeded' }] as const;
    const mine = await tellRehearsal(store, { second: 0, servers });
    await tellRehearsal(store, { second: 100, sha256: 'b', servers });
    const newest = await tellRehearsal(store, { second: 200, sha256: 'c', servers });
    const read = (await store.rehearsals.closed('shop', 'a')).map(({ run, servers }) => [run.runId, servers.length]);
    expect(read).toEqual([
      [newest, 1],
      [mine, 1],
    ]);
    expect(await store.rehearsals.closed('directory', 'a')).toEqual([]);
  }));

test('a plan that has not ended holds the servers that it has still before it, and those of what it includes', () =>
  withStore(async (store) => {
    const shop = samplePlan({ runId: newRunId() });
    const site = {
      ...samplePlan({ runId: newRunId() }),
      servers: [],
      parts: [{ name: 'shop', after: [], order: shop }],
    };
    const open = (order: ReturnType<typeof planHeader>, parentRunId: string | null = null) =>
      store.journal.append({
        ...batch(order.runId, 1, [event('plan-opened', { order, declaration: 'plan', versions: {} })]),
        parentRunId,
      });
    const holders = () => store.rehearsals.holders(['id-db01', 'id-web02', 'id-other']);
    expect(await holders()).toEqual([]);
    await open(planHeader(site));
    expect(await holders()).toEqual([
      { runId: site.runId, mode: 'recovery', serverName: 'db01' },
      { runId: site.runId, mode: 'recovery', serverName: 'web02' },
    ]);
    // What has begun is named by its own run.
    const child = newRunId();
    const spec = serverSpec({ id: 'id-web02', name: 'web02' });
    await store.journal.append({ ...batch(child, 1, [opened(child, 0, spec)]), parentRunId: shop.runId });
    expect((await holders()).map(({ runId, serverName }) => [serverName, runId])).toEqual([
      ['web02', child],
      ['db01', site.runId],
    ]);
    await store.journal.append({ ...batch(child, 2, [closed()]), parentRunId: shop.runId });
    expect((await holders()).map(({ runId }) => runId)).toEqual([site.runId, site.runId]);
    await store.journal.append(batch(site.runId, 2, [closed()]));
    expect(await holders()).toEqual([]);
    // A record of an earlier version names the servers of what it includes in their own plans' records only.
    const before = { ...site, runId: newRunId() };
    await open(withoutServersOfParts(planHeader(before)));
    expect(await holders()).toEqual([]);
    await open(planHeader(shop), before.runId);
    expect((await holders()).map(({ runId }) => runId)).toEqual([shop.runId, shop.runId]);
  }));
