import type { RunRow } from '../../store/contract';
import type { OpenStore } from '../../store/open-store';
import { at, batch, closed, event, newRunId, opened, serverSpec } from './run-events';
import { withStore } from './store';

async function startRun(store: OpenStore, second: number, serverId = 's-1'): Promise<string> {
  const runId = newRunId();
  await store.journal.append(batch(runId, 1, [opened(runId, second, serverSpec({ id: serverId }))]));
  return runId;
}

async function allPages(store: OpenStore, limit: number, between: () => Promise<unknown>): Promise<RunRow[]> {
  const seen: RunRow[] = [];
  let after: string | undefined;
  do {
    const page = await store.runs.list({ limit, after });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    seen.push(...page.items);
    after = page.next;
    await between();
  } while (after !== undefined);
  return seen;
}

test("a run's row follows its events", () =>
  withStore(async (store) => {
    const runId = await startRun(store, 5);
    const announced = event('step-announced', { title: 'Freeze' }, { step: 'freeze' });
    await store.journal.append(batch(runId, 2, [announced]));
    const running: RunRow = {
      runId,
      parentRunId: null,
      procedure: 'push-button-recovery',
      mode: 'recovery',
      serverId: 's-1',
      serverName: 'app01',
      runbook: null,
      runbookVersion: null,
      runbookSha256: null,
      state: 'running',
      currentStep: 'freeze',
      stuckSince: null,
      requestedBy: 'Anna',
      startedAt: at(5),
      closedAt: null,
    };
    expect(await store.runs.get(runId)).toEqual(running);
    await store.journal.append(batch(runId, 3, [closed(60)]));
    const over = { ...running, state: 'succeeded', currentStep: null, closedAt: at(60) };
    expect((await store.runs.list({ limit: 10 })).items).toEqual([over]);
  }));

test('pages show every run once, newest first, while runs start in between', () =>
  withStore(async (store) => {
    const runIds: string[] = [];
    // Three runs a second: the run's id decides the order within it.
    for (let i = 0; i < 10; i += 1) runIds.push(await startRun(store, Math.floor(i / 3)));
    let later = 100;
    const seen = await allPages(store, 3, () => startRun(store, (later += 1)));
    expect(seen.map((row) => row.runId)).toEqual([...runIds].reverse());
    expect((await store.runs.list({ limit: 10, state: 'running' })).next).toBeDefined();
  }));

test('a last page that is exactly full has no next', () =>
  withStore(async (store) => {
    await startRun(store, 1);
    await startRun(store, 2);
    expect((await store.runs.list({ limit: 2 })).next).toBeUndefined();
    expect((await store.runs.list({ limit: 1 })).next).toBeDefined();
  }));

test('runs are filtered by state and server, also over pages', () =>
  withStore(async (store) => {
    const wanted = [await startRun(store, 1, 's-2'), await startRun(store, 3, 's-2')];
    const other = await startRun(store, 2, 's-1');
    await store.journal.append(batch(other, 2, [closed()]));
    const first = await store.runs.list({ serverId: 's-2', limit: 1 });
    const second = await store.runs.list({ serverId: 's-2', limit: 1, after: first.next });
    expect([...second.items, ...first.items].map((row) => row.runId)).toEqual(wanted);
    expect((await store.runs.list({ state: 'succeeded', limit: 5 })).items.map((row) => row.runId)).toEqual([other]);
  }));

test('a position that no page gave out is refused', () =>
  withStore(async (store) => {
    for (const after of [
      '',
      'x',
      Buffer.from('{}').toString('base64url'),
      Buffer.from('[1,2]').toString('base64url'),
    ]) {
      await expect(store.runs.list({ limit: 5, after })).rejects.toMatchObject({ name: 'OperatorError' });
    }
  }));

test('runs of another tenant are not seen', () =>
  withStore(async (store) => {
    const runId = newRunId();
    await store.journal.append({ ...batch(runId, 1, [opened(runId)]), tenantId: 'other' });
    expect(await store.runs.get(runId)).toBeUndefined();
    expect((await store.runs.list({ limit: 5 })).items).toEqual([]);
    expect(await store.journal.rows(runId)).toEqual([]);
  }));

test('a server is saved whole, found by id or name, changed and removed', () =>
  withStore(async (store) => {
    const server = serverSpec({ id: 's-9', name: 'db01', probes: [] });
    await store.servers.save(server);
    expect(await store.servers.find('s-9')).toEqual(server);
    expect(await store.servers.find('db01')).toEqual(server);
    await store.servers.save({ ...server, name: 'db02', tier: 3 });
    expect(await store.servers.find('db01')).toBeUndefined();
    expect(await store.servers.list()).toEqual([{ ...server, name: 'db02', tier: 3 }]);
    await store.servers.remove('s-9');
    await store.servers.remove('s-9');
    expect(await store.servers.list()).toEqual([]);
  }));

test('a name belongs to one server', () =>
  withStore(async (store) => {
    await store.servers.save(serverSpec({ id: 's-1', name: 'app01' }));
    await expect(store.servers.save(serverSpec({ id: 's-2', name: 'app01' }))).rejects.toMatchObject({
      name: 'OperatorError',
      message: expect.stringContaining('another server of that name'),
    });
  }));

test('an id is meant before a name that looks the same', () =>
  withStore(async (store) => {
    await store.servers.save(serverSpec({ id: 's-1', name: 's-2' }));
    await store.servers.save(serverSpec({ id: 's-2', name: 'b' }));
    expect((await store.servers.find('s-2'))?.id).toBe('s-2');
  }));

test('a request under one key is answered once, also when it comes twice at once', () =>
  withStore(async (store) => {
    const answers = await Promise.all(
      ['run-a', 'run-b', 'run-c'].map((runId) => store.idempotency.remember('key', 'content', { runId })),
    );
    expect(new Set(answers.map((answer) => answer.runId)).size).toBe(1);
    expect(answers.filter((answer) => !answer.seenBefore)).toHaveLength(1);
  }));

test('another request under a used key is refused', () =>
  withStore(async (store) => {
    await store.idempotency.remember('key', 'content', { runId: 'run-a' });
    await expect(store.idempotency.remember('key', 'other', { runId: 'run-b' })).rejects.toMatchObject({
      name: 'OperatorError',
      message: expect.stringContaining('run-a'),
    });
  }));
