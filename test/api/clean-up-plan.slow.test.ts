/** What the rehearsal of a runbook left behind, when somebody ended its workflows at Temporal, and cleaning it all up by one act. */
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { serveApi, type ServedApi } from '../../api/server';
import { readEffects } from '../../platforms/simulated/effects';
import { openSimulatedSite } from '../../platforms/simulated/open';
import { seedMachine } from '../../platforms/simulated/seed';
import { planWorkflowId, rehearsalWorkflowId } from '../../workflows/messages';
import { muster } from '../cli/muster';
import { testTemporalAddress } from '../support/temporal';
import {
  caller,
  eventually,
  openTestStack,
  planProof,
  recoveryTools,
  siteId,
  type Call,
  type Reply,
  type TestStack,
} from './stack';

let stack: TestStack;
let call: Call;
let tools: ReturnType<typeof recoveryTools>;
let served: ServedApi;
const ids = new Map<string, string>();

beforeAll(async () => {
  stack = await openTestStack({ planProof });
  call = caller(stack);
  tools = recoveryTools(stack, call);
  await stack.startWorkers();
  served = await serveApi(stack.deps, { host: '127.0.0.1', port: 0 });
  await seedMachine(join(stack.folder, 'site'), { name: 'app01', network: 'dmz' });
  for (const name of ['db01', 'app01']) ids.set(name, await tools.protectedServer(name));
});
afterAll(async () => {
  await served?.stop();
  await stack?.close();
});

const text = `format: 1
name: shop
title: Shop
networks: { recovery: { lan: lan, dmz: lan }, rehearsal: { lan: isolated, dmz: isolated } }
defaults: { hardware: vmware-pvscsi }
waves:
  - { name: data, servers: [{ name: db01 }] }
  - { name: front, after: [data], servers: [{ name: app01 }] }
gates:
  tried: { title: Tried, question: Does it sell?, approvers: { roles: [coordinator] }, in: [rehearsal] }
rehearsal: { tryOut: tried }
`;
async function temporal() {
  const connection = await Connection.connect({ address: testTemporalAddress() });
  return { connection, workflow: new Client({ connection, namespace: stack.namespace }).workflow };
}
const site = () => openSimulatedSite({ folder: join(stack.folder, 'site'), id: siteId }).platform;
const rehearsed = async (): Promise<string[]> =>
  (await site().list()).flatMap(({ name }) => (name.includes('rehearsal') ? [name] : []));
const cleanUp = (runId: string, token?: string): Promise<Reply> =>
  call('POST', `/rehearsals/${runId}/clean-up`, {
    body: { reason: 'ended by hand' },
    ...(token === undefined ? {} : { token }),
  });

test('a plan’s rehearsal that was ended from outside is cleaned up by one act, last server first; again it does no harm', async () => {
  await tools.imported(text);
  const { runId } = (await tools.startRunbook('shop', { mode: 'rehearsal' })).body;
  await eventually(async () => (await call('GET', `/runs/${runId}`)).body.view?.currentStep === 'try-out');
  expect(await rehearsed()).toHaveLength(2);
  expect(await cleanUp(runId)).toMatchObject({ status: 409, body: { detail: expect.stringContaining('still runs') } });

  const { connection, workflow } = await temporal();
  // Behind every recovery in all queues, its servers' runs with it.
  const priorities = [
    planWorkflowId('main', runId),
    ...[...ids.values()].map((id) => rehearsalWorkflowId('main', id)),
  ].map(async (id) => (await workflow.getHandle(id).describe()).priority?.priorityKey);
  expect(await Promise.all(priorities)).toEqual([4, 4, 4]);
  await workflow.getHandle(planWorkflowId('main', runId)).terminate('somebody at Temporal');
  const orphaned = await cleanUp(runId);
  expect(orphaned).toMatchObject({ status: 409 });
  expect(orphaned.body.detail).toMatch(/db01 \(`muster abort .*app01 \(`muster abort /);
  for (const id of ids.values()) await workflow.getHandle(rehearsalWorkflowId('main', id)).terminate('and again');
  await connection.close();
  expect(await rehearsed()).toHaveLength(2);

  // Whoever holds the runbook alone cleans up after it, sees that and decides where it waits.
  const scopes = [{ kind: 'runbook', name: 'shop' } as const];
  const { token } = await stack.store.tokens.issue({ name: 'Ines', role: 'operator', scopes }, null);
  const first = await cleanUp(runId, token);
  expect(first.status).toBe(201);
  const runs = first.body.runs as { runId: string; serverName: string; rehearsal: string }[];
  expect(runs.map(({ serverName }) => serverName)).toEqual(['app01', 'db01']);
  for (const one of runs) {
    await eventually(async () => (await call('GET', `/runs/${one.runId}`)).status === 200, 30_000);
    expect((await tools.closed(one.runId)).view.state).toBe('succeeded');
    expect((await call('GET', `/runs/${one.runId}`, { token })).status).toBe(200);
    const late = { step: 'prove-clean', decision: 'retry', reason: 'to be sure' };
    expect(await tools.decide(one.runId, late, token)).toMatchObject({ status: 409 });
    // It is no run of the plan, whose record had ended before it.
    expect(await stack.store.runs.get(one.runId)).toMatchObject({ parentRunId: null });
  }
  expect((await stack.store.runs.below(runId)).map(({ procedure }) => procedure)).not.toContain('rehearsal-clean-up');
  expect([await rehearsed(), await site().networks()]).toEqual([[], []]);
  const removed = (await readEffects(join(stack.folder, 'site'))).filter(({ what }) => what === 'platform.remove');
  expect(removed.map(({ runId: of }) => of)).toEqual(runs.map(({ rehearsal }) => rehearsal));

  const env = { MUSTER_URL: served.url, MUSTER_TOKEN: stack.tokens.operator };
  const again = await muster(['rehearsal', 'clean-up', runId, '--reason', 'to be sure', '--watch'], env);
  expect([again.exitCode, again.stderr, again.stdout]).toEqual([
    0,
    '',
    expect.stringMatching(/app01[^]*db01[^]*succeeded/),
  ]);
  expect([await rehearsed(), await site().networks()]).toEqual([[], []]);
}, 180_000);

/** The runbook with its wave `gated` behind a gate in a rehearsal, ended from outside as it stands there, with its servers that run. */
async function endedAtGate(name: string, gated: 'data' | 'front', running: readonly string[]): Promise<string> {
  const tried = text.slice(text.indexOf('gates:'));
  const gates =
    'gates:\n  ready: { title: Ready, question: Ready?, approvers: { roles: [coordinator] }, in: [rehearsal] }\n';
  const behind = text.replace('name: shop', `name: ${name}`).replace(tried, gates);
  await tools.imported(behind.replace(`name: ${gated},`, `name: ${gated}, gate: ready,`));
  const { runId } = (await tools.startRunbook(name, { mode: 'rehearsal' })).body;
  await eventually(async () => (await call('GET', `/runs/${runId}`)).body.view?.currentStep === 'gate');
  await eventually(async () => (await rehearsed()).length === running.length);
  const { connection, workflow } = await temporal();
  await workflow.getHandle(planWorkflowId('main', runId)).terminate('somebody at Temporal');
  for (const one of running)
    await workflow.getHandle(rehearsalWorkflowId('main', ids.get(one)!)).terminate('and again');
  await connection.close();
  expect(await site().networks()).toHaveLength(2);
  return runId;
}

test.each([
  ['a server that had not begun', 'half', 'front', ['db01'], ['db01']],
  ['a plan of whose servers none had begun', 'barely', 'data', [], ['db01']],
] as const)(
  'with %s the networks made for it go, too',
  async (_whose, name, gated, running, cleaned) => {
    const runId = await endedAtGate(name, gated, running);
    const { status, body } = await cleanUp(runId);
    expect([status, body.runs?.map((one: Reply['body']) => one.serverName)]).toEqual([201, cleaned]);
    await eventually(async () => (await call('GET', `/runs/${body.runId}`)).status === 200, 30_000);
    expect((await tools.closed(body.runId)).view.state).toBe('succeeded');
    expect([await rehearsed(), await site().networks()]).toEqual([[], []]);
  },
  120_000,
);

test('a plan that recovered is not cleaned up', async () => {
  const { runId } = (await tools.startRunbook('shop', { mode: 'recovery', intent: 'disaster' })).body;
  await eventually(async () =>
    (await call('GET', '/runs?limit=50')).body.items.some((one: Reply['body']) => one.runId === runId),
  );
  const refused = await cleanUp(runId);
  expect([refused.status, refused.body.detail]).toEqual([409, expect.stringContaining('only a rehearsal')]);
  await call('POST', `/runs/${runId}/abort`, { body: { reason: 'Seen' } });
  await tools.closed(runId);
});
