/** The campaign's own eyes: what a campaign must find is put before it, and it finds it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEvidenceStore } from '../../record/evidence';
import { ledgerRow } from '../../record/ledger';
import { chainRows, emptyChain } from '../../record/row';
import { failure, Story } from '../support/events';
import { ines } from '../support/order';
import { differences, fileDifferences } from './compare';
import type { EndState } from './end-state';
import type { Act } from './acts';
import { planOf, type Plan } from './plan';
import { attemptFindings, decisionFindings, recordFindings } from './record-findings';

const plan: Plan = { ...planOf(1), ending: { kind: 'through' }, finalCycle: 'never', source: 'lost' };
const end: EndState = {
  run: 'succeeded',
  steps: { preflight: 'done', freeze: 'done' },
  machines: [{ name: 'MACHINE', power: 'on' }],
  disks: [{ heldBy: 'machine:MACHINE' }],
  replica: { state: 'replicating', heldBy: null },
  source: { power: 'off', switched: ['platform.power-off'] },
  effects: { 'platform.create': 1, 'replicas.take': 1, 'disks.inoculate disk0': 1 },
  holds: ['replicas.hold-frozen', 'replicas.let-go'],
};

test('equal ends have no differences', () => {
  expect(differences(plan, end, structuredClone(end))).toEqual([]);
});

test.each<[string, Partial<EndState>, RegExp]>([
  ['another state of the run', { run: 'aborted' }, /run differ/],
  ['a step that was not done', { steps: { preflight: 'done', freeze: 'pending' } }, /steps differ/],
  ['a machine too many', { machines: [...end.machines, { name: 'MACHINE-2' }] }, /machines differ/],
  ['a disk that is still held', { disks: [{ heldBy: 'target-server:SERVER' }] }, /disks differ/],
  ['a replica that is still held', { replica: { state: 'frozen', heldBy: 'RUN' } }, /replica differ/],
  ['a source that was switched on', { source: { power: 'on', switched: [] } }, /source differ/],
  ['an effect done twice', { effects: { ...end.effects, 'platform.create': 2 } }, /platform.create happened 2 times/],
  ['an effect not done', { effects: { 'platform.create': 1 } }, /replicas.take happened 0 times/],
  ['inoculation done twice', { effects: { ...end.effects, 'disks.inoculate disk0': 2 } }, /inoculate disk0 happened 2/],
  ['a hold that was not let go', { holds: ['replicas.hold-frozen'] }, /holds differ/],
])('it finds %s', (_, change, finding) => {
  expect(differences(plan, end, { ...end, ...change }).join('\n')).toMatch(finding);
});

test('whoever copies may hold once more after an attempt that was lost, and lets go again', () => {
  const [hold, letGo] = end.holds as [string, string];
  const again = { ...end, holds: [hold, letGo, hold, letGo] };
  expect(differences({ ...plan, option: 'copy-and-recover' }, end, again)).toEqual([]);
  expect(differences({ ...plan, mode: 'rehearsal', option: 'backup-and-recover' }, end, again)).toEqual([]);
  expect(differences({ ...plan, mode: 'recovery', option: 'backup-and-recover' }, end, again)).not.toEqual([]);
  const left = { ...end, holds: [hold, letGo, hold] };
  expect(differences({ ...plan, option: 'copy-and-recover' }, end, left)).not.toEqual([]);
});

test('after an abort in passing it finds what was done and not undone, wherever the run was', () => {
  const aborted: Plan = { ...plan, ending: { kind: 'abort-in-passing', step: 'take-disks' } };
  const calm: EndState = { ...end, effects: { 'replicas.take': 1, 'replicas.drop': 1 } };
  const further = { ...calm.effects, 'platform.create': 1, 'platform.remove': 1 };
  expect(differences(aborted, calm, { ...calm, effects: further, steps: {} })).toEqual([]);
  const left = { ...calm, effects: { ...calm.effects, 'platform.create': 1 } };
  expect(differences(aborted, calm, left)).toEqual(['platform.create happened 1 times and was undone 0 times']);
});

test('it finds files that are left behind, and files that are missing', () => {
  const calm = ['machines/MACHINE.json'];
  expect(fileDifferences(plan, calm, calm)).toEqual([]);
  expect(fileDifferences(plan, calm, ['replicas/SERVER/runs/RUN/disk0.raw'])).toEqual([
    'left behind: replicas/SERVER/runs/RUN/disk0.raw',
    'missing: machines/MACHINE.json',
  ]);
});

const lost = failure('LostWorker', 'The worker stopped answering.');
const transient = failure('TransientError', 'No answer.');

test('it finds an attempt that no budget and no parking allows', () => {
  const good = new Story().announce('freeze').attempt('freeze', { failure: lost }).attempt('freeze', { failure: lost });
  expect(attemptFindings(good.attempt('freeze').events)).toEqual([]);
  const thrice = new Story();
  for (let tries = 0; tries < 3; tries += 1) thrice.attempt('freeze', { failure: lost });
  expect(attemptFindings(thrice.attempt('freeze').events)).toEqual([expect.stringContaining('tried again by itself')]);
  const early = new Story().attempt('freeze', { failure: transient });
  early.park('freeze', transient);
  expect(attemptFindings(early.events)).toEqual([expect.stringContaining('was parked after')]);
  const costly = new Story().attempt('freeze', { failure: transient }).attempt('freeze', { failure: lost });
  costly.park('freeze', lost);
  expect(attemptFindings(costly.events)).toHaveLength(1);
  const open = new Story();
  open.start('freeze');
  expect(attemptFindings(open.events)).toEqual(['attempts 1 have no end']);
});

test('it finds a decision that took effect twice, one that was lost, and one that nobody sent', () => {
  const story = new Story().attempt('freeze', { failure: failure('OperatorError', 'Held.') });
  const epoch = story.park('freeze', failure('OperatorError', 'Held.'));
  const act: Act = { decision: 'retry', epoch, answers: ['accepted', 'accepted'] };
  expect(decisionFindings(story.events, [act])).toEqual([expect.stringContaining('is not in the record')]);
  story.decide(epoch, 'retry', 'mended');
  expect(decisionFindings(story.events, [act])).toEqual([]);
  expect(decisionFindings(story.events, [])).toEqual([expect.stringContaining('nobody sent retry')]);
  story.decide(epoch, 'retry', 'mended');
  expect(decisionFindings(story.events, [act])).toEqual([expect.stringContaining('took effect 2 times')]);
});

test('what a plan decides of its runs nobody has to have sent, and it takes effect once', () => {
  const story = new Story();
  const by = { ...ines, actor: { kind: 'workflow', id: 'plan-1', name: 'plan shop' } } as const;
  story.decide(0, 'abort', 'The plan is undone.', { by });
  expect(decisionFindings(story.events, [])).toEqual([]);
  story.decide(0, 'abort', 'The plan is undone.', { by });
  expect(decisionFindings(story.events, [])).toEqual(["the plan's abort took effect once more"]);
});

describe('of a record', () => {
  const chain = { tenantId: 'main', coreId: 'main', runId: 'run-1' };
  const story = new Story().step('preflight').close('succeeded', 'Done.');
  const rows = chainRows(chain, null, emptyChain, story.events);
  const closing = { head: { sequence: rows.length, hash: rows.at(-1)!.hash }, state: 'succeeded', closedAt: story.at };
  const ledger = [ledgerRow(emptyChain, chain, closing)];
  let folder: string;
  const find = async (
    some: Partial<{ rows: typeof rows; ledger: typeof ledger; live: typeof story.events }>,
  ): Promise<string[]> => {
    const evidence = openEvidenceStore({ folder, tenantId: 'main', coreId: 'main' });
    return recordFindings(some.rows ?? rows, some.ledger ?? ledger, some.live ?? story.events, evidence, []);
  };
  beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'muster-findings-'))));
  afterAll(() => rm(folder, { recursive: true }));

  test('a whole one has no findings', async () => expect(await find({})).toEqual([]));
  test('it finds a row that is missing, and one that is missing at the end', async () => {
    expect((await find({ rows: rows.toSpliced(2, 1) })).join('\n')).toContain('chain breaks at row 3');
    expect((await find({ rows: rows.slice(0, -1) })).join('\n')).toContain('0 closing events');
  });
  test('it finds a run that the ledger does not have', async () => {
    expect(await find({ ledger: [] })).toEqual([expect.stringContaining('the ledger has 0 rows')]);
  });
  test('it finds a journal that tells something else than the workflow', async () => {
    expect(await find({ live: story.events.slice(0, -1) })).toEqual([expect.stringContaining('is recorded as')]);
  });
  test('it finds evidence that is not there', async () => {
    const file = { what: 'A log', name: 'a.log', mediaType: 'text/plain', content: Buffer.from('x') };
    const with_ = new Story().step('preflight', { evidence: [file] }).close('succeeded', 'Done.');
    const itsRows = chainRows(chain, null, emptyChain, with_.events);
    const end_ = {
      head: { sequence: itsRows.length, hash: itsRows.at(-1)!.hash },
      state: 'succeeded',
      closedAt: with_.at,
    };
    const its = { rows: itsRows, ledger: [ledgerRow(emptyChain, chain, end_)], live: with_.events };
    expect(await find(its)).toEqual(['evidence a.log is missing']);
  });
});
