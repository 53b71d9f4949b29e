/** The rehearsal of a runbook to which nobody comes: given up after its limit, cleaned up, and out of the way of the next one. */
import type { WorkflowHandle } from '@temporalio/client';
import { v7 } from 'uuid';
import { writeFaults } from '../../platforms/faults';
import type { PlanOrder } from '../../model/plan';
import type { Gate } from '../../model/runbook/runbook';
import type { RunOutcome } from '../../workflows/runner/conduct';
import { abortUpdate, childWaitsSignal, planWorkflowId } from '../../workflows/messages';
import { ines } from '../support/order';
import { planOfRehearsed } from '../support/plan';
import { childOf, decideAt, holdAt, lookAt, parkedAt, startPlan, until } from '../support/plan-runs';
import { filesOfSite } from '../support/rehearsal';
import { keepHistory, openWorld, type World } from '../support/world';
import { faultsFile, faulty } from '../support/world-worker';

let world: World;
beforeAll(async () => {
  world = await openWorld({ recoverySite: faulty });
}, 60_000);
afterAll(async () => world?.close());
afterEach(() => writeFaults(faultsFile(world.folder), []));

const limit = { giveUpAfterMs: 700 };
async function ended(order: PlanOrder, history?: string): Promise<RunOutcome> {
  const handle = await startPlan(world, order);
  const outcome = (await handle.result()) as RunOutcome;
  if (history !== undefined) await keepHistory(handle, history);
  return outcome;
}
const gaveUpAt = async (order: PlanOrder) => {
  const rows = await world.store.journal.rows(order.runId);
  return rows.filter(({ kind }) => kind === 'gave-up').map(({ step, item }) => [step, item]);
};
const gate = (title: string, more: Partial<Gate> = {}): Gate => ({
  ...{ title, question: 'Look.', approvers: { roles: ['operator'], people: [] }, approvals: 1, withinMs: null },
  ...{ otherwise: 'wait', escalateTo: { roles: [], people: [] }, in: ['rehearsal'], ...more },
});

/** The same servers once more, as the schedule's next rehearsal has them; nobody is to be asked this time. */
function nextOf(order: PlanOrder): PlanOrder {
  const runId = v7();
  const servers = order.servers.map(({ order: one, ...rest }) => {
    const isolation = { ...one.isolation!, ownerRunId: runId };
    return { ...rest, order: { ...one, runId: v7(), powerOn: 'automatic' as const, isolation } };
  });
  return { ...order, runId, servers };
}

test('a critical server that gives up ends the plan: all is undone, the record says why, and the next rehearsal runs', async () => {
  const { order } = await planOfRehearsed(world, { g1: {}, g2: { ...limit, powerOn: 'decision' } });
  const before = await filesOfSite(world);
  const plan = { ...order, ...limit };
  const { state, summary } = await ended(plan, 'plan-gave-up');
  await keepHistory(childOf(world, plan, 'g2'), 'gave-up-at-gate');
  expect(state).toBe('failed');
  expect(summary).toMatch(/^Given up after 700 ms: g2: nobody answered: .+ Everything was undone\.$/);
  expect(await gaveUpAt(plan)).toEqual([['recover', 'g2']]);
  expect(await filesOfSite(world)).toEqual(before);
  expect(await world.recovery.platform.networks()).toEqual([]);
  const states = plan.servers.map(async ({ order: { runId } }) => (await world.store.runs.get(runId))?.state);
  expect(await Promise.all(states)).toEqual(['aborted', 'failed']);
  expect(await ended(nextOf(plan))).toMatchObject({ state: 'succeeded' });
  expect(await filesOfSite(world)).toEqual(before);
});

test('an optional server that gives up at its gate has failed, and the plan goes on without it', async () => {
  const { order } = await planOfRehearsed(world, { o1: { powerOn: 'decision' } });
  const servers = order.servers.map((one) => ({ ...one, failure: { kind: 'optional' as const, ...limit } }));
  const plan = { ...order, servers, giveUpAfterMs: 3_600_000 };
  expect(await ended(plan)).toMatchObject({ state: 'succeeded-with-exceptions' });
  expect(await gaveUpAt(plan)).toEqual([]);
});

test('a gate’s own time comes first; one that waits for somebody is given up, and what was proven is cleaned up', async () => {
  const { order } = await planOfRehearsed(world, { t1: {} });
  const before = await filesOfSite(world);
  const gates = {
    soon: gate('Open the wave', { withinMs: 2 * limit.giveUpAfterMs, otherwise: 'go-on' }),
    look: gate('Try the shop'),
  };
  const waves = [{ ...order.plan.waves[0]!, gate: 'soon' }];
  const rehearsal = { ...order.plan.rehearsal, tryOut: 'look' };
  const plan = { ...order, ...limit, plan: { ...order.plan, gates, waves, rehearsal } };
  const handle = await startPlan(world, plan);
  expect(await handle.result()).toMatchObject({
    state: 'failed',
    summary: 'Given up after 700 ms: Try the shop: nobody answered. Everything was undone.',
  });
  const { events } = await lookAt(handle);
  expect(events.find(({ kind, step }) => kind === 'gate-opened' && step === 'try-out')).toMatchObject({
    data: { because: expect.stringContaining('After 700 ms the rehearsal is given up') },
  });
  expect(events.filter(({ kind }) => kind === 'decided').map(({ step, data }) => [step, data])).toEqual([
    ['gate', expect.objectContaining({ decision: 'go-on' })],
  ]);
  expect(await gaveUpAt(plan)).toEqual([['try-out', null]]);
  expect(await filesOfSite(world)).toEqual(before);
  expect(await world.recovery.platform.networks()).toEqual([]);
});

test('networks that cannot be made in time are given up, too', async () => {
  const { order } = await planOfRehearsed(world, { n1: {} });
  const fault = { method: 'createNetwork', error: 'PermanentError' as const, message: 'no bridge', times: 9 };
  await writeFaults(faultsFile(world.folder), [fault]);
  const { state, summary } = await ended({ ...order, ...limit });
  expect([state, summary]).toEqual(['failed', expect.stringMatching(/^Given up after 700 ms: .*no bridge.*undone\.$/)]);
});

test('what people hold and forget is given up, too, and what was proven is cleaned up', async () => {
  const { order } = await planOfRehearsed(world, { h1: { powerOn: 'decision' }, h2: {} });
  const before = await filesOfSite(world);
  const limits = { ...order.plan.limits, atOnce: 1 };
  const plan = { ...order, ...limit, plan: { ...order.plan, limits } };
  const handle = await startPlan(world, plan);
  await until(async () => (await lookAt(handle)).waitingChildren?.[0]?.name === 'h1');
  await holdAt(handle, 'hold', { kind: 'server', name: 'h2' });
  const h1 = childOf(world, plan, 'h1');
  await decideAt(h1, await parkedAt(h1, 'power-on'), 'approve');
  const { state, summary } = (await handle.result()) as RunOutcome;
  await keepHistory(handle, 'plan-held-gave-up');
  expect(state).toBe('failed');
  expect(summary).toMatch(
    /^Given up after 700 ms: server h2 is held since 20\S+Z by Ines Okafor \(as the test says\), and nobody let it go on\. Everything was undone\.$/,
  );
  expect(await gaveUpAt(plan)).toEqual([['recover', null]]);
  expect(await filesOfSite(world)).toEqual(before);
  expect(await world.recovery.platform.networks()).toEqual([]);
});

test('an undo that is stuck and that nobody looks at is tried again by itself, until nothing is left', async () => {
  const { order } = await planOfRehearsed(world, { u1: { ...limit, powerOn: 'decision' } });
  const before = await filesOfSite(world);
  const inUse = { error: 'PermanentError' as const, message: 'in use', times: 2 };
  await writeFaults(faultsFile(world.folder), [{ method: 'remove', machine: 'u1-rehearsal', ...inUse }]);
  const plan = { ...order, ...limit };
  expect(await ended(plan)).toMatchObject({
    state: 'failed',
    summary: expect.stringMatching(/Everything was undone\.$/),
  });
  const u1 = childOf(world, plan, 'u1');
  await keepHistory(u1, 'undo-tried-again');
  const { events } = await lookAt(u1);
  const atUndo = events.filter(
    ({ kind, step }) => step === 'create-machine' && (kind === 'parked' || kind === 'decided'),
  );
  expect(atUndo.map(({ kind, data }) => [kind, data])).toEqual([
    ['parked', expect.objectContaining({ undo: true })],
    ['decided', expect.objectContaining({ decision: 'retry', reason: 'nobody decided within 700 ms: tried again' })],
    ['parked', expect.objectContaining({ undo: true })],
    ['decided', expect.objectContaining({ decision: 'retry' })],
  ]);
  expect(await filesOfSite(world)).toEqual(before);
});

test('a rehearsal that is undone does not wait for the one that is stuck: what it depends on is cleaned up meanwhile', async () => {
  const { order } = await planOfRehearsed(world, { base: {}, left: { powerOn: 'decision' } });
  const servers = order.servers.map((one) => (one.name === 'left' ? { ...one, after: ['base'] } : one));
  const plan = { ...order, servers };
  const inUse = { error: 'PermanentError' as const, message: 'in use', times: 1 };
  await writeFaults(faultsFile(world.folder), [{ method: 'remove', machine: 'left-rehearsal', ...inUse }]);
  const handle = await startPlan(world, plan);
  await until(async () => (await lookAt(handle)).waitingChildren?.[0]?.name === 'left');
  await handle.executeUpdate(abortUpdate, { args: [{ reason: 'Wrong week', by: ines }] });
  const left = childOf(world, plan, 'left');
  const stuck = await parkedAt(left, 'create-machine');
  expect(await childOf(world, plan, 'base').result()).toMatchObject({ state: 'aborted' });
  expect(await lookAt(handle)).toMatchObject({ state: 'undoing', waitingChildren: [{ name: 'left' }] });
  await decideAt(left, stuck, 'retry');
  expect(await handle.result()).toMatchObject({
    state: 'aborted',
    summary: 'Aborted: Wrong week. Everything was undone.',
  });
  await keepHistory(handle, 'undone-past-the-stuck');
  expect(await world.recovery.platform.networks()).toEqual([]);
});

const inUseOnce = (server: string) =>
  writeFaults(faultsFile(world.folder), [
    { method: 'remove', machine: `${server}-rehearsal`, error: 'PermanentError', message: 'in use', times: 1 },
  ]);
const abort = (handle: WorkflowHandle) =>
  handle.executeUpdate(abortUpdate, { args: [{ reason: 'Wrong week', by: ines }] });
const waitsAt = (handle: WorkflowHandle, step: string, name: string) =>
  until(async () =>
    ((await lookAt(handle)).waitingChildren ?? []).some((one) => one.name === name && one.step === step),
  );

test('one that was stuck in its undo before its plan is undone keeps what it depends on waiting no more', async () => {
  const { order } = await planOfRehearsed(world, { base3: {}, left3: { powerOn: 'decision' } });
  const servers = order.servers.map((one) => (one.name === 'left3' ? { ...one, after: ['base3'] } : one));
  const plan = { ...order, servers };
  await inUseOnce('left3');
  const handle = await startPlan(world, plan);
  await waitsAt(handle, 'power-on', 'left3');
  const left = childOf(world, plan, 'left3');
  await abort(left);
  await waitsAt(handle, 'create-machine', 'left3');
  await abort(handle);
  expect(await childOf(world, plan, 'base3').result()).toMatchObject({ state: 'aborted' });
  expect(await lookAt(handle)).toMatchObject({ state: 'undoing', waitingChildren: [{ name: 'left3' }] });
  await decideAt(left, await parkedAt(left, 'create-machine'), 'retry');
  expect(await handle.result()).toMatchObject({
    state: 'aborted',
    summary: 'Aborted: Wrong week. Everything was undone.',
  });
  await keepHistory(handle, 'undone-past-the-stuck-before');
});

test('one that asked people just before it heard that it is undone is not stuck: what it depends on waits for it', async () => {
  const { order } = await planOfRehearsed(world, { base5: {}, left5: { powerOn: 'decision' } });
  const servers = order.servers.map((one) => (one.name === 'left5' ? { ...one, after: ['base5'] } : one));
  const plan = { ...order, servers };
  await writeFaults(faultsFile(world.folder), [
    { method: 'remove', machine: 'left5-rehearsal', delayMs: 5_000, times: 1 },
  ]);
  const handle = await startPlan(world, plan);
  await waitsAt(handle, 'power-on', 'left5');
  const [base, left] = [childOf(world, plan, 'base5'), childOf(world, plan, 'left5')];
  await abort(handle);
  await until(async () => (await lookAt(left)).events.some(({ kind }) => kind === 'undo-started'));
  // As if it had been on its way.
  const { runId } = order.servers.find(({ name }) => name === 'left5')!.order;
  const asks = { step: 'power-on', item: null, undo: false, since: '2026-01-01T00:00:00.000Z', cause: '' };
  await handle.signal(childWaitsSignal, { runId, waits: { ...asks, kind: 'gate' } });
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  const timeOf = async (run: WorkflowHandle, wanted: string): Promise<number> =>
    Date.parse((await lookAt(run)).events.find(({ kind }) => kind === wanted)!.at);
  expect(await timeOf(base, 'undo-started')).toBeGreaterThanOrEqual(await timeOf(left, 'run-closed'));
  await keepHistory(handle, 'undone-behind-who-asked');
});

test('nor does one in an included runbook, of which another one waited first', async () => {
  const { order: inner } = await planOfRehearsed(world, {
    ask4: { powerOn: 'decision' },
    left4: { powerOn: 'decision' },
  });
  const { order: outer } = await planOfRehearsed(world, { base4: {} });
  const parts = [{ name: 'network', after: ['base4'], order: inner }];
  const plan = { ...outer, parts };
  await inUseOnce('left4');
  const handle = await startPlan(world, plan);
  await waitsAt(handle, 'power-on', 'runbook network');
  const part = world.client.workflow.getHandle(planWorkflowId(inner.tenantId, inner.runId));
  await waitsAt(part, 'power-on', 'ask4');
  await waitsAt(part, 'power-on', 'left4');
  const left = childOf(world, inner, 'left4');
  await abort(left);
  const stuck = await parkedAt(left, 'create-machine');
  await abort(handle);
  expect(await childOf(world, plan, 'base4').result()).toMatchObject({ state: 'aborted' });
  expect(await lookAt(handle)).toMatchObject({ state: 'undoing', waitingChildren: [{ name: 'runbook network' }] });
  await decideAt(left, stuck, 'retry');
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  await keepHistory(part, 'tells-of-an-undo');
});

test('a rehearsal can be held while its networks cannot be made, and starts nothing then', async () => {
  const { order } = await planOfRehearsed(world, { w1: {} });
  const fault = { method: 'createNetwork', error: 'OperatorError' as const, message: 'no bridge', times: 1 };
  await writeFaults(faultsFile(world.folder), [fault]);
  const handle = await startPlan(world, order);
  const stuck = await parkedAt(handle, 'make-networks');
  await holdAt(handle, 'hold', { kind: 'run' });
  await decideAt(handle, stuck, 'retry');
  await until(async () => (await lookAt(handle)).state === 'held');
  const done = (await lookAt(handle)).events.filter(
    ({ kind, step }) => kind === 'step-done' && step === 'make-networks',
  );
  expect(done).toHaveLength(1);
  expect(await lookAt(childOf(world, order, 'w1')).catch(() => null)).toBeNull();
  await holdAt(handle, 'go-on', { kind: 'run' });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  const { events } = await lookAt(handle);
  const announced = events.flatMap(({ kind, step }) => (kind === 'step-announced' ? [step] : []));
  expect(announced.slice(0, 2)).toEqual(['make-networks', 'recover']);
});
