/** People at the gates of a runbook: enforced by the workflow itself, whatever the door let pass. */
import type { WorkflowHandle } from '@temporalio/client';
import type { Provenance } from '../../model/order';
import type { RunbookOfPlan } from '../../model/plan';
import type { Gate } from '../../model/runbook/runbook';
import type { EventKind, RunEvent } from '../../model/events';
import { abortUpdate, decideUpdate, liveRunQuery, planWorkflowId, workflowQueue } from '../../workflows/messages';
import type { DecisionRequest, Parking } from '../../workflows/messages';
import { ines } from '../support/order';
import { known, refusalOf, until } from '../support/people';
import { plainRunbook, planOfLost } from '../support/plan';
import { testPostgresUrl } from '../support/postgres';
import { openDoor, type Door } from '../support/tcp-proxy';
import { openWorld, type World } from '../support/world';

let door: Door;
let world: World;
let anna: Provenance;
let ben: Provenance;
let cora: Provenance;
beforeAll(async () => {
  door = await openDoor(Number(new URL(testPostgresUrl()).port));
  world = await openWorld({
    databaseUrl: (url) => Object.assign(new URL(url), { port: String(door.port) }).toString(),
  });
  anna = (await known(world.store, 'Anna', 'operator')).by;
  ben = (await known(world.store, 'Ben', 'operator')).by;
  cora = (await known(world.store, 'Cora', 'coordinator')).by;
}, 60_000);
afterAll(async () => {
  await world?.close();
  await door?.close();
});

const gate: Gate = {
  title: 'The site is lost',
  question: 'Has facility management said so?',
  approvers: { roles: ['operator'], people: [] },
  approvals: 2,
  withinMs: null,
  otherwise: 'wait',
  escalateTo: { roles: [], people: [] },
  in: ['recovery'],
};

interface AtGate {
  readonly handle: WorkflowHandle;
  readonly runId: string;
  readonly parking: Pick<Parking, 'step' | 'item' | 'epoch'>;
}

/** A plan of one server that waits at a gate before it does anything. */
async function atGate(name: string, changes: Partial<Gate> = {}, more: Partial<RunbookOfPlan> = {}): Promise<AtGate> {
  const gates = { lost: { ...gate, ...changes } };
  const waves = [{ name: 'one', title: 'one', after: [], gate: 'lost' }];
  const planned = { wave: 'one', order: { powerOn: 'decision' as const } };
  const order = await planOfLost(world, { [name]: planned }, { gates, waves, ...more });
  const handle = await world.client.workflow.start('plan', {
    taskQueue: workflowQueue,
    workflowId: planWorkflowId(order.tenantId, order.runId),
    // The host that asks for the run may have any clock.
    args: [{ ...order, requestedAt: new Date(Date.now() - 7 * 86_400_000).toISOString() }],
  });
  // Its time may be over before anybody looks.
  const opened = await until(async () =>
    (await handle.query(liveRunQuery)).events.find((event) => event.kind === 'gate-opened'),
  );
  const { epoch } = opened.data;
  return { handle, runId: order.runId, parking: { step: 'gate', item: opened.item, epoch } };
}

const parkings = async (handle: WorkflowHandle) => (await handle.query(liveRunQuery)).parkings;
const waiting = async ({ handle, parking }: AtGate): Promise<Parking> =>
  (await parkings(handle)).find(({ epoch }) => epoch === parking.epoch)!;

async function eventsOf<K extends EventKind>({ handle }: AtGate, ...kinds: K[]) {
  const { events } = await handle.query(liveRunQuery);
  return events.filter((event): event is Extract<RunEvent, { kind: K }> => kinds.some((kind) => kind === event.kind));
}

const act = (
  { handle, parking: { step, item, epoch } }: AtGate,
  by: Provenance,
  decision: DecisionRequest['decision'] = 'approve',
) =>
  handle.executeUpdate(decideUpdate, {
    args: [{ step, item, epoch, decision, reason: `${by.actor.name} says so`, from: null, input: null, by }],
  });
const refused = (work: Promise<unknown>) => refusalOf(work);

const abort = (handle: WorkflowHandle, by = cora) =>
  handle.executeUpdate(abortUpdate, { args: [{ reason: 'The test is over', by }] });

/** It has started its server: the gate is behind it. */
const passed = ({ handle }: AtGate) =>
  until(async () =>
    (await handle.query(liveRunQuery)).events.find(
      ({ kind, step }) => kind === 'attempt-started' && step === 'recover',
    ),
  );

async function end({ handle }: AtGate): Promise<void> {
  await abort(handle);
  await handle.result();
}

test('a quorum of those whom the runbook names lets it pass: not the requester, not twice, and what is taken back is gone', async () => {
  const run = await atGate('quorum');
  expect(await waiting(run)).toMatchObject({
    kind: 'gate',
    remedy: gate.question,
    cause: expect.stringMatching(
      /^The site is lost\. Ines Okafor asked for this recovery: Site A lost power\. 0 of 1 servers are proven\. Needs 2 approvals of anybody who is operator; Ines Okafor does not count\. Approve: wave one starts \(1 server\)\. Abort: .*undone\. Without an answer it waits\.$/,
    ),
    gate: { name: 'lost', needed: 2, until: null },
    approvals: [],
  });
  expect(await refused(act(run, ines))).toEqual(['NotAllowed', expect.stringContaining('asked for this run')]);
  expect(await refused(act(run, cora))).toEqual([
    'NotAllowed',
    expect.stringContaining('needed anybody who is operator'),
  ]);
  expect(await act(run, anna)).toMatchObject({ standing: '1 of 2 approvals.' });
  const otherToken = await known(world.store, 'Anna', 'operator');
  expect(await refused(act(run, otherToken.by))).toEqual([
    'AlreadyDecided',
    expect.stringContaining('nobody counts twice'),
  ]);
  expect(await refused(act(run, ben, 'withdraw'))).toEqual(['NotAllowed', expect.stringContaining('nothing')]);
  await act(run, anna, 'withdraw');
  expect((await waiting(run)).approvals).toEqual([]);
  await act(run, ben);
  expect(await waiting(run)).toMatchObject({ approvals: [{ by: { name: 'Ben' }, reason: 'Ben says so' }] });
  expect(await act(run, anna)).toMatchObject({ standing: null });
  await passed(run);
  expect(
    (await eventsOf(run, 'approved', 'approval-withdrawn', 'decided')).map(({ kind, by, data }) => [
      kind,
      by.actor.name,
      'approvals' in data ? data.approvals : data.decision,
    ]),
  ).toEqual([
    ['approved', 'Anna', 1],
    ['approval-withdrawn', 'Anna', 0],
    ['approved', 'Ben', 1],
    ['approved', 'Anna', 2],
    ['decided', 'Anna', 'approve'],
  ]);
  expect(await refused(act(run, ben))).toEqual(['AlreadyDecided', expect.stringContaining('Anna')]);
  await end(run);
});

test('who lost the role while the gate was open does not count, and neither does who was moved elsewhere', async () => {
  const run = await atGate('withdrawn');
  const dora = await known(world.store, 'Dora', 'operator');
  await act(run, dora.by);
  for (const tokenId of dora.tokenIds) await world.store.tokens.revoke(tokenId);
  await act(run, ben);
  const [gone] = await until(async () => {
    const found = await eventsOf(run, 'approval-withdrawn');
    return found.length > 0 ? found : undefined;
  });
  expect(gone!.data).toMatchObject({ of: { name: 'Dora' }, approvals: 1, reason: expect.stringContaining('revoked') });
  const viewer = await known(world.store, 'Dora', 'viewer');
  expect(await refused(act(run, viewer.by))).toEqual(['NotAllowed', expect.stringContaining('found the role viewer')]);
  const elsewhere = await known(world.store, 'Emil', 'operator', [{ kind: 'site', name: 'elsewhere' }]);
  expect(await refused(act(run, elsewhere.by))).toEqual(['NotAllowed', expect.stringContaining('at site elsewhere')]);
  const here = await known(world.store, 'Fritz', 'operator', [{ kind: 'runbook', name: 'shop' }]);
  await act(run, here.by);
  await passed(run);
  await end(run);
});

test('who is named and may only read by now does not count, and does not approve', async () => {
  const run = await atGate('named', { approvers: { roles: [], people: ['Gina', 'Ben', 'Anna'] } });
  const gina = await known(world.store, 'Gina', 'operator');
  await act(run, gina.by);
  for (const tokenId of gina.tokenIds) await world.store.tokens.revoke(tokenId);
  const viewer = await known(world.store, 'Gina', 'viewer');
  await act(run, ben);
  const [gone] = await until(async () => {
    const found = await eventsOf(run, 'approval-withdrawn');
    return found.length > 0 ? found : undefined;
  });
  expect(gone!.data).toMatchObject({
    of: { name: 'Gina' },
    approvals: 1,
    reason: 'The approval of Gina does not count: the role is viewer now, which may not act.',
  });
  expect(await refused(act(run, viewer.by))).toEqual([
    'NotAllowed',
    'Gina may not approve gate/one: found the role viewer, needed operator, coordinator or admin.',
  ]);
  await act(run, anna);
  await passed(run);
  await end(run);
});

test('with Postgres down it passes on what the record says of the approvers, and says so', async () => {
  const run = await atGate('without-postgres');
  await door.shut();
  try {
    await act(run, anna);
    await act(run, ben);
    await passed(run);
  } finally {
    await door.open();
  }
  expect((await eventsOf(run, 'noted'))[0]!.data.message).toMatch(
    /Postgres did not answer.*passes on what they had when they approved: Anna \(operator\), Ben \(operator\)\.$/,
  );
  await end(run);
});

test('when its time is over others may approve, too', async () => {
  const run = await atGate('escalated', {
    ...{ approvals: 1, withinMs: 400, otherwise: 'escalate' },
    escalateTo: { roles: [], people: ['Cora'] },
  });
  await until(async () => (await eventsOf(run, 'escalated'))[0]);
  expect(await waiting(run)).toMatchObject({
    gate: { until: null, approvers: { roles: ['operator'], people: ['Cora'] } },
  });
  await act(run, cora);
  await passed(run);
  await end(run);
});

test('when its time is over it goes on, where the runbook says so', async () => {
  const run = await atGate('going-on', { withinMs: 300, otherwise: 'go-on' });
  await passed(run);
  const [decided] = await eventsOf(run, 'decided');
  expect(decided).toMatchObject({
    by: { actor: { kind: 'workflow' } },
    data: { decision: 'go-on', reason: 'The site is lost: nobody answered within 300 ms.' },
  });
  const { runId } = run;
  await until(async () => ((await world.store.runs.get(runId))?.state === 'running' ? true : undefined));
  await end(run);
});

test('when its time is over the run is aborted, where the runbook says so', async () => {
  const run = await atGate('aborting', { withinMs: 300, otherwise: 'abort' });
  expect(await run.handle.result()).toMatchObject({
    state: 'aborted',
    summary: expect.stringContaining('The site is lost: nobody answered within 300 ms.'),
  });
});

test('an abort at a gate needs two who may decide, if the runbook wants four eyes on it', async () => {
  const access = {
    ...plainRunbook.access,
    decide: { roles: ['operator'] as const, people: [] },
    fourEyes: ['abort'] as const,
  };
  const run = await atGate('four-eyes', {}, { access });
  expect(await refused(act(run, cora, 'abort'))).toEqual([
    'NotAllowed',
    expect.stringContaining('needed anybody who is operator'),
  ]);
  expect(await refused(abort(run.handle, cora))).toEqual(['NotAllowed', expect.stringContaining('abort the run')]);
  expect(await act(run, anna, 'abort')).toMatchObject({ standing: expect.stringContaining('1 of 2') });
  expect(await refused(abort(run.handle, anna))).toEqual(['AlreadyDecided', expect.stringContaining('second person')]);
  expect((await run.handle.query(liveRunQuery)).halfAbort).toMatchObject({ by: { name: 'Anna' } });
  const withdrawn = { reason: 'Not yet', by: anna, withdraw: true as const };
  expect(await refused(run.handle.executeUpdate(abortUpdate, { args: [{ ...withdrawn, by: ben }] }))).toEqual([
    'NotAllowed',
    expect.stringContaining('Anna'),
  ]);
  await run.handle.executeUpdate(abortUpdate, { args: [withdrawn] });
  expect((await run.handle.query(liveRunQuery)).halfAbort).toBeNull();
  expect(await abort(run.handle, ben)).toMatchObject({ standing: expect.stringContaining('1 of 2') });
  expect((await run.handle.query(liveRunQuery)).state).toBe('waiting');
  await act(run, anna, 'abort');
  expect(await run.handle.result()).toMatchObject({ state: 'aborted' });
});
