/** What rehearsals have shown, as the store computes it from the journal. */
import { tellRehearsal } from '../support/rehearsals';
import { at } from './run-events';
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
