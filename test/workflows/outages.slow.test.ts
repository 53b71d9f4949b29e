import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { verifyChain } from '../../record/chain';
import { openDoor } from '../support/tcp-proxy';
import type { Door } from '../support/tcp-proxy';
import { testPostgresUrl } from '../support/postgres';
import { live, openWorld } from '../support/world';
import type { World } from '../support/world';

let world: World;
let postgres: Door;
beforeAll(async () => {
  postgres = await openDoor(Number(new URL(testPostgresUrl()).port));
  world = await openWorld({
    databaseUrl: (url) => Object.assign(new URL(url), { port: String(postgres.port) }).toString(),
  });
}, 60_000);
afterAll(async () => {
  await world?.close();
  await postgres?.close();
});

test('with Postgres down for the whole recovery the server comes back, and the record is complete afterwards', async () => {
  const server = await world.server('unrecorded');
  await world.production.platform.power({ name: 'unrecorded', owner: null }, 'off');
  await postgres.shut();
  const handle = await world.start(world.order(server));
  for (let state = ''; state !== 'succeeded'; state = (await live(handle)).state) {
    expect(['', 'running', 'succeeded']).toContain(state);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(await world.recovery.platform.find('unrecorded-recovered')).toMatchObject({ power: 'on' });
  expect(await world.store.journal.rows(handle.runOrder.runId)).toEqual([]);
  // The recovery is over; the run is not closed before its journal is complete.
  expect((await handle.describe()).status.name).toBe('RUNNING');

  await postgres.open();
  await handle.result();
  const rows = await world.store.journal.rows(handle.runOrder.runId);
  expect(verifyChain(rows)).toMatchObject({ ok: true });
  expect(rows.map((row) => row.kind)).toEqual((await live(handle)).events.map((event) => event.kind));
});

test('with the source site gone, and hanging, the server comes back from its last complete point', async () => {
  const server = await world.server('orphaned');
  const [point] = await world.recovery.replicas.points(server.id);
  await writeFile(join(world.folder, 'production', 'offline'), 'hang');
  const handle = await world.start(world.order(server, { sourceDeadlineMs: 300, finalCycle: 'auto' }));
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  const frozen = (await live(handle)).events.find((event) => event.kind === 'step-done' && event.step === 'freeze');
  expect(frozen?.data).toMatchObject({
    result: { finalCycle: 'source-unreachable', point: { pointId: point!.pointId } },
  });
});
