/** Scheduled rehearsals: what Temporal makes of a schedule, and what one start of it decides. Nothing waits for a clock. */
import { Client, Connection } from '@temporalio/client';
import { reconcileSchedules } from '../../api/schedules/reconcile';
import { serveApi, type ServedApi } from '../../api/server';
import { scheduledWorkflowType, scheduleId } from '../../model/scheduled-rehearsal';
import { eventOfRow } from '../../record/row';
import { planWorkflowId, workflowQueue } from '../../workflows/messages';
import { muster } from '../cli/muster';
import { testTemporalAddress } from '../support/temporal';
import { caller, eventually, openTestStack, recoveryTools } from './stack';
import type { Call, RecoveryTools, TestStack } from './stack';

let stack: TestStack;
let call: Call;
let tools: RecoveryTools;
let served: ServedApi;
let connection: Connection;

beforeAll(async () => {
  stack = await openTestStack();
  call = caller(stack);
  tools = recoveryTools(stack, call);
  served = await serveApi(stack.deps, { host: '127.0.0.1', port: 0 });
  connection = await Connection.connect({ address: testTemporalAddress() });
  await stack.startWorkers();
  await tools.protectedServer('db01');
});
afterAll(async () => {
  const { runs } = stack.store;
  for (const { runId } of (await runs.list({ limit: 50 })).items) {
    await call('POST', `/runs/${runId}/abort`, { body: { reason: 'the test is over' } });
  }
  await connection?.close();
  await served?.stop();
  await stack?.close();
});

const never = "schedule: { cron: '0 4 1 1 *', timezone: Europe/Berlin }";
const shop = (schedule: string, name = 'shop', server = 'db01'): string => `format: 1
name: ${name}
title: ${name}
networks: { recovery: { lan: lan } }
defaults: { hardware: kvm-virtio }
waves:
  - { name: data, servers: [{ name: ${server} }] }
rehearsal: { ${schedule === '' ? '' : `${schedule}, `}giveUpAfter: 1h }
`;
const importText = async (text: string): Promise<void> => {
  const answer = await call('POST', '/runbooks', { body: { text } });
  expect([answer.status, answer.body.detail]).toEqual([201, undefined]);
};
const client = () => new Client({ connection, namespace: stack.namespace });
const list = async () => (await call('GET', '/schedules')).body.items;
const last = async (runbook: string) =>
  list().then((items: { runbook: string; last: { runId: string | null; skipped: string | null } | null }[]) => {
    const found = items.find((one) => one.runbook === runbook)?.last;
    return found && (found.runId !== null || found.skipped !== null) ? found : undefined;
  });
/** Temporal's list of schedules follows what is made and removed a moment later. */
async function listed(...expected: readonly object[]): Promise<void> {
  let instead: unknown;
  const fits = async (): Promise<boolean> => {
    try {
      expect(await list()).toMatchObject(expected);
      return true;
    } catch (error) {
      instead = error;
      return false;
    }
  };
  await eventually(fits).catch(() => Promise.reject(instead as Error));
}

const runNow = (runbook = 'shop', token = stack.tokens.admin) =>
  call('POST', `/schedules/${runbook}/acts`, { body: { act: 'run-now', reason: 'before the audit' }, token });
const caughtUp = () =>
  eventually(async () => ((await call('GET', '/servers/db01/replica')).body.lagMs ?? Infinity) < 10_000, 60_000);
/** The run that the schedule started last, another than these. */
const startedRun = (...others: string[]): Promise<string> =>
  eventually(async () => {
    const runId = (await last('shop'))?.runId ?? null;
    return runId !== null && !others.includes(runId) && runId;
  });

test('an import makes the schedule, in its zone over the end of summer time, without the excepted days; another changes it', async () => {
  const daily = "schedule: { cron: '30 3 * * *', timezone: Europe/Berlin, except: [2027-10-29], catchUp: 7m }";
  await importText(shop(daily));
  const handle = client().schedule.getHandle(scheduleId('main', 'shop'));
  const { policies } = await handle.describe();
  expect(policies).toMatchObject({ catchupWindow: 420_000, overlap: 'SKIP' });
  // Summer time ends on the last Sunday of October, the 31st in 2027: 03:30 is 01:30 UTC before, and 02:30 UTC from then on.
  const response = await connection.workflowService.listScheduleMatchingTimes({
    namespace: stack.namespace,
    scheduleId: scheduleId('main', 'shop'),
    startTime: { seconds: (Date.parse('2027-10-28T00:00:00Z') / 1000) as never },
    endTime: { seconds: (Date.parse('2027-11-02T00:00:00Z') / 1000) as never },
  });
  const times = response.startTime.map(({ seconds }) => new Date(Number(seconds) * 1000).toISOString().slice(0, 16));
  expect(times).toEqual(['2027-10-28T01:30', '2027-10-30T01:30', '2027-10-31T02:30', '2027-11-01T02:30']);

  await importText(shop(never));
  expect((await handle.describe()).policies.catchupWindow).toBe(600_000);
  await listed({ runbook: 'shop', paused: false, last: null });
});

test('a schedule that was paused stays so over an import and a start of the API; one that a runbook no longer has is removed', async () => {
  const paused = await muster(['schedule', 'pause', 'shop', '--reason', 'freeze of changes'], {
    ...{ MUSTER_URL: served.url, MUSTER_TOKEN: stack.tokens.coordinator },
  });
  expect([paused.exitCode, paused.stdout]).toEqual([0, 'shop: paused.']);
  await importText(shop(never.replace('0 4', '5 4')));
  await reconcileSchedules(stack.deps);
  await listed({ paused: true, note: 'coordinator: freeze of changes' });
  await call('POST', '/schedules/shop/acts', { body: { act: 'resume', reason: 'over' } });
  await listed({ paused: false });
  await importText(shop('', 'short', 'db01').replace('name: short', 'name: short'));
  await importText(shop(never, 'short'));
  await listed({ runbook: 'shop' }, { runbook: 'short' });
  await importText(`${shop('', 'short')}# without\n`);
  await listed({ runbook: 'shop' });
  const unknown = await call('POST', '/schedules/shopp/acts', { body: { act: 'pause', reason: 'r' } });
  expect(unknown).toMatchObject({ status: 404, body: { detail: expect.stringContaining('shop') } });
});

test('whom the runbook does not let start it starts no rehearsal of it by its schedule either', async () => {
  await importText(`${shop(never, 'guarded')}access: { start: { roles: [admin] } }\n`);
  const act = (what: string) =>
    call('POST', '/schedules/guarded/acts', {
      body: { act: what, reason: 'before the audit' },
      token: stack.tokens.coordinator,
    });
  const refused = await act('run-now');
  expect([refused.status, refused.body.detail]).toEqual([403, expect.stringContaining('needed anybody who is admin')]);
  await listed({ runbook: 'guarded', last: null }, { runbook: 'shop' });
  const said = await eventually(async () => {
    const rows = await stack.refusedRows();
    return JSON.stringify(rows).includes('start of runbook guarded') && rows;
  });
  expect(JSON.stringify(said)).not.toContain('Schedule of runbook guarded: run-now');
  expect((await act('pause')).status).toBe(200);
  await importText(`${shop('', 'guarded')}# without\n`);
});

/** It does not start, and says that this recovery has the server, which is over then. */
async function skippedFor(runId: string): Promise<void> {
  await runNow();
  const held = await eventually(async () => {
    const seen = await last('shop');
    return seen?.skipped?.includes(runId) && seen;
  });
  expect(held).toMatchObject({ runId: null, skipped: `run ${runId} (recovery) has db01` });
  await call('POST', `/runs/${runId}/abort`, { body: { reason: 'the test goes on' } });
  await tools.closed(runId);
}

test('a start while another run has the server, or while replication is behind, is skipped, recorded and told', async () => {
  const db01 = (await stack.store.servers.find('db01'))!;
  await stack.store.servers.save({ ...db01, objectives: { ...db01.objectives, rpoMs: 1 } });
  await runNow();
  const behind = await eventually(() => last('shop'));
  expect(behind).toMatchObject({ runId: null, skipped: expect.stringMatching(/newest point of db01 is .* old/) });
  await stack.store.servers.save(db01);

  const { runId } = (await tools.push('db01', { powerOn: 'decision' })).body;
  await eventually(async () => (await stack.store.runs.get(runId)) !== undefined);
  await skippedFor(runId);

  const rows = await stack.refusedRows();
  const said = rows.map(eventOfRow).flatMap((event) => (event.kind === 'noted' ? [event.data.message] : []));
  const skipped = said.filter((message) => message.includes('was skipped'));
  expect(skipped).toHaveLength(2);
  expect(skipped[1]).toContain(`run ${runId}`);
  await stack.store.notifications.address({
    ...{ defaults: [{ on: ['rehearsal-due'], mail: ['ops@example.org'], webhooks: [] }], windowMs: 0, quietMs: 0 },
  });
  const told = (await stack.store.notifications.list({ limit: 10 })).filter((one) => one.occasion === 'rehearsal-due');
  expect(told.map(({ name, to }) => [name, to])).toEqual(Array(2).fill(['shop', 'ops@example.org']));
}, 120_000);

test('a plan that waits before its first server has that server, too', async () => {
  const gate = 'title: Lost, question: Is the site lost?, approvers: { roles: [coordinator] }, in: [recovery]';
  const gated = shop('', 'gated').replace('servers:', 'gate: lost, servers:');
  await importText(`${gated}gates: { lost: { ${gate} } }\n`);
  const started = await tools.startRunbook('gated', { mode: 'recovery', intent: 'disaster', reason: 'It is gone' });
  expect([started.status, started.body.detail]).toEqual([201, undefined]);
  const { runId } = started.body;
  await eventually(async () => (await stack.store.runs.get(runId))?.state === 'waiting');
  expect(await stack.store.runs.below(runId)).toEqual([]);
  await skippedFor(runId);
}, 120_000);

test('what could not be prepared in time, because nothing was there to prepare it, is skipped', async () => {
  await caughtUp();
  await importText(shop(never.replace('}', ', catchUp: 1s }'), 'late'));
  const started = await client().workflow.start(scheduledWorkflowType, {
    ...{ taskQueue: workflowQueue, workflowId: 'late', startDelay: '2s' },
    args: [{ tenantId: 'main', coreId: 'main', runbook: 'late' }],
  });
  expect(await started.result()).toEqual({
    runId: null,
    skipped: expect.stringMatching(/prepared \d.* after its time only, and may start 1\.0 s late/),
  });
}, 120_000);

test('one to which nobody comes gives up after the time of its runbook, and does not keep the next one away', async () => {
  const gated = shop(never).replace('servers:', 'gate: open, servers:').replace('giveUpAfter: 1h', 'giveUpAfter: 1s');
  const gate = 'title: Open, question: Shall it begin?, approvers: { roles: [coordinator] }, in: [rehearsal]';
  await importText(`${gated}gates: { open: { ${gate} } }\n`);
  const started: string[] = [];
  while (started.length < 2) {
    await caughtUp();
    await runNow();
    const runId = await startedRun(...started);
    const { body } = await eventually(async () => {
      const answer = await call('GET', `/runs/${runId}`);
      return answer.body.view?.closedAt != null && answer;
    });
    expect(body.view).toMatchObject({ state: 'failed', undoBecause: 'Given up after 1.0 s: Open: nobody answered.' });
    started.push(runId);
  }
  await importText(`${shop(never)}# waits for an hour\n`);
}, 120_000);

test('otherwise it starts the rehearsal as a run of its own, by the schedule, with the limits of its runbook', async () => {
  const before = (await last('shop'))?.runId ?? '';
  await caughtUp();
  // What Temporal does when the time has come.
  await client().schedule.getHandle(scheduleId('main', 'shop')).trigger();
  const runId = await startedRun(before);
  const row = await eventually(() => stack.store.runs.get(runId));
  expect(row).toMatchObject({
    procedure: 'plan',
    mode: 'rehearsal',
    serverName: 'shop',
    requestedBy: 'schedule of shop',
  });
  const { priority } = await client().workflow.getHandle(planWorkflowId('main', runId)).describe();
  expect(priority?.priorityKey).toBe(4);
  const [first] = await stack.store.journal.rows(runId);
  const event = eventOfRow(first!);
  expect(event).toMatchObject({ data: { order: { plan: { rehearsal: { giveUpAfterMs: 3_600_000 } } } } });
}, 120_000);

test('what a person starts is theirs, with their reason: they do not approve it', async () => {
  const before = (await last('shop'))?.runId ?? '';
  if (before !== '') {
    await call('POST', `/runs/${before}/abort`, { body: { reason: 'the next one comes' } });
    await tools.closed(before);
  }
  const gate = 'title: Open, question: Shall it begin?, approvers: { roles: [coordinator] }, in: [rehearsal]';
  await importText(`${shop(never).replace('servers:', 'gate: open, servers:')}gates: { open: { ${gate} } }\n`);
  await caughtUp();
  const { coordinator } = stack.tokens;
  const asked = await muster(['schedule', 'run-now', 'shop', '--reason', 'Before the audit'], {
    ...{ MUSTER_URL: served.url, MUSTER_TOKEN: coordinator },
  });
  expect([asked.exitCode, asked.stderr]).toEqual([0, '']);
  const runId = await startedRun(before);
  const { body } = await eventually(async () => {
    const answer = await call('GET', `/runs/${runId}`);
    return answer.body.view?.state === 'waiting' && answer;
  });
  expect(body.view.order).toMatchObject({
    ...{ requestedBy: { actor: { name: 'coordinator' } }, reason: 'Before the audit' },
  });
  const approve = (token: string) =>
    call('POST', `/runs/${runId}/decisions`, { body: { step: 'gate', decision: 'approve', reason: 'Yes.' }, token });
  expect((await approve(coordinator)).body.detail).toMatch(/asked for/);
  const { token: other } = await stack.store.tokens.issue({ name: 'other', role: 'coordinator' }, null);
  expect((await approve(other)).body).toMatchObject({ state: 'accepted' });
}, 120_000);

/** What the schedule itself started last. */
const ofSchedule = async () =>
  (await client().schedule.getHandle(scheduleId('main', 'shop')).describe()).info.recentActions.at(-1)?.action.workflow;
/**
 * With no worker there to decide; what Temporal does then. It skips one while it believes that another runs, and hears of the end of
 * that a moment later: so it is told until there is one.
 */
async function itsTimeComes(): Promise<void> {
  const before = await ofSchedule();
  await eventually(async () => {
    if ((await ofSchedule())?.firstExecutionRunId !== before?.firstExecutionRunId) return true;
    await client().schedule.getHandle(scheduleId('main', 'shop')).trigger();
    return false;
  });
}

test('while one is being decided, another is refused and says so', async () => {
  await stack.stopWorkers();
  const [first, second] = [await runNow(), await runNow()];
  expect([first.status, first.body.last]).toEqual([200, { at: expect.any(String), runId: null, skipped: null }]);
  expect([second.status, second.body.detail]).toEqual([409, expect.stringContaining('being decided')]);
  // Its time comes meanwhile: one of them is enough.
  await itsTimeComes();
  await stack.startWorkers();
  const because = 'somebody asked for one just before, which is being decided';
  await eventually(async () => JSON.stringify(await stack.refusedRows()).includes(because), 60_000);
}, 120_000);

test('while that of the schedule is being decided, one that a person wants is refused; what is skipped names who asked', async () => {
  await stack.stopWorkers();
  await itsTimeComes();
  expect(await runNow()).toMatchObject({ status: 409, body: { detail: expect.stringContaining('being decided') } });
  await stack.startWorkers();
  await eventually(async () => (await runNow()).status === 200, 60_000);
  const said = await eventually(async () => {
    const events = (await stack.refusedRows()).map(eventOfRow);
    return events.find(
      (event) => event.kind === 'noted' && event.data.message.includes('shop that admin asked for at'),
    );
  }, 60_000);
  expect(said).toMatchObject({ by: { actor: { kind: 'workflow', name: 'schedule of shop' } } });
}, 120_000);
