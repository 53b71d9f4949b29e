import { join } from 'node:path';
import { abortUpdate } from '../../workflows/messages';
import type { Refusal } from '../../workflows/messages';
import { seedMachine } from '../../platforms/simulated/seed';
import { ines, tomas } from '../support/order';
import { decide, keepHistory, live, openWorld, parked } from '../support/world';
import type { RunHandle, World } from '../support/world';

let world: World;
beforeAll(async () => {
  world = await openWorld();
}, 60_000);
afterAll(async () => world?.close());

/** A run that is stuck at preflight because somebody else's machine has the name. */
async function stuckRun(name: string): Promise<RunHandle> {
  const server = await world.server(name);
  await world.production.platform.power({ name, owner: null }, 'off');
  await seedMachine(join(world.folder, 'recovery'), { name: `${name}-recovered`, power: 'off', network: 'lan' });
  return world.start(world.order(server));
}

const removeIntruder = (name: string): Promise<void> =>
  world.recovery.platform.remove({ name: `${name}-recovered`, owner: null });

/** The type of the refusal, or `accepted`. */
async function answerOf(update: Promise<unknown>): Promise<{ type: Refusal | 'accepted'; message: string }> {
  try {
    await update;
    return { type: 'accepted', message: '' };
  } catch (error) {
    const cause = (error as { cause?: { type?: Refusal; message?: string } }).cause;
    return { type: cause?.type ?? ('' as Refusal), message: cause?.message ?? String(error) };
  }
}

test('a stuck step goes on in the same run after the cause is mended and a person says retry', async () => {
  const handle = await stuckRun('mended');
  const stuck = await parked(handle);
  expect(stuck).toMatchObject({ step: 'preflight', kind: 'stuck' });
  expect(stuck.cause).toContain('mended-recovered is taken');
  await removeIntruder('mended');
  await decide(handle, stuck, 'retry', { reason: 'renamed the other machine' });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  const decided = (await live(handle)).events.find((event) => event.kind === 'decided');
  expect(decided).toMatchObject({ by: ines, data: { decision: 'retry', reason: 'renamed the other machine' } });
  await keepHistory(handle, 'stuck-retried');
});

test('what does not fit is refused at once, with its own type, and changes nothing', async () => {
  const handle = await stuckRun('refusing');
  const stuck = await parked(handle);
  const refused = async (
    more: Parameters<typeof decide>[3],
    decision: Parameters<typeof decide>[2] = 'retry',
  ): Promise<Refusal | 'accepted'> => (await answerOf(decide(handle, stuck, decision, more))).type;
  expect(await refused({ step: 'freeze' })).toBe('WrongStep');
  expect(await refused({ item: 'disk0' })).toBe('WrongStep');
  expect(await refused({ epoch: stuck.epoch + 7 })).toBe('StaleParking');
  expect(await refused({ reason: '  ' })).toBe('NoReason');
  expect(await refused({}, 'dance' as never)).toBe('UnknownDecision');
  expect(await refused({}, 'approve')).toBe('NotAllowed');
  expect(await refused({}, 'provide')).toBe('BadInput');
  expect(await refused({ input: { memoryBytes: -1 } }, 'provide')).toBe('BadInput');
  expect(await refused({ from: 'power-on' })).toBe('BadInput');
  expect((await live(handle)).parkings).toEqual([stuck]);
  expect((await answerOf(handle.executeUpdate(abortUpdate, { args: [{ reason: '', by: ines }] }))).type).toBe(
    'NoReason',
  );
  await handle.executeUpdate(abortUpdate, { args: [{ reason: 'over', by: ines }] });
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
});

test('two people deciding at once: one wins, the other is told who', async () => {
  const handle = await stuckRun('raced');
  const stuck = await parked(handle);
  await removeIntruder('raced');
  const answers = await Promise.all([
    answerOf(decide(handle, stuck, 'retry', { by: ines })),
    answerOf(decide(handle, stuck, 'skip', { by: tomas, reason: 'it is fine' })),
  ]);
  expect(answers.map((answer) => answer.type).sort()).toEqual(['AlreadyDecided', 'accepted']);
  const loser = answers.find((answer) => answer.type === 'AlreadyDecided')!;
  const winner = answers[0]!.type === 'accepted' ? ines : tomas;
  expect(loser.message).toContain(winner.actor.name);
  await handle.result();
});

test('a decision for an earlier parking is stale after the step is parked again', async () => {
  const handle = await stuckRun('stale');
  const first = await parked(handle);
  await decide(handle, first, 'retry');
  const second = await parked(handle);
  expect(second.epoch).toBeGreaterThan(first.epoch);
  expect((await answerOf(decide(handle, first, 'retry', { by: tomas }))).type).toBe('AlreadyDecided');
  await removeIntruder('stale');
  await decide(handle, second, 'retry');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});

test('a skipped step never reads as success', async () => {
  const server = await world.server('skipped');
  await world.production.platform.power({ name: 'skipped', owner: null }, 'off');
  const handle = await world.start(world.order(server, { inoculate: false }));
  const stuck = await parked(handle);
  expect(stuck.step).toBe('prove-boot');
  await decide(handle, stuck, 'skip', { reason: 'the console shows it running' });
  expect(await handle.result()).toMatchObject({ state: 'succeeded-with-exceptions' });
  expect((await world.store.runs.get(handle.runOrder.runId))?.state).toBe('succeeded-with-exceptions');
  await keepHistory(handle, 'skipped');
});

test('people are reminded while a step is stuck', async () => {
  const server = await world.server('reminded');
  const handle = await world.start(world.order(server, { reminderMs: 100 }));
  const gate = await parked(handle);
  for (let reminders = 0; reminders < 2;) {
    reminders = (await live(handle)).events.filter((event) => event.kind === 'reminded').length;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await decide(handle, gate, 'abort');
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
});

test("Temporal's own cancel is taken as an abort from outside Muster", async () => {
  const server = await world.server('cancelled');
  const handle = await world.start(world.order(server));
  await parked(handle);
  await handle.cancel();
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  const decided = (await live(handle)).events.find((event) => event.kind === 'decided');
  expect(decided?.by.actor.name).toBe('outside Muster');
  expect(await world.recovery.platform.find('cancelled-recovered')).toBeUndefined();
});
