/** Decisions on one server's run that a runbook lets only some people take, or only two together; and claims. */
import type { Provenance, RecoveryOrder } from '../../model/order';
import type { FourEyesAct } from '../../model/runbook/runbook';
import { writeFaults } from '../../platforms/faults';
import { abortUpdate } from '../../workflows/messages';
import { ines } from '../support/order';
import { known, refusalOf, until } from '../support/people';
import { decide, live, openWorld, parked, type RunHandle, type World } from '../support/world';
import { faultsFile, faulty } from '../support/world-worker';

let world: World;
let anna: Provenance;
let ben: Provenance;
let cora: Provenance;
beforeAll(async () => {
  world = await openWorld({ recoverySite: faulty });
  anna = (await known(world.store, 'Anna', 'operator')).by;
  ben = (await known(world.store, 'Ben', 'operator')).by;
  cora = (await known(world.store, 'Cora', 'coordinator')).by;
}, 60_000);
afterAll(async () => world?.close());
afterEach(() => writeFaults(faultsFile(world.folder), []));

async function run(name: string, fourEyes: FourEyesAct[], changes: Partial<RecoveryOrder> = {}): Promise<RunHandle> {
  const server = await world.server(name);
  await world.production.platform.power({ name, owner: null }, 'off');
  const access = { decide: { roles: ['operator' as const], people: ['Cora'] }, fourEyes };
  return world.start(world.order(server, { access, ...changes }));
}

const kinds = async (handle: RunHandle) =>
  (await live(handle)).events.flatMap(({ kind, by }) =>
    ['approved', 'approval-withdrawn', 'decided', 'claimed', 'released'].includes(kind) ? [[kind, by.actor.name]] : [],
  );

test('a skip takes effect when a second person wants it, and what is said otherwise meanwhile replaces it', async () => {
  const handle = await run('skipped', ['skip'], { inoculate: false });
  const stuck = await parked(handle);
  expect(await decide(handle, stuck, 'skip', { by: anna })).toMatchObject({
    standing: expect.stringContaining('1 of 2'),
  });
  expect(await refusalOf(decide(handle, stuck, 'skip', { by: anna }))).toEqual(['AlreadyDecided', expect.anything()]);
  expect((await parked(handle)).half).toMatchObject({ decision: 'skip', by: { name: 'Anna' } });
  await decide(handle, stuck, 'withdraw', { by: anna });
  expect((await parked(handle)).half).toBeNull();
  await decide(handle, stuck, 'skip', { by: anna });
  await decide(handle, stuck, 'retry', { by: ben });
  const again = await until(async () => (await live(handle)).parkings.find(({ epoch }) => epoch > stuck.epoch));
  await decide(handle, again, 'skip', { by: ben });
  expect(await decide(handle, again, 'skip', { by: cora })).toMatchObject({ standing: null });
  expect(await handle.result()).toMatchObject({ state: 'succeeded-with-exceptions' });
  expect(await kinds(handle)).toEqual([
    ['approved', 'Anna'],
    ['approval-withdrawn', 'Anna'],
    ['approved', 'Anna'],
    ['approval-withdrawn', 'Ben'],
    ['decided', 'Ben'],
    ['approved', 'Ben'],
    ['decided', 'Cora'],
  ]);
});

test('a correction that does without a step needs two where a skip does, at the step and on the way back to it', async () => {
  await writeFaults(faultsFile(world.folder), [
    { method: 'inoculate', error: 'OperatorError', times: 1 },
    { method: 'find', machine: 'waived-recovered', error: 'OperatorError', after: 2, times: 1 },
  ]);
  const handle = await run('waived', ['skip']);
  const waive = { from: null, input: { inoculate: false } };
  const stuck = await parked(handle);
  expect(stuck.step).toBe('inoculate');
  const half = { standing: expect.stringContaining('1 of 2') };
  expect(await decide(handle, stuck, 'provide', { ...waive, by: anna })).toMatchObject(half);
  expect(await refusalOf(decide(handle, stuck, 'provide', { ...waive, by: anna }))).toEqual([
    'AlreadyDecided',
    expect.stringContaining('second person'),
  ]);
  expect((await parked(handle)).half).toMatchObject({ decision: 'provide', by: { name: 'Anna' } });
  await decide(handle, stuck, 'retry', { by: anna });
  const unproven = await until(async () => (await live(handle)).parkings.find(({ epoch }) => epoch > stuck.epoch));
  expect(unproven.step).toBe('prove-boot');
  const back = { from: 'inoculate', input: { inoculate: false } };
  expect(await decide(handle, unproven, 'retry', { ...back, by: ben })).toMatchObject(half);
  expect(await decide(handle, unproven, 'retry', { ...back, by: cora })).toMatchObject({ standing: null });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});

test('a correction that leaves out what the order leaves out already needs one', async () => {
  const handle = await run('without', ['skip'], { inoculate: false });
  const unproven = await parked(handle);
  const back = { from: 'inoculate', input: { inoculate: false }, by: anna };
  expect(await decide(handle, unproven, 'retry', back)).toMatchObject({ standing: null });
  const again = await until(async () => (await live(handle)).parkings.find(({ epoch }) => epoch > unproven.epoch));
  const mended = { ...back, input: { inoculate: true } };
  expect(await decide(handle, again, 'retry', mended)).toMatchObject({ standing: null });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});

test('a destructive recovery is committed by two; a roll-back is the other answer to the same question', async () => {
  const handle = await run('committed', ['commit'], { option: 'destructive' });
  const gate = await parked(handle);
  await decide(handle, gate, 'roll-back', { by: anna });
  await decide(handle, gate, 'commit', { by: ben });
  expect((await parked(handle)).half).toMatchObject({ decision: 'commit', by: { name: 'Ben' } });
  await decide(handle, gate, 'commit', { by: anna });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});

test('four eyes on power-on ask two people before every power-on of a recovery', async () => {
  const handle = await run('powered', ['power-on', 'abort']);
  const gate = await parked(handle);
  const leave = async (name: string, act: (by: Provenance) => Promise<unknown>): Promise<void> => {
    const { by, tokenIds } = await known(world.store, name, 'operator');
    await act(by);
    for (const id of tokenIds) await world.store.tokens.revoke(id);
  };
  const abort = (by: Provenance, more: object = {}) =>
    handle.executeUpdate(abortUpdate, { args: [{ reason: 'Wrong server', by, ...more }] });

  // Who decided first and has left since does not count: the second becomes the first.
  await leave('Dora', abort);
  expect(await abort(ben)).toMatchObject({ standing: expect.stringContaining('1 of 2') });
  expect((await live(handle)).halfAbort).toMatchObject({ by: { name: 'Ben' } });
  await abort(ben, { withdraw: true });
  await leave('Emma', (by) => decide(handle, gate, 'approve', { by }));
  expect(await decide(handle, gate, 'approve', { by: cora })).toMatchObject({
    standing: expect.stringContaining('1 of 2'),
  });
  expect((await parked(handle)).half).toMatchObject({ decision: 'approve', by: { name: 'Cora' } });
  const dropped = (await live(handle)).events.flatMap((event) =>
    event.kind === 'approval-withdrawn' && event.data.of !== undefined ? [event.data.reason] : [],
  );
  expect(dropped).toEqual(
    ['Dora', 'Emma'].map((name) => `The decision of ${name} does not count: all tokens of this person were revoked.`),
  );
  await decide(handle, gate, 'withdraw', { by: cora });
  expect(gate).toMatchObject({ step: 'power-on', kind: 'gate', allowed: ['approve', 'abort'] });
  await decide(handle, gate, 'approve', { by: anna });
  expect((await world.recovery.platform.find('powered-recovered'))?.power).toBe('off');
  await decide(handle, gate, 'approve', { by: ben });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});

test('the first of two who is named and may only read by now does not count', async () => {
  const access = { decide: { roles: [], people: ['Gina', 'Ben', 'Anna'] }, fourEyes: ['power-on' as const] };
  const handle = await run('read-only', ['power-on'], { access });
  const gate = await parked(handle);
  const gina = await known(world.store, 'Gina', 'operator');
  await decide(handle, gate, 'approve', { by: gina.by });
  for (const id of gina.tokenIds) await world.store.tokens.revoke(id);
  await known(world.store, 'Gina', 'auditor');
  await decide(handle, gate, 'approve', { by: ben });
  expect((await parked(handle)).half).toMatchObject({ decision: 'approve', by: { name: 'Ben' } });
  await decide(handle, gate, 'approve', { by: anna });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});

test('only those decide whom the order names, where their role holds; claims name who looks after it', async () => {
  const handle = await run('claimed', [], { powerOn: 'decision' });
  const gate = await parked(handle);
  const admin = (await known(world.store, 'Ada', 'admin')).by;
  expect(await refusalOf(decide(handle, gate, 'approve', { by: admin }))).toEqual([
    'NotAllowed',
    'Ada may not approve at power-on: found the role admin, needed anybody who is operator, or Cora.',
  ]);
  const elsewhere = (await known(world.store, 'Emil', 'operator', [{ kind: 'site', name: 'elsewhere' }])).by;
  for (const decision of ['approve', 'claim'] as const)
    expect(await refusalOf(decide(handle, gate, decision, { by: elsewhere }))).toEqual([
      'NotAllowed',
      expect.stringContaining('at site elsewhere, needed a role at site recovery'),
    ]);
  await decide(handle, gate, 'claim', { by: anna });
  expect(await parked(handle)).toMatchObject({ claimedBy: { name: 'Anna' }, claimedAt: expect.any(String) });
  await decide(handle, gate, 'claim', { by: ben });
  expect(await refusalOf(decide(handle, gate, 'release', { by: anna }))).toEqual([
    'NotAllowed',
    expect.stringContaining('Ben'),
  ]);
  await decide(handle, gate, 'release', { by: cora });
  expect((await parked(handle)).claimedBy).toBeNull();
  await decide(handle, gate, 'claim', { by: ben });
  await decide(handle, gate, 'approve', { by: anna });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect((await kinds(handle)).map(([kind]) => kind)).toEqual(['claimed', 'claimed', 'released', 'claimed', 'decided']);
});

test('an order that says nothing of access lets in whom the door lets in', async () => {
  const handle = await run('open', [], { access: undefined, powerOn: 'decision' });
  await decide(handle, await parked(handle), 'approve', { by: ines });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
});

test('also where Temporal itself has cancelled the run, the first of two who has left since does not count', async () => {
  await writeFaults(faultsFile(world.folder), [{ method: 'drop', error: 'OperatorError', times: 1 }]);
  const handle = await run('cancelled', ['skip'], { powerOn: 'decision' });
  await parked(handle);
  await handle.cancel();
  const stuck = await until(async () => (await live(handle)).parkings.find(({ undo }) => undo));
  const { by: hugo, tokenIds } = await known(world.store, 'Hugo', 'operator');
  await decide(handle, stuck, 'skip', { by: hugo });
  for (const id of tokenIds) await world.store.tokens.revoke(id);
  expect(await decide(handle, stuck, 'skip', { by: ben })).toMatchObject({
    standing: expect.stringContaining('1 of 2'),
  });
  await decide(handle, stuck, 'retry', { by: anna });
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
});
