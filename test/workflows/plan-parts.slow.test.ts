/** Included runbooks as plans of their own, undoing along what depends on what, and which servers of a plan wait for people. */
import { v7 } from 'uuid';
import type { WorkflowHandle } from '@temporalio/client';
import { readEffects } from '../../platforms/simulated/effects';
import { writeFaults } from '../../platforms/faults';
import type { PartOfPlan, PlanOrder } from '../../model/plan';
import { abortUpdate, planWorkflowId } from '../../workflows/messages';
import { ines } from '../support/order';
import { planOfLost, type Planned } from '../support/plan';
import { childOf, decideAt, holdAt, lookAt, parkedAt, refusal, startPlan, until } from '../support/plan-runs';
import { keepHistory, openWorld, type World } from '../support/world';
import { faultsFile, faulty } from '../support/world-worker';

let world: World;
beforeAll(async () => {
  world = await openWorld({ recoverySite: faulty });
}, 60_000);
afterAll(async () => world?.close());
afterEach(() => writeFaults(faultsFile(world.folder), []));

const stateOf = async (name: string) => (await world.recovery.platform.find(`${name}-recovered`))?.power;

async function partOf(name: string, servers: Record<string, Planned>, after: string[] = []): Promise<PartOfPlan> {
  const order = await planOfLost(world, servers);
  return { name, after, order: { ...order, runbook: { ...order.runbook, name, title: name } } };
}

/** A plan that includes another one: its own servers come after the included runbook. */
async function including(own: Record<string, Planned>, included: Record<string, Planned>): Promise<PlanOrder> {
  const part = await partOf('network', included);
  const outer = await planOfLost(world, own);
  const [first, ...others] = outer.plan.waves;
  const waves = [{ ...first!, after: ['network'] }, ...others];
  return { ...outer, plan: { ...outer.plan, waves }, parts: [part] };
}

/** A plan of included runbooks alone, as an evacuation is. */
async function evacuation(...parts: PartOfPlan[]): Promise<PlanOrder> {
  const { order } = parts[0]!;
  return {
    ...order,
    ...{ runId: v7(), servers: [], parts },
    runbook: { ...order.runbook, name: 'evacuation', title: 'Evacuation' },
    plan: { ...order.plan, waves: [] },
  };
}

const handleOfPart = (order: PlanOrder) =>
  world.client.workflow.getHandle(planWorkflowId(order.tenantId, order.parts[0]!.order.runId));

test('an included runbook is a run of its own, comes in its turn, and is committed with the plan', async () => {
  const order = await including({ web: { wave: 'web' } }, { dns: { wave: 'one', order: { powerOn: 'decision' } } });
  const handle = await startPlan(world, order);
  await until(async () => (await stateOf('dns')) === 'off');
  const dns = childOf(world, order.parts[0]!.order, 'dns');
  const question = await parkedAt(dns, 'power-on');
  await until(async () => (await lookAt(handleOfPart(order))).waitingChildren?.[0]?.name === 'dns');
  await until(async () => (await lookAt(handle)).waitingChildren?.[0]?.name === 'runbook network');
  expect(await stateOf('web')).toBeUndefined();
  await decideAt(dns, question, 'approve');
  const gate = await parkedAt(handle, 'commit');
  expect(gate.cause).toBe('1 of 1 servers and 1 of 1 included runbooks are proven.');
  await decideAt(handle, gate, 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  for (const name of ['dns', 'web']) expect(await stateOf(name)).toBe('on');
  const part = await world.store.runs.get(order.parts[0]!.order.runId);
  expect(part).toMatchObject({ procedure: 'plan', state: 'succeeded', serverName: 'network' });
  const closing = (await world.store.journal.rows(order.runId)).at(-1)!;
  const hashes = (JSON.parse(closing.body) as { childHashes: Record<string, string> }).childHashes;
  const partRows = await world.store.journal.rows(order.parts[0]!.order.runId);
  expect(hashes[order.parts[0]!.order.runId]).toBe(partRows.at(-1)!.hash);
});

test('the runbooks of an evacuation run in the order of their tiers: a less important one begins when those before it are proven', async () => {
  const asks = { wave: 'one', order: { powerOn: 'decision' as const } };
  const order = await evacuation(
    await partOf('shop', { shop5: { wave: 'one' } }, ['ldap', 'network']),
    await partOf('network', { dns5: asks }),
    await partOf('ldap', { ldap5: { wave: 'one' } }),
  );
  const handle = await startPlan(world, order);
  const runOf = (at: number, name: string) => childOf(world, order.parts[at]!.order, name);
  const [shop, dns, ldap] = [runOf(0, 'shop5'), runOf(1, 'dns5'), runOf(2, 'ldap5')];
  await until(async () => (await stateOf('dns5')) === 'off' && (await stateOf('ldap5')) === 'on');
  await decideAt(dns, await parkedAt(dns, 'power-on'), 'approve');
  await decideAt(handle, await parkedAt(handle, 'commit'), 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  const { events } = await lookAt(handle);
  const ofParts = events.filter(({ kind, step }) => kind.startsWith('attempt-') && step === 'include');
  const inOrder = ofParts.map(({ kind, item }) => `${item} ${kind}`);
  expect(inOrder.slice(0, 2)).toEqual(['network attempt-started', 'ldap attempt-started']);
  expect(inOrder.slice(2, 4).sort()).toEqual(['ldap attempt-succeeded', 'network attempt-succeeded']);
  expect(inOrder.slice(4)).toEqual(['shop attempt-started', 'shop attempt-succeeded']);
  const momentOf = async (run: WorkflowHandle, kind: string, step: string) =>
    (await lookAt(run)).events.find((event) => event.kind === kind && event.step === step)!.at;
  const begun = await momentOf(shop, 'attempt-started', 'preflight');
  for (const run of [dns, ldap]) expect((await momentOf(run, 'step-done', 'prove-boot')) <= begun).toBe(true);
});

test('rolled back, the servers of an included runbook are undone, too, after those that depend on it', async () => {
  const order = await including({ web2: { wave: 'web' } }, { dns2: { wave: 'one' } });
  const handle = await startPlan(world, order);
  await decideAt(handle, await parkedAt(handle, 'commit'), 'roll-back');
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  for (const name of ['dns2', 'web2']) expect(await stateOf(name)).toBeUndefined();
  expect(await world.store.runs.get(order.parts[0]!.order.runId)).toMatchObject({ state: 'aborted' });
  const runIds = [order.servers[0]!, order.parts[0]!.order.servers[0]!].map((server) => server.order.runId);
  const removed = (await readEffects(world.recovery.site.folder))
    .filter(({ what, runId }) => what === 'platform.remove' && runIds.includes(runId ?? ''))
    .map(({ runId }) => runId);
  expect(removed).toEqual(runIds);
});

test('strangers are undone while one cannot be; what it depends on waits, and the plan says who waits and why', async () => {
  const order = await planOfLost(world, {
    base: { wave: 'one' },
    left: { wave: 'two' },
    right: { wave: 'two' },
  });
  const handle = await startPlan(world, order);
  await parkedAt(handle, 'commit');
  const fault = {
    method: 'remove',
    machine: 'left-recovered',
    error: 'PermanentError' as const,
    message: 'in use',
    times: 1,
  };
  await writeFaults(faultsFile(world.folder), [fault]);
  await handle.executeUpdate(abortUpdate, { args: [{ reason: 'Wrong site', by: ines }] });
  await until(async () => (await stateOf('right')) === undefined);
  await until(async () => ((await lookAt(handle)).waitingChildren ?? []).length > 0);
  expect((await lookAt(handle)).waitingChildren).toEqual([
    expect.objectContaining({
      name: 'left',
      step: 'create-machine',
      kind: 'stuck',
      cause: expect.stringContaining('in use'),
    }),
  ]);
  expect(await stateOf('base')).toBe('on');
  const left = childOf(world, order, 'left');
  await decideAt(left, await parkedAt(left, 'create-machine'), 'retry');
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  for (const name of ['base', 'left', 'right']) expect(await stateOf(name)).toBeUndefined();
  expect((await lookAt(handle)).waitingChildren).toEqual([]);
});

test('a hold of the whole plan reaches an included runbook that runs; started again meanwhile, it starts held', async () => {
  const asks = { wave: 'one', order: { powerOn: 'decision' as const } };
  const order = await including({ web3: { wave: 'web' } }, { dns3: asks, ntp3: { wave: 'two' } });
  const part = order.parts[0]!.order;
  const handle = await startPlan(world, order);
  const dns = childOf(world, part, 'dns3');
  await until(async () => (await stateOf('dns3')) === 'off');
  const question = await parkedAt(dns, 'power-on');
  await holdAt(handle, 'hold', { kind: 'run' });
  const inner = handleOfPart(order);
  await until(async () => (await lookAt(inner)).events.some(({ kind }) => kind === 'held'));
  await decideAt(dns, question, 'approve');
  await until(async () => (await lookAt(inner)).state === 'held');
  expect([await stateOf('dns3'), await stateOf('ntp3')]).toEqual(['on', undefined]);
  expect((await lookAt(inner)).events.find(({ kind }) => kind === 'held')).toMatchObject({
    by: { actor: { kind: 'workflow', name: 'plan shop' } },
    data: {
      of: { kind: 'plan' },
      reason: expect.stringContaining('Ines Okafor, at shop, which includes this runbook'),
    },
  });

  await inner.executeUpdate(abortUpdate, { args: [{ reason: 'Once more', by: ines }] });
  expect(await inner.result()).toMatchObject({ state: 'aborted' });
  await keepHistory(inner, 'held-in-plan');
  await decideAt(handle, await parkedAt(handle, 'include'), 'retry');
  const runs = async () => (await world.store.runs.list({ parentRunId: order.runId, limit: 9 })).items;
  await until(async () => (await runs()).some(({ state }) => state === 'held'));
  expect(await stateOf('dns3')).toBeUndefined();
  await holdAt(handle, 'go-on', { kind: 'run' });
  await until(async () => (await lookAt(dns)).state === 'waiting');
  await decideAt(dns, await parkedAt(dns, 'power-on'), 'approve');
  await decideAt(handle, await parkedAt(handle, 'commit'), 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  await keepHistory(handle, 'plan-held');
  for (const name of ['dns3', 'ntp3', 'web3']) expect(await stateOf(name)).toBe('on');
});

test('what people hold stays held when the plan goes back to an earlier step', async () => {
  const order = await including(
    { web4: { wave: 'web' }, app4: { wave: 'web' } },
    { dns4: { wave: 'one', order: { powerOn: 'decision' } } },
  );
  const handle = await startPlan(world, order);
  const dns = childOf(world, order.parts[0]!.order, 'dns4');
  await until(async () => (await stateOf('dns4')) === 'off');
  await holdAt(handle, 'hold', { kind: 'wave', name: 'web' });
  await holdAt(handle, 'hold', { kind: 'server', name: 'app4' });
  await handleOfPart(order).executeUpdate(abortUpdate, { args: [{ reason: 'By mistake', by: ines }] });
  await decideAt(handle, await parkedAt(handle, 'include'), 'retry', ines, 'recover');
  await until(async () => (await lookAt(dns)).state === 'waiting');
  await decideAt(dns, await parkedAt(dns, 'power-on'), 'approve');
  await until(async () => ['held', 'waiting'].includes((await lookAt(handle)).state));
  expect((await lookAt(handle)).state).toBe('held');
  expect(await refusal(holdAt(handle, 'hold', { kind: 'server', name: 'app4' }))).toContain('is held already');
  await holdAt(handle, 'go-on', { kind: 'wave', name: 'web' });
  await until(async () => (await stateOf('web4')) === 'on' && (await lookAt(handle)).state === 'held');
  expect(await stateOf('app4')).toBeUndefined();
  await holdAt(handle, 'go-on', { kind: 'server', name: 'app4' });
  await decideAt(handle, await parkedAt(handle, 'commit'), 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  await keepHistory(handle, 'plan-held-rewound');
});
