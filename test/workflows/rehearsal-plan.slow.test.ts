/** The rehearsal of a runbook: its servers share networks that are the plan's, and with its end nothing is left of any. */
import { v7 } from 'uuid';
import { isolatedNetworkName } from '../../model/orders/isolated-networks';
import type { PlanOrder } from '../../model/plan';
import {
  decideUpdate,
  liveRunQuery,
  lockOf,
  planWorkflowId,
  workflowQueue,
  type Parking,
} from '../../workflows/messages';
import { ines } from '../support/order';
import { plainRunbook } from '../support/plan';
import { filesOfSite } from '../support/rehearsal';
import { openWorld, type World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await openWorld();
}, 60_000);
afterAll(async () => world?.close());

test('two servers are rehearsed in one network of the plan, which goes with its last machine', async () => {
  const runId = v7();
  const network = isolatedNetworkName('lan', runId);
  const servers = await Promise.all(
    ['p1', 'p2'].map(async (name) => {
      const server = await world.server(name);
      const order = world.order(server, { mode: 'rehearsal', powerOn: name === 'p2' ? 'decision' : 'automatic' });
      const target = { ...order.target, machineName: `${name}-rehearsal`, networks: { lan: network } };
      const isolation = { ownerRunId: runId, networks: [network], siteId: 'recovery' };
      const place = { name, wave: 'one', after: [], failure: { kind: 'critical' as const }, datastore: null };
      return { ...place, order: { ...order, target, isolation } };
    }),
  );
  const before = await filesOfSite(world);
  const { tenantId, coreId, retry, requestedBy, requestedAt } = servers[0]!.order;
  const order: PlanOrder = {
    ...{ runId, tenantId, coreId, procedure: 'plan', mode: 'rehearsal', intent: 'disaster', servers, parts: [] },
    runbook: { name: 'shop', title: 'Web shop', version: 1, sha256: '0'.repeat(64) },
    plan: {
      ...plainRunbook,
      waves: [{ name: 'one', title: 'One', after: [], gate: null }],
    },
    ...{ retry, reminderMs: 60_000, lostAt: null, requestedAt, requestedBy, reason: 'Quarterly' },
  };
  const handle = await world.client.workflow.start('plan', {
    ...{ taskQueue: workflowQueue, workflowId: planWorkflowId(tenantId, runId), args: [order] },
  });
  const second = world.client.workflow.getHandle(lockOf(servers[1]!.order));
  const p1 = async () => (await world.recovery.platform.find('p1-rehearsal'))?.power === 'on';
  let parking: Parking | undefined;
  while (parking === undefined || !(await p1())) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    parking = await second.query(liveRunQuery).then(
      (run) => run.parkings[0],
      () => undefined,
    );
  }
  expect(parking.step).toBe('power-on');
  const made = (await world.recovery.platform.networks()).find(({ name }) => name === network);
  expect(made).toMatchObject({ owner: { runId }, uplinks: [] });
  expect(made?.plugged.map(({ machine }) => machine).sort()).toEqual(['p1-rehearsal', 'p2-rehearsal']);
  const { step, item, epoch } = parking;
  await second.executeUpdate(decideUpdate, {
    args: [{ step, item, epoch, decision: 'approve', reason: 'go', from: null, input: null, by: ines }],
  });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect(await filesOfSite(world)).toEqual(before);
  expect(await world.recovery.platform.networks()).toEqual([]);
}, 60_000);
