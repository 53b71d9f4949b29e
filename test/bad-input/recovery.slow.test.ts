/** Bad input on the way of a recovery: the run is stuck with what a person needs, and goes on when it was answered. */
import { createHash } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerSpec } from '../../model/server';
import { replicaFolder } from '../../platforms/simulated/replica-files';
import type { Site } from '../../platforms/simulated/site';
import { writeFaults } from '../../platforms/faults';
import { sessionQuery, sessionWorkflowId, workflowQueue } from '../../workflows/messages';
import { ines } from '../support/order';
import { decide, live, openWorld, parked, type World } from '../support/world';
import { faulty, faultsFile } from '../support/world-worker';

jest.setTimeout(120_000);

let world: World;
beforeAll(async () => {
  world = await openWorld({ recoverySite: faulty });
});
afterAll(async () => world?.close());

/** A server whose source is gone, with two points; `disks` of its replica as files by point number. */
async function lostServer(
  name: string,
): Promise<{ server: ServerSpec; folder: string; disk(sequence: number): string }> {
  const server = await world.server(name);
  await world.recovery.replicas.cycle(server);
  await world.production.platform.power({ name, owner: null }, 'off');
  const folder = replicaFolder({ folder: join(world.folder, 'recovery') } as Site, server.id);
  return { server, folder, disk: (sequence) => join(folder, 'points', String(sequence).padStart(8, '0'), 'disk0.raw') };
}

async function digestsOf(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const digests = names.map(async (entry) => {
    const bytes = await readFile(join(entry.parentPath, entry.name));
    return [join(entry.parentPath, entry.name), createHash('sha256').update(bytes).digest('hex')] as const;
  });
  return Object.fromEntries(await Promise.all(digests));
}

async function flipByte(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[bytes.length - 100]! ^= 1;
  await writeFile(path, bytes);
}

test('a flipped byte stops the freeze, which names disk, digests and the point to take; from that point the run goes on', async () => {
  const { server, folder, disk } = await lostServer('flipped');
  await flipByte(disk(2));
  const before = await digestsOf(join(folder, 'points'));
  const points = await world.recovery.replicas.points(server.id);
  const handle = await world.start(world.order(server, { verify: 'auto', finalCycle: 'never' }));
  const parking = await parked(handle);
  expect(parking).toMatchObject({ step: 'freeze', kind: 'stuck' });
  expect(parking.cause).toContain(`recovery point ${points[1]!.pointId} of flipped does not hold the bytes`);
  expect(parking.cause).toContain('(disk0): SHA-256 ');
  expect(parking.cause).toContain(`needed points/00000002/disk0.raw: SHA-256 ${points[1]!.disks[0]!.sha256}`);
  expect(parking.remedy).toContain(`Provide point=${points[0]!.pointId}`);
  expect(await digestsOf(join(folder, 'points'))).toEqual(before);
  await decide(handle, parking, 'provide', { input: { point: points[0]!.pointId } });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect(await digestsOf(join(folder, 'points'))).toEqual(before);
});

test('a person may recover from damaged bytes on purpose, and the record says so', async () => {
  const { server, disk } = await lostServer('accepted');
  await flipByte(disk(2));
  const handle = await world.start(world.order(server, { verify: 'auto', finalCycle: 'never' }));
  await decide(handle, await parked(handle), 'provide', { input: { verify: 'never' } });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  const rows = await world.store.journal.rows(handle.runOrder.runId);
  const decided = rows.find((row) => row.kind === 'decided');
  expect(JSON.parse(decided!.body)).toMatchObject({ decision: 'provide', input: { verify: 'never' } });
});

test('without one complete point the preflight is stuck and says what lies there instead', async () => {
  const { server, folder } = await lostServer('holes');
  await writeFile(join(folder, 'points', '00000001', 'manifest.json'), '{"format":1,');
  const before = await digestsOf(join(folder, 'points'));
  const handle = await world.start(world.order(server, { finalCycle: 'never' }));
  const parking = await parked(handle);
  expect(parking).toMatchObject({ step: 'preflight', kind: 'stuck' });
  expect(parking.cause).toContain('0 complete points');
  expect(parking.cause).toContain('00000001/manifest.json');
  expect(parking.cause).toContain('needed a complete point');
  await rm(join(folder, 'points'), { recursive: true });
  await decide(handle, parking, 'abort');
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  expect(Object.keys(before)).toHaveLength(4);
});

test('clocks that disagree by an hour are said in the preflight and stop nothing', async () => {
  const { server } = await lostServer('clocks');
  // And half a minute: what is said is rounded, and how long the run took to begin is taken off.
  const anHourAgo = new Date(Date.now() - 3_630_000).toISOString();
  const handle = await world.start(world.order(server, { requestedAt: anHourAgo, lostAt: anHourAgo }));
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  const done = (await live(handle)).events.find((event) => event.kind === 'step-done' && event.step === 'preflight');
  const { checks } = (done as { data: { result: { checks: { name: string; ok: boolean; found: string }[] } } }).data
    .result;
  expect(checks).toContainEqual(
    expect.objectContaining({
      name: 'clocks',
      ok: false,
      severity: 'warning',
      found: expect.stringMatching(/1 h 00 min/),
    }),
  );
});

test('memory that is corrected after the machine was defined is what the machine gets', async () => {
  const { server } = await lostServer('corrected');
  await writeFaults(faultsFile(world.folder), [{ method: 'create', when: 'after', error: 'OperatorError', times: 1 }]);
  const handle = await world.start(world.order(server));
  const parking = await parked(handle);
  expect(parking.step).toBe('create-machine');
  expect(await world.recovery.platform.find('corrected-recovered')).toMatchObject({ memoryBytes: 512 * 1024 ** 2 });
  await decide(handle, parking, 'provide', { input: { memoryBytes: 768 * 1024 ** 2, cpuCount: 3 } });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect(await world.recovery.platform.find('corrected-recovered')).toMatchObject({
    memoryBytes: 768 * 1024 ** 2,
    cpuCount: 3,
  });
});

test('a planned run that has ended leaves no note about the source that it stopped', async () => {
  const server = await world.server('planned');
  const handle = await world.start(world.order(server, { intent: 'planned', sourceDeadlineMs: 20_000 }));
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect((await world.production.platform.find('planned'))!.power).toBe('off');
  const notes = await readdir(join(world.folder, 'leases'));
  expect(notes.filter((name) => name.includes('source-stopped'))).toEqual([]);
});

test('an error of a session is shown until the next point, and no longer', async () => {
  const server = await world.server('mended');
  await writeFaults(faultsFile(world.folder), [
    { method: 'cycle', error: 'OperatorError', message: 'a full storage', times: 1 },
  ]);
  const session = await world.client.workflow.start('replicationSession', {
    taskQueue: workflowQueue,
    workflowId: sessionWorkflowId('default', server.id),
    args: [{ tenantId: 'default', coreId: 'core1', server, by: ines }],
  });
  const shown = async (fits: (error: string | null) => boolean): Promise<void> => {
    while (!fits((await session.query(sessionQuery)).lastError)) await new Promise((done) => setTimeout(done, 50));
  };
  await shown((error) => error !== null && error.includes('a full storage'));
  await shown((error) => error === null);
  expect((await world.recovery.replicas.points(server.id)).length).toBeGreaterThan(1);
  await session.terminate('the test is over');
});
