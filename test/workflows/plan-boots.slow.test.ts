/** A small host boots one machine after the other, whichever of its workers starts them; who is gone for good keeps nobody waiting. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { changeSettings } from '../../platforms/simulated/site';
import { abortUpdate, liveRunQuery } from '../../workflows/messages';
import { ines } from '../support/order';
import { planOfLost } from '../support/plan';
import { childOf, decideAt, parkedAt, startPlan, until } from '../support/plan-runs';
import { openWorld, type World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await openWorld();
}, 60_000);
afterAll(async () => world?.close());

const file = (): string => join(world.folder, 'leases', 'booting.json');
const booting = async (): Promise<{ runId: string }[]> =>
  JSON.parse(await readFile(file(), 'utf8').catch(() => '[]')) as { runId: string }[];
const oneAtATime = {
  bootsAtOnce: 1,
  proof: { heartbeatTimeoutMs: 30_000, stableForMs: 50, screenshot: true },
};
const stateOf = async (name: string) => (await world.recovery.platform.find(`${name}-recovered`))?.power;

/** From the end of power-on to the end of the proof, by the run's own record. */
async function bootOf(runId: string): Promise<{ from: string; to: string }> {
  const done = (await world.store.journal.rows(runId)).filter(({ kind }) => kind === 'attempt-succeeded');
  const at = (step: string): string => done.filter((row) => row.step === step).at(-1)!.at;
  return { from: at('power-on'), to: at('prove-boot') };
}

test('with one boot at a time no two servers boot at once, and nothing is left that holds a place', async () => {
  // Longer than the pauses between a waiter's looks: two of the three have to wait.
  await changeSettings(world.recovery.site.folder, { guestBootMs: 2_500 });
  const one = { wave: 'one', order: oneAtATime };
  const order = await planOfLost(world, { m1: one, m2: one, m3: one });
  const handle = await startPlan(world, order);
  await decideAt(handle, await parkedAt(handle, 'commit'), 'commit');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  const boots = await Promise.all(order.servers.map((server) => bootOf(server.order.runId)));
  boots.sort((a, b) => a.from.localeCompare(b.from));
  for (const [at, boot] of boots.entries()) if (at > 0) expect(boot.from >= boots[at - 1]!.to).toBe(true);
  expect(await booting()).toEqual([]);

  // What each is expected to take next time is its own: who waited for others does so in the forecast, too.
  const of = {
    procedure: 'push-button-recovery',
    serverIds: order.servers.map((one) => one.order.server.id),
    siteIds: [],
  };
  const past = await world.store.times.past(of);
  const spans = await Promise.all(past.map(async ({ runId }) => spanOf(runId)));
  expect(spans.filter(({ waitedMs }) => waitedMs > 0)).toHaveLength(2);
  for (const [index, { toProofMs, steps }] of past.entries()) {
    const { waitedMs, elapsedMs } = spans[index]!;
    expect(toProofMs).toBeLessThanOrEqual(elapsedMs - waitedMs);
    expect(steps['power-on']).toBeLessThan(elapsedMs - waitedMs);
  }
});

/** From its first event to its proof, and how long it waited for a place to boot. */
async function spanOf(runId: string): Promise<{ waitedMs: number; elapsedMs: number }> {
  const rows = await world.store.journal.rows(runId);
  // The first attempt there asks whether people have to be asked.
  const on = rows.findLast(({ kind, step }) => kind === 'attempt-succeeded' && step === 'power-on')!;
  const proven = rows.find(({ kind, step }) => kind === 'step-done' && step === 'prove-boot')!;
  const { result } = JSON.parse(on.body) as { result: { waitedForPlaceMs: number } };
  return { waitedMs: result.waitedForPlaceMs, elapsedMs: Date.parse(proven.at) - Date.parse(rows[0]!.at) };
}

test('who waits says for what; undone, it waits no more; a place that nobody renews is free again', async () => {
  const gone = { runId: 'gone', name: 'db99', renewedAt: Date.now() };
  await writeFile(file(), JSON.stringify([gone]));
  const order = await planOfLost(world, { n1: { wave: 'one', order: oneAtATime } });
  const handle = await startPlan(world, order);
  await until(async () => (await stateOf('n1')) === 'off');
  const n1 = childOf(world, order, 'n1');
  await until(async () => {
    const { raw } = await n1.describe();
    return JSON.stringify(
      (raw.pendingActivities ?? []).map((one) =>
        one.heartbeatDetails?.payloads?.map(({ data }) => Buffer.from(data!).toString()),
      ),
    ).includes('Waiting to boot: 1 of 1 boot now (db99)');
  });
  await handle.executeUpdate(abortUpdate, { args: [{ reason: 'Enough', by: ines }] });
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  expect(await booting()).toEqual([gone]);

  await writeFile(file(), JSON.stringify([{ ...gone, renewedAt: Date.now() - 4 * 60_000 }]));
  const again = await planOfLost(world, { n2: { wave: 'one', order: oneAtATime } });
  const second = await startPlan(world, again);
  await parkedAt(second, 'commit');
  expect(await booting()).toEqual([]);
  expect((await second.query(liveRunQuery)).state).toBe('waiting');
  expect(await stateOf('n2')).toBe('on');
});
