/** What 200 seeds of runbooks ask, and the eyes that look at them: what they must find is put before them, and they find it. */
import { checkRunbook } from '../../../model/runbook/check';
import { readRunbook } from '../../../model/schema/read-runbook';
import type { RunEvent } from '../../../model/events';
import type { ParkingView } from '../../../model/run-view';
import type { Undelivered } from '../../../store/notifications-contract';
import { chainRows, emptyChain, type JournalRow } from '../../../record/row';
import { ines } from '../../support/order';
import { retryCounter } from '../acts';
import { partNames } from '../plan';
import { childFindings, orderFindings, planDifferences, type PlanEnd } from './plan-end';
import { runbookSeed, serversOfRunbook } from './seed';
import { runbookText, serverKinds, serversOf } from './text';
import { toldFindings } from './told';

const seeds = Array.from({ length: 200 }, (_, index) => runbookSeed(index + 1));

test('a seed always has the same run, and another seed another one', () => {
  expect(runbookSeed(123)).toEqual(runbookSeed(123));
  expect(new Set(seeds.map((seed) => JSON.stringify({ ...seed, seed: 0 }))).size).toBe(seeds.length);
});

test('every seed kills a worker, Temporal, Postgres and the API; three seeds have every ending', () => {
  for (const { kills } of seeds) {
    const killed = kills.flatMap(({ parts }) => parts);
    expect(killed).toEqual(expect.arrayContaining(['temporal', 'postgres', 'api']));
    expect(killed.some((part) => part.endsWith('worker'))).toBe(true);
  }
  expect(new Set(seeds.flatMap(({ kills }) => kills.flatMap(({ parts }) => parts)))).toEqual(new Set(partNames));
  expect(new Set(seeds.slice(0, 3).map(({ ending }) => ending)).size).toBe(3);
});

test('the runbook is a correct one, with a server of every kind in every wave', () => {
  const servers = serversOf('storm-0001', serversOfRunbook);
  expect(new Set(servers.map(({ kind, wave }) => `${kind.name} ${wave}`)).size).toBe(serversOfRunbook);
  for (const count of [serverKinds.length, serversOfRunbook]) {
    const { file, problems } = readRunbook(runbookText('storm-0001', 'storm', serversOf('storm-0001', count)));
    expect(problems).toEqual([]);
    expect(checkRunbook(file!, null)).toEqual([]);
  }
});

describe('of the order', () => {
  const servers = serversOf('s', 5);
  const event = (kind: string, item: string, undo = false): RunEvent =>
    ({ kind, at: '2026-03-14T02:11:07.412Z', by: ines, step: 'recover', item, attempt: 1, data: { undo } }) as RunEvent;
  const one = (item: string): RunEvent[] => [event('attempt-started', item), event('attempt-succeeded', item)];
  // s-00 and s-04 are of the wave `base`, which `data` (s-01) comes after; `rest` (s-03) comes after `data` and `front` (s-02).
  const good = ['s-02', 's-00', 's-04', 's-01', 's-03'].flatMap(one);

  test('a right one has no findings, undone or not', () => {
    expect(orderFindings(good, servers)).toEqual([]);
    expect(orderFindings([...good, event('attempt-started', 's-03', true)], servers)).toEqual([]);
  });
  test('it finds a server that was started twice, and one that was not', () => {
    expect(orderFindings([...good, event('attempt-started', 's-01')], servers)).toEqual(['s-01 was started 2 times']);
    expect(orderFindings(good.slice(0, -2), servers)).toEqual(['s-03 was started 0 times']);
  });
  test('it finds a server that was started too early', () => {
    const early = ['s-02', 's-00', 's-01', 's-04', 's-03'].flatMap(one);
    expect(orderFindings(early, servers)).toEqual(['s-01 was started before s-04 was proven']);
  });
});

test('it finds a record that the plan does not name, one that is another, and a plan that is not closed', () => {
  const closing = (childHashes: Record<string, string>, kind = 'run-closed'): JournalRow[] => {
    const data = { state: 'succeeded', summary: 'Done.', childHashes };
    const event = { kind, at: '2026-03-14T02:11:07.412Z', by: ines, step: null, item: null, attempt: null, data };
    const chain = { tenantId: 'main', coreId: 'main', runId: 'plan-1' };
    return chainRows(chain, null, emptyChain, [event as unknown as RunEvent]);
  };
  const heads = new Map([['run-1', 'aa']]);
  expect(childFindings(closing({ 'run-1': 'aa' }), heads)).toEqual([]);
  expect(childFindings(closing({}), heads)).toEqual(['the plan does not name the record of run run-1']);
  expect(childFindings(closing({ 'run-1': 'bb' }), heads)).toEqual([expect.stringContaining('ends with hash aa')]);
  expect(childFindings(closing({}, 'noted'), heads)).toEqual(["the plan's record ends with noted"]);
});

test('it finds a plan that ended otherwise, and networks that were made twice', () => {
  const end: PlanEnd = {
    run: 'succeeded',
    steps: { recover: 'done, done' },
    effects: { 'platform.create-network': 1 },
  };
  expect(planDifferences(end, structuredClone(end))).toEqual([]);
  const other = { run: 'aborted', steps: { recover: 'done, skipped' }, effects: { 'platform.create-network': 2 } };
  expect(planDifferences(end, other)).toHaveLength(3);
});

test('what stays stuck is not tried again for ever', () => {
  const count = retryCounter();
  const parking = { step: 'freeze', item: null, undo: false, cause: 'held' } as ParkingView;
  for (let tries = 0; tries < 8; tries += 1) count('run-1', parking);
  count('run-2', parking);
  expect(() => count('run-1', parking)).toThrow('freeze is still stuck after 8 retries: held');
});

describe('of what people are told', () => {
  const notice = (occasion: string, parentRunId: string | null = null, key = 'run-1') => ({
    ...{ occasion, key, epoch: 0, reminder: false },
    run: { runId: key, parentRunId },
  });
  const message = (id: string, ...notices: object[]) => ({
    headers: { 'webhook-id': id },
    text: JSON.stringify({ data: { notices } }),
    verified: true,
  });
  const find = (calls: ReturnType<typeof message>[], undelivered: Partial<Undelivered> = {}, limitMs = 20_000) => {
    const notifications = { undelivered: () => Promise.resolve({ due: 0, dueSince: null, failed: 0, ...undelivered }) };
    const books = { store: { notifications } } as unknown as Parameters<typeof toldFindings>[1];
    const receiver = { calls } as unknown as Parameters<typeof toldFindings>[0];
    return toldFindings(receiver, books, ['run-1'], AbortSignal.timeout(limitMs));
  };
  const good = [message('a', notice('started')), message('b', notice('finished'))];

  test('everything once is right, also in a message that came again', async () => {
    expect(await find(good)).toEqual([]);
    expect(await find([...good, good[0]!])).toEqual([]);
  });
  test('it finds what was told twice, what was not, what was given up and what has no signature', async () => {
    expect(await find([...good, message('c', notice('started'))])).toEqual([expect.stringContaining('in 2 messages')]);
    expect(await find(good.slice(1))).toEqual(['nobody was told that run run-1 began']);
    expect(await find(good, { failed: 2 })).toEqual(['2 notifications could not be delivered']);
    expect(await find([{ ...good[0]!, verified: false }, good[1]!])).toEqual([expect.stringContaining('signature')]);
  });
  test('it finds that a part of a plan told what its plan tells', async () => {
    const part = message('c', notice('finished', 'run-1', 'run-2'));
    expect(await find([...good, part])).toEqual([expect.stringContaining('run-2, part of a plan, finished')]);
  });
  test('it waits for the last of it', async () => {
    await expect(find(good, { due: 1 }, 50)).rejects.toThrow('everything is told');
    await expect(find(good.slice(0, 1), {}, 50)).rejects.toThrow('everything is told');
  });
});
