/** How plans and their runs end: what is final, what was left, and what comes too late. */
import type { WorkflowHandle } from '@temporalio/client';
import { Client as Postgres } from 'pg';
import { writeFaults } from '../../platforms/faults';
import { abortUpdate, lockOf, verdictSignal, yieldToSignal } from '../../workflows/messages';
import { ines } from '../support/order';
import { known } from '../support/people';
import { planOfLost, planOfRehearsed } from '../support/plan';
import { childOf, decideAt, lookAt, parkedAt, reportOfPlan, startPlan, until } from '../support/plan-runs';
import { openWorld, type World } from '../support/world';
import { faultsFile, faulty } from '../support/world-worker';

let world: World;
beforeAll(async () => {
  world = await openWorld({ recoverySite: faulty });
}, 60_000);
afterAll(async () => world?.close());
afterEach(() => writeFaults(faultsFile(world.folder), []));

const stateOf = async (name: string) => (await world.recovery.platform.find(`${name}-recovered`))?.power;
const automatic = { commit: { kind: 'automatic' as const, act: 'commit' as const, afterMs: 1 } };
const abort = (reason: string) => ({ args: [{ reason, by: ines }] as [{ reason: string; by: typeof ines }] });

/** The end of every run is on its way into the record until `act` is over: its row waits for a lock that is held here. */
async function whileEndsWait(work: (whileHeld: (act: () => Promise<void>) => Promise<void>) => Promise<void>) {
  const db = new Postgres({ connectionString: world.settings.databaseUrl });
  await db.connect();
  try {
    await db.query(`create function muster.late_end() returns trigger language plpgsql as
      $$ begin if new.kind = 'run-closed' then perform pg_advisory_xact_lock_shared(7, 7); end if; return new; end $$;
      create trigger late_end before insert on muster.journal for each row execute function muster.late_end()`);
    await work(async (act) => {
      await db.query('select pg_advisory_lock(7, 7)');
      try {
        await act();
      } finally {
        await db.query('select pg_advisory_unlock(7, 7)');
      }
    });
  } finally {
    await db.query('drop trigger late_end on muster.journal; drop function muster.late_end()');
    await db.end();
  }
}

test('a word that comes while the end of a run is on its way into the record changes nothing, and the run ends', async () => {
  await whileEndsWait(async (whileHeld) => {
    const order = await planOfLost(world, { end1: { wave: 'one' } }, automatic);
    const child = childOf(world, order, 'end1');
    let handle: WorkflowHandle;
    await whileHeld(async () => {
      handle = await startPlan(world, order);
      await until(async () => (await lookAt(child).catch(() => null))?.state === 'succeeded');
      await child.signal(verdictSignal, { verdict: 'roll-back', reason: 'too late', by: ines });
    });
    const { order: rehearsed } = await planOfRehearsed(world, { end2: {} });
    const alone = {
      ...rehearsed.servers[0]!.order,
      isolation: { ...rehearsed.servers[0]!.order.isolation!, ownerRunId: '' },
    };
    const one = { ...alone, isolation: { ...alone.isolation, ownerRunId: alone.runId } };
    let rehearsal: WorkflowHandle;
    await whileHeld(async () => {
      rehearsal = await world.client.workflow.start('pushButtonRecovery', {
        ...{ taskQueue: 'muster', workflowId: lockOf(one), args: [one] },
      });
      await until(async () => ['succeeded', 'failed'].includes((await lookAt(rehearsal)).state));
      await rehearsal.signal(yieldToSignal, { runId: order.runId, by: ines });
    });
    expect(await rehearsal!.result()).toMatchObject({ state: 'succeeded' });
    expect(await handle!.result()).toMatchObject({ state: 'succeeded' });
    const rows = await world.store.journal.rows(order.servers[0]!.order.runId);
    expect(rows.at(-1)!.kind).toBe('run-closed');
  });
});

test('an optional server that is stuck in its commit is not given up: what is final is never undone', async () => {
  const optional = { kind: 'optional' as const, giveUpAfterMs: 500 };
  const order = await planOfLost(world, { f1: { wave: 'one', failure: optional, order: { option: 'destructive' } } });
  const withLimit = { ...order.servers[0]!.order, giveUpAfterMs: 500 };
  const handle = await startPlan(world, { ...order, servers: [{ ...order.servers[0]!, order: withLimit }] });
  const gate = await parkedAt(handle, 'commit');
  await writeFaults(faultsFile(world.folder), [{ method: 'beginCommit', error: 'OperatorError', times: 1 }]);
  await decideAt(handle, gate, 'commit');
  const child = childOf(world, order, 'f1');
  const stuck = await parkedAt(child, 'resume-replication');
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect((await lookAt(child)).parkings).toMatchObject([{ step: 'resume-replication', epoch: stuck.epoch }]);
  expect(await stateOf('f1')).toBe('on');
  await decideAt(child, stuck, 'retry');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});

test('a plan that goes back while a server’s run is on its way goes on with that run', async () => {
  const script = {
    ...{ name: 'tell', when: 'before' as const, at: { kind: 'wave' as const, wave: 'two' }, servers: 'all' as const },
    ...{ in: ['recovery' as const], run: { on: 'worker' as const, program: 'missing', args: [] } },
    ...{ environment: {}, timeoutMs: 5_000, attempts: 1, exitCodes: {} },
  };
  const order = await planOfLost(world, { g1: { wave: 'one', order: { powerOn: 'decision' } }, g2: { wave: 'two' } });
  const waves = order.plan.waves.map((wave) => ({ ...wave, after: [] }));
  const handle = await startPlan(world, { ...order, plan: { ...order.plan, waves, scripts: [script] } });
  const stuck = await parkedAt(handle, 'scripts');
  await until(async () => (await stateOf('g1')) === 'off');
  await decideAt(handle, stuck, 'retry', ines, 'gate');
  const again = await parkedAt(handle, 'scripts');
  const child = childOf(world, order, 'g1');
  await decideAt(child, await parkedAt(child, 'power-on'), 'approve');
  await decideAt(handle, again, 'skip');
  const gate = await parkedAt(handle, 'commit');
  expect(gate.cause).toContain('2 of 2 servers are proven.');
  await decideAt(handle, gate, 'commit');
  await handle.result();
  const runs = await world.store.runs.below(order.runId);
  expect(runs.map(({ serverName, state }) => [serverName, state]).sort()).toEqual([
    ['g1', 'succeeded'],
    ['g2', 'succeeded'],
  ]);
});

test('a server whose run was aborted after its proof is no success of the plan', async () => {
  const order = await planOfLost(world, { h1: { wave: 'one' }, h2: { wave: 'one' } });
  const handle = await startPlan(world, order);
  const gate = await parkedAt(handle, 'commit');
  const child = childOf(world, order, 'h1');
  await child.executeUpdate(abortUpdate, abort('By mistake'));
  await child.result();
  await decideAt(handle, gate, 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded-with-exceptions' });
  const { headline, exceptions } = await reportOfPlan(world, order);
  expect(headline).toMatchObject({ tone: 'warning', title: 'Recovered, with 1 exception' });
  expect(exceptions).toMatchObject([{ what: 'h1', kind: 'failed', reason: 'Its own run was aborted.' }]);
});

test('a plan whose server left something behind by decision does not say that everything was undone', async () => {
  const order = await planOfLost(world, { l1: { wave: 'one' }, l2: { wave: 'one' } });
  const handle = await startPlan(world, order);
  await parkedAt(handle, 'commit');
  await writeFaults(faultsFile(world.folder), [
    { method: 'remove', machine: 'l1-recovered', error: 'OperatorError', times: 1 },
  ]);
  await handle.executeUpdate(abortUpdate, abort('Wrong site'));
  const child = childOf(world, order, 'l1');
  await decideAt(child, await parkedAt(child, 'create-machine'), 'skip');
  const outcome = await handle.result();
  expect(outcome).toMatchObject({ state: 'aborted' });
  expect((outcome as { summary: string }).summary).toBe(
    'Aborted: Wrong site. Not undone, by decision: recover/l1: create-machine: as the test says.',
  );
  const { headline, exceptions } = await reportOfPlan(world, order);
  expect(headline.title).toBe('Aborted, not wholly undone');
  expect(exceptions).toMatchObject([{ what: 'l1', kind: 'not-undone' }]);
});

async function leave(child: WorkflowHandle): Promise<void> {
  const asked = await parkedAt(child, 'power-on');
  await writeFaults(faultsFile(world.folder), [{ method: 'drop', error: 'OperatorError', times: 1 }]);
  await decideAt(child, asked, 'abort');
  await decideAt(child, await parkedAt(child, 'take-disks'), 'skip');
}

/** A server whose own run is aborted, and leaves its disks by decision; then its plan asks. */
async function leavesItsDisks(name: string) {
  const order = await planOfLost(world, { [name]: { wave: 'one', order: { powerOn: 'decision' } } });
  const handle = await startPlan(world, order);
  await until(async () => (await lookAt(handle)).waitingChildren?.[0]?.name === name);
  const child = childOf(world, order, name);
  await leave(child);
  const { runId } = order.servers[0]!.order;
  const left = { what: name, kind: 'not-undone', runId, reason: 'take-disks: as the test says' };
  return { order, handle, child, stuck: await parkedAt(handle, 'recover'), left };
}
const leftWords = (name: string) => `Not undone, by decision: recover/${name}: take-disks: as the test says.`;

test.each(['commit', 'roll-back'] as const)(
  'what an earlier run of a server left by decision is named at the end of its plan: %s',
  async (decision) => {
    const name = `again-${decision}`;
    const { order, handle, child, stuck, left } = await leavesItsDisks(name);
    await decideAt(handle, stuck, 'retry');
    await until(async () => (await lookAt(child)).runId !== left.runId);
    await decideAt(child, await parkedAt(child, 'power-on'), 'approve');
    await decideAt(handle, await parkedAt(handle, 'commit'), decision);
    const isGood = decision === 'commit';
    expect(await handle.result()).toMatchObject({
      state: isGood ? 'succeeded-with-exceptions' : 'aborted',
      summary: expect.stringContaining(leftWords(name)),
    });
    const { headline, exceptions } = await reportOfPlan(world, order);
    expect(headline.title).toBe(isGood ? 'Recovered, with 1 exception' : 'Aborted, not wholly undone');
    expect(exceptions).toMatchObject([left]);
  },
);

test('so is what the run of a server left that the plan went on without', async () => {
  const { order, handle, stuck, left } = await leavesItsDisks('without');
  await decideAt(handle, stuck, 'skip');
  await decideAt(handle, await parkedAt(handle, 'commit'), 'commit');
  expect(await handle.result()).toMatchObject({
    state: 'succeeded-with-exceptions',
    summary: `Web shop: 0 of 1 servers recovered. ${leftWords('without')}`,
  });
  const { exceptions } = await reportOfPlan(world, order);
  expect(exceptions).toMatchObject([{ what: 'without', kind: 'skipped' }, left]);
});

test('what two runs of a server left for one reason is named once', async () => {
  const { handle, child, stuck, left } = await leavesItsDisks('twice');
  await decideAt(handle, stuck, 'retry');
  await until(async () => (await lookAt(child)).runId !== left.runId);
  await leave(child);
  await until(async () => (await lookAt(handle)).parkings.some(({ epoch }) => epoch > stuck.epoch));
  await decideAt(handle, await parkedAt(handle, 'recover'), 'skip');
  await decideAt(handle, await parkedAt(handle, 'commit'), 'commit');
  expect(await handle.result()).toMatchObject({
    summary: `Web shop: 0 of 1 servers recovered. ${leftWords('twice')}`,
  });
});

test('a planned recovery that is rolled back starts the source that it had stopped, also after replication went on', async () => {
  const planned = { intent: 'planned' as const, option: 'backup-and-recover' as const, sourceDeadlineMs: 20_000 };
  const order = await planOfLost(world, { s1: { wave: 'one', order: planned } });
  const source = () => world.production.platform.find('s1');
  await world.production.platform.power({ name: 's1', owner: null }, 'on');
  const handle = await startPlan(world, { ...order, intent: 'planned' });
  const gate = await parkedAt(handle, 'commit');
  expect((await source())?.power).toBe('off');
  await decideAt(handle, gate, 'roll-back');
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  expect([await stateOf('s1'), (await source())?.power]).toEqual([undefined, 'on']);
});

test('a clock does not commit what one of two wants rolled back; taken back, it does', async () => {
  const anna = (await known(world.store, 'Anna', 'operator')).by;
  const access = { start: anybody, decide: anybody, fourEyes: ['commit' as const] };
  const late = { commit: { kind: 'automatic' as const, act: 'commit' as const, afterMs: 6_000 } };
  const order = await planOfLost(world, { t1: { wave: 'one' } }, { ...late, access });
  const handle = await startPlan(world, order);
  const gate = await parkedAt(handle, 'commit');
  await decideAt(handle, gate, 'roll-back', anna);
  await new Promise((resolve) => setTimeout(resolve, 7_500));
  expect((await lookAt(handle)).parkings).toMatchObject([{ step: 'commit', half: { decision: 'roll-back' } }]);
  await decideAt(handle, gate, 'withdraw', anna);
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});
const anybody = { roles: ['operator' as const, 'coordinator' as const], people: [] };

test('a server that comes back by itself costs its plan few events of Temporal’s history', async () => {
  const names = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6'];
  const limits = { atOnce: 1, sites: {}, datastores: {}, boots: {} };
  // Far enough apart that none of them shares an event with another.
  await writeFaults(faultsFile(world.folder), [{ method: 'create', delayMs: 2_500, times: 100 }]);
  const planned = Object.fromEntries(names.map((name) => [name, { wave: 'one' }]));
  const order = await planOfLost(world, planned, { limits });
  const handle = await startPlan(world, order);
  await parkedAt(handle, 'commit');
  const { historyLength } = await handle.describe();
  // Temporal ends a workflow at 51,200: with 2,000 servers there have to be fewer than 25 each, the commit's included.
  expect(historyLength / names.length).toBeLessThan(18);
  await handle.executeUpdate(abortUpdate, abort('Seen'));
  await handle.result();
}, 120_000);
