/** 500 servers of one plan stuck on one cause: nobody is flooded, everything is listed, other runs work, and who is mended goes on. */
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { v7 as uuidv7 } from 'uuid';
import { openSimulatedSite } from '../../platforms/simulated/open';
import type { Parcel } from '../../store/notifications-contract';
import { planWorkflowId } from '../../workflows/messages';
import { storyServer } from '../support/order';
import { testTemporalAddress } from '../support/temporal';
import {
  caller,
  eventually,
  newServer,
  openTestStack,
  planProof,
  recoveryTools,
  siteId,
  type Call,
  type Reply,
  type TestStack,
} from './stack';

const count = 500;
const names = Array.from({ length: count }, (_, at) => `server-${String(at).padStart(3, '0')}`);
const mended = names[250]!;

let stack: TestStack;
let call: Call;
let tools: ReturnType<typeof recoveryTools>;

beforeAll(async () => {
  stack = await openTestStack({ planProof });
  call = caller(stack);
  tools = recoveryTools(stack, call);
  const nics = [{ ...storyServer.nics[0]!, network: 'lan' }];
  for (const name of names.filter((one) => one !== mended)) {
    await stack.store.servers.save({ ...storyServer, id: uuidv7(), name, nics, recoverySiteId: siteId });
  }
  await stack.startWorkers();
  await stack.seed(mended);
  expect((await call('POST', '/servers', { body: newServer(mended) })).status).toBe(201);
});
afterAll(async () => {
  await stack?.close();
});

const text = `format: 1
name: many
title: Many
networks: { recovery: { lan: lan } }
defaults: { hardware: vmware-pvscsi }
waves:
  - { name: all, servers: [${names.map((name) => `{ name: ${name} }`).join(', ')}] }
notify:
  - { on: [stuck], mail: [oncall@dr.example] }
`;

/** What would go out now: everything is addressed first, as the dispatcher does while it waits for more of the same. */
async function mailsDue(): Promise<Parcel[]> {
  const { notifications } = stack.store;
  while ((await notifications.address({ defaults: [], windowMs: 0, quietMs: 120_000 })) > 0);
  const parcels: Parcel[] = [];
  for (let parcel = await notifications.take('mail', 60_000); parcel !== undefined;) {
    parcels.push(parcel);
    parcel = await notifications.take('mail', 60_000);
  }
  return parcels;
}

/** As Temporal has it. */
async function taskTimeoutSeconds(workflowId: string): Promise<number> {
  const connection = await Connection.connect({ address: testTemporalAddress() });
  const { workflow } = new Client({ connection, namespace: stack.namespace });
  const { raw } = await workflow.getHandle(workflowId).describe();
  await connection.close();
  return Number(raw.executionConfig?.defaultWorkflowTaskTimeout?.seconds);
}

/** Every item of the list, page by page. */
async function stuckList(): Promise<Reply['body'][]> {
  const items: Reply['body'][] = [];
  for (let next: string | undefined = ''; next !== undefined;) {
    const { status, body }: Reply = await call(
      'GET',
      `/stuck?limit=200${next === '' ? '' : `&after=${encodeURIComponent(next)}`}`,
    );
    expect([status, body.source]).toEqual([200, 'store']);
    items.push(...body.items);
    next = body.next;
  }
  return items;
}

test('all are listed once, one mail names them, another run works meanwhile, and the one that is mended recovers', async () => {
  await tools.imported(text);
  const started = await tools.startRunbook('many', { mode: 'recovery', intent: 'disaster' });
  expect(started).toMatchObject({ status: 201, body: { servers: count } });
  const { runId } = started.body;
  await eventually(async () => (await call('GET', '/stuck?limit=1')).body.total >= count, 240_000);

  // A worker that comes new to it has the time to read its history.
  expect(await taskTimeoutSeconds(planWorkflowId('main', runId))).toBe(10 + count / 20);

  const items = await stuckList();
  expect(items.map(({ serverName }) => serverName as string).sort()).toEqual(names);
  expect(new Set(items.map(({ planRunId, step, kind }) => [planRunId, step, kind].join()))).toEqual(
    new Set([`${runId},preflight,stuck`]),
  );
  for (const { cause, remedy } of items)
    expect([cause, remedy]).toEqual([expect.stringMatching(/\w/), expect.stringMatching(/\w/)]);
  expect((await call('GET', `/runs/${runId}`)).body.view).toMatchObject({
    serverCount: count,
    done: 0,
  });

  const mails = await mailsDue();
  expect(mails.map(({ to, notices }) => [to, notices.map(({ facts }) => facts.name).sort()])).toEqual([
    ['oncall@dr.example', names],
  ]);

  await tools.protectedServer('another');
  const other = await tools.push('another');
  expect(other.status).toBe(201);
  const atCommit = await tools.inState(other.body.runId, 'waiting');
  expect(atCommit.view.currentStep).not.toBe('preflight');

  await call('POST', `/servers/${mended}/protection`);
  await tools.firstPoint(mended);
  const { platform } = openSimulatedSite({ folder: join(stack.folder, 'site'), id: siteId });
  await platform.power({ name: mended, owner: null }, 'off');
  const one = items.find(({ serverName }) => serverName === mended)!;
  const { step, item, epoch } = one;
  const retried = await tools.decide(one.runId, {
    step,
    item,
    epoch,
    decision: 'retry',
    reason: 'It has a replica now',
  });
  expect(retried.body).toMatchObject({ state: 'accepted' });
  await eventually(async () => (await call('GET', `/runs/${runId}`)).body.view.done === 1);
  expect((await stuckList()).map(({ serverName }) => serverName as string)).not.toContain(mended);

  await call('POST', `/runs/${runId}/abort`, { body: { reason: 'Another way was found' } });
  const closed = await eventually(async () => {
    const { body } = await call('GET', `/runs/${runId}`);
    return body.view?.closedAt != null && body;
  }, 240_000);
  expect(closed.view.state).toBe('aborted');
  expect((await stuckList()).filter(({ planRunId }) => planRunId === runId)).toEqual([]);
}, 600_000);
