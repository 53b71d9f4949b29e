/** Holding a plan, committing it by the clock, a server that another run holds, and the hashes of its servers' records. */
import { verifyChildren } from '../../record/children';
import { abortUpdate } from '../../workflows/messages';
import { ines } from '../support/order';
import { planOfLost } from '../support/plan';
import { childOf, decideAt, holdAt, lookAt, parkedAt, refusal, startPlan, until } from '../support/plan-runs';
import { openWorld, parked, type World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await openWorld();
}, 60_000);
afterAll(async () => world?.close());

const stateOf = async (name: string) => (await world.recovery.platform.find(`${name}-recovered`))?.power;
const wave = (name: string) => ({ kind: 'wave' as const, name });
const server = (name: string) => ({ kind: 'server' as const, name });

test('what is held is not started, what runs goes on, and it goes on when people let it', async () => {
  const order = await planOfLost(world, {
    db01: { wave: 'data', order: { powerOn: 'decision' } },
    app01: { wave: 'application' },
    app02: { wave: 'application' },
  });
  const handle = await startPlan(world, order);
  const db01 = childOf(world, order, 'db01');
  await until(async () => (await stateOf('db01')) === 'off');
  const power = await parkedAt(db01, 'power-on');
  await holdAt(handle, 'hold', wave('application'));
  expect(await lookAt(handle)).toMatchObject({ state: 'running' });
  expect(await refusal(holdAt(handle, 'hold', wave('application')))).toBe(
    'AlreadyDecided: wave application is held already.',
  );
  expect(await refusal(holdAt(handle, 'hold', wave('nowhere')))).toBe(
    'BadInput: There is no wave "nowhere". Waves: data, application.',
  );
  expect(await refusal(holdAt(handle, 'hold', server('db99')))).toContain('There is no server "db99"');
  expect(await refusal(holdAt(handle, 'hold', wave('data')))).toContain('NotAllowed: Nothing of wave data is left');
  expect(await refusal(holdAt(handle, 'go-on', { kind: 'run' }))).toBe(
    'AlreadyDecided: the run is not held. Held: wave application.',
  );
  await decideAt(db01, power, 'approve');
  await until(async () => (await lookAt(handle)).state === 'held');
  expect(await stateOf('db01')).toBe('on');
  await until(async () => (await world.store.runs.get(order.runId))?.state === 'held');

  await holdAt(handle, 'hold', server('app02'));
  await holdAt(handle, 'go-on', wave('application'));
  await until(async () => (await stateOf('app01')) === 'on');
  await until(async () => (await lookAt(handle)).state === 'held');
  expect(await stateOf('app02')).toBeUndefined();
  await holdAt(handle, 'go-on', server('app02'));
  const gate = await parkedAt(handle, 'commit');
  expect(await refusal(holdAt(handle, 'hold', { kind: 'run' }))).toContain('left to start');
  await decideAt(handle, gate, 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  const rows = await world.store.journal.rows(order.runId);
  expect(rows.map(({ kind }) => kind).filter((kind) => kind === 'held' || kind === 'let-go-on')).toEqual([
    'held',
    'held',
    'let-go-on',
    'let-go-on',
  ]);
  expect(await refusal(holdAt(handle, 'hold', { kind: 'run' }))).toContain('completed');
});

test('the closing event holds the last hash of every server’s record, and a record that is not it is found', async () => {
  const order = await planOfLost(world, { h1: { wave: 'one' }, h2: { wave: 'one' } }, automatic('commit', 1));
  await (await startPlan(world, order)).result();
  const closing = (await world.store.journal.rows(order.runId)).at(-1)!;
  const heads = new Map<string, string>();
  for (const { order: child } of order.servers)
    heads.set(child.runId, (await world.store.journal.rows(child.runId)).at(-1)!.hash);
  expect(JSON.parse(closing.body)).toMatchObject({ childHashes: Object.fromEntries(heads) });
  expect(verifyChildren(closing, heads)).toEqual([]);
  const [first] = heads.keys();
  heads.set(first!, '0'.repeat(64));
  expect(verifyChildren(closing, heads)).toEqual([expect.stringContaining(`record of run ${first!} ends with`)]);
  heads.delete(first!);
  expect(verifyChildren(closing, heads)).toEqual([`the record of run ${first!} is missing`]);
});

const automatic = (act: 'commit' | 'roll-back', afterMs: number) => ({
  commit: { kind: 'automatic' as const, act, afterMs },
});

test('without a decision in time, the plan commits or rolls back by itself, as the question said', async () => {
  const order = await planOfLost(world, { k1: { wave: 'one' } }, automatic('roll-back', 400));
  const handle = await startPlan(world, order);
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  expect(await stateOf('k1')).toBeUndefined();
  const { events } = await lookAt(handle);
  const words = 'Without a decision within 400 ms it rolls back by itself, as the runbook says.';
  expect(events.find(({ kind, step }) => kind === 'gate-opened' && step === 'commit')).toMatchObject({
    data: { question: expect.stringContaining(words) },
  });
  expect(events.find(({ kind, step }) => kind === 'decided' && step === 'commit')).toMatchObject({
    by: { actor: { kind: 'workflow' } },
    data: { decision: 'roll-back', reason: 'Nobody decided within 400 ms; the runbook says "roll-back".' },
  });
});

test('people may decide before the time is over', async () => {
  const order = await planOfLost(world, { k2: { wave: 'one' } }, automatic('roll-back', 3_600_000));
  const handle = await startPlan(world, order);
  await decideAt(handle, await parkedAt(handle, 'commit'), 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});

test('a server that another run holds parks the plan with that run’s name, and can be retried when it ended', async () => {
  const order = await planOfLost(world, { l1: { wave: 'one' } }, automatic('commit', 1));
  const other = world.order(order.servers[0]!.order.server, { powerOn: 'decision' });
  const holder = await world.client.workflow.start('pushButtonRecovery', {
    ...{ taskQueue: 'muster', workflowId: `default/recovery/${other.server.id}`, args: [other] },
    memo: { runId: other.runId, requestedBy: 'Tomáš Lindqvist' },
  });
  const running = Object.assign(holder, { runOrder: other });
  await parked(running);
  expect(await refusal(holdAt(holder, 'hold', { kind: 'run' }))).toContain(
    'NotAllowed: The recovery of one server cannot be held.',
  );
  const handle = await startPlan(world, order);
  const stuck = await parkedAt(handle, 'recover');
  expect(stuck.cause).toMatch(new RegExp(`^l1 is held by run ${other.runId}, started by Tomáš Lindqvist at 20`));
  await holder.executeUpdate(abortUpdate, { args: [{ reason: 'The plan does it', by: ines }] });
  await holder.result();
  await decideAt(handle, stuck, 'retry');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});
