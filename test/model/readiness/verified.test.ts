/** What makes a runbook verified, and every way in which it stops being so. */
import fc from 'fast-check';
import type { RunEvent } from '../../../model/events';
import { projectRehearsal, type RehearsedRun } from '../../../model/readiness/rehearsed';
import { shapeDifferences, shapeOf } from '../../../model/readiness/shape';
import { textDifferences } from '../../../model/readiness/text-differences';
import { verification, type Rehearsal, type RunbookNow } from '../../../model/readiness/verified';
import { hardwareProfiles, type ServerSpec } from '../../../model/server';
import { storyServer } from '../../support/order';

const day = 86_400_000;
const rehearsedAt = '2026-03-01T10:00:00.000Z';
const nowMs = Date.parse(rehearsedAt) + 10 * day;
const onto = hardwareProfiles['kvm-virtio']!;
const spec = (name: string, changes: Partial<ServerSpec> = {}): ServerSpec => ({
  ...storyServer,
  id: `id-of-${name}`,
  name,
  ...changes,
});

const fresh = { openedAt: rehearsedAt, closedAt: rehearsedAt, state: 'succeeded', skipped: [], stuck: [] } as const;
const ofServer = (server: ServerSpec, changes: Partial<RehearsedRun> = {}): RehearsedRun => ({
  ...fresh,
  runId: `run-of-${server.name}`,
  runbook: null,
  server: shapeOf(server, onto),
  ...changes,
});
const rehearsal = (
  changes: Partial<RehearsedRun> = {},
  servers = [ofServer(spec('db01')), ofServer(spec('app01'))],
): Rehearsal => ({
  run: {
    ...fresh,
    runId: 'rehearsal-1',
    runbook: { name: 'shop', version: 3, sha256: 'a', parts: [], servers: ['db01', 'app01'] },
    server: null,
    ...changes,
  },
  servers,
});
const now = (changes: Partial<RunbookNow> = {}): RunbookNow => ({
  name: 'shop',
  sha256: 'a',
  verifiedForMs: 90 * day,
  servers: { db01: shapeOf(spec('db01'), onto), app01: shapeOf(spec('app01'), onto) },
  parts: {},
  ...changes,
});
const judge = (is: RunbookNow, closed: Rehearsal[], at = nowMs) => verification(is, closed, at, ['waves.db']);

test('a change at the source turns it, before the inventory has it, and only for its own servers', () => {
  const change = 'disk1 of db01 is new (256 KiB)';
  expect(judge(now({ changedAtSource: new Map([['db01', [change]]]) }), [rehearsal()])).toMatchObject({
    state: 'needs-rehearsal',
    because: [`at its source ${change}`],
  });
  expect(judge(now({ changedAtSource: new Map([['mail01', [change]]]) }), [rehearsal()]).state).toBe('verified');
});

test('never rehearsed is said as such; a rehearsal of this text on these servers verifies until its age ends it', () => {
  expect(judge(now(), [])).toMatchObject({ state: 'never-rehearsed', rehearsal: null });
  expect(judge(now(), [rehearsal()])).toEqual({
    state: 'verified',
    because: [],
    rehearsal: { runId: 'rehearsal-1', version: 3, at: rehearsedAt },
    until: '2026-05-30T10:00:00.000Z',
  });
});

test('another text, with its keys; and a text that came back is as verified as it was', () => {
  const edited = judge(now({ sha256: 'b' }), [rehearsal()]);
  expect(edited).toMatchObject({
    state: 'needs-rehearsal',
    because: ['text changed since version 3: keys waves.db'],
  });
  const ofOther = rehearsal({ runbook: { name: 'shop', version: 4, sha256: 'b', parts: [], servers: [] } }, []);
  expect(judge(now(), [ofOther, rehearsal()]).state).toBe('verified');
});

test.each<[string, Partial<ServerSpec>, string]>([
  ['another server', { id: 'id-of-another' }, 'db01 is another server than the one rehearsed (id-of-db01)'],
  ['a smaller memory', { memoryBytes: 1024 ** 3 }, 'memory of db01 is 1 GiB, was 2 GiB'],
  ['a new disk', { disks: [...storyServer.disks, disk('disk2', 5)] }, 'disk2 of db01 is new (5 GiB)'],
  ['a disk that is gone', { disks: [storyServer.disks[0]!] }, 'disk1 of db01 is gone'],
  ['a resized disk', { disks: [storyServer.disks[0]!, disk('disk1', 30)] }, 'disk1 of db01 has 30 GiB, had 20 GiB'],
  ['other firmware', { firmware: 'uefi' }, 'firmware of db01 is uefi, was bios'],
  [
    'another kernel',
    { os: { ...storyServer.os, kernelRelease: '6.2' } },
    'operating system of db01 is debian 12 kernel 6.2',
  ],
  ['a card that is gone', { nics: [] }, 'card 0 of db01 is gone'],
  [
    'another network',
    { nics: [{ ...storyServer.nics[0]!, network: 'dmz' }] },
    'network of card 0 of db01 is dmz, was prod',
  ],
])('%s turns it to needs rehearsal, and is named', (_what, changes, said) => {
  const servers = { ...now().servers, db01: shapeOf(spec('db01', changes), onto) };
  const found = judge(now({ servers }), [rehearsal()]);
  expect(found.state).toBe('needs-rehearsal');
  expect(found.because).toEqual([expect.stringContaining(said)]);
});

function disk(id: string, gibibytes: number): ServerSpec['disks'][number] {
  return { id, index: 0, sizeBytes: gibibytes * 1024 ** 3, controller: 'sata', sourceDevice: id };
}

test('other hardware at the target, a server that is gone and age are named together', () => {
  const servers = { db01: shapeOf(spec('db01'), hardwareProfiles['pc-ahci']!), app01: null };
  expect(judge(now({ servers }), [rehearsal()], nowMs + 90 * day).because).toEqual([
    'hardware that db01 is recovered onto is pc-ahci, sata, e1000, was kvm-virtio, virtio, virtio',
    'app01 is no longer in the inventory',
    'it was rehearsed 100 d 00 h ago; a rehearsal verifies it for 90 d 00 h',
  ]);
});

test('exceptions, skipped steps and servers that were not in it do not verify, and are named', () => {
  const skipped = ofServer(spec('db01'), { state: 'succeeded-with-exceptions', skipped: ['prove-boot'] });
  const found = judge(now(), [rehearsal({ state: 'succeeded-with-exceptions' }, [skipped])]);
  expect(found).toMatchObject({ state: 'needs-rehearsal', rehearsal: null });
  expect(found.because).toEqual([
    'the rehearsal of 2026-03-01 (run rehearsal-1) ended as succeeded-with-exceptions',
    'prove-boot of db01 was skipped in it',
    'app01 was not in it',
  ]);
});

test('a later rehearsal that failed takes the proof back; one that only gave way does not', () => {
  const later = { closedAt: '2026-03-02T10:00:00.000Z', runId: 'rehearsal-2', state: 'aborted' } as const;
  expect(judge(now(), [rehearsal(later), rehearsal()]).state).toBe('verified');
  const stuck = rehearsal({ ...later, stuck: ['prove-boot (db01)'] });
  expect(judge(now(), [stuck, rehearsal()])).toMatchObject({
    state: 'needs-rehearsal',
    because: ['the rehearsal of 2026-03-02 (run rehearsal-2) ended as aborted', 'prove-boot (db01) was stuck in it'],
  });
});

test('what it contains has to be rehearsed with it, in the text that it has, and verified by itself', () => {
  const verified = { state: 'verified', because: [], rehearsal: null, until: null } as const;
  const parts = { directory: { sha256: 'd', verification: verified } };
  expect(judge(now({ parts }), [rehearsal()]).because).toEqual([
    'runbook directory, which it contains, was not rehearsed with it',
  ]);
  const runbook = { ...rehearsal().run.runbook!, parts: [{ name: 'directory', runId: 'r', sha256: 'd' }] };
  expect(judge(now({ parts }), [rehearsal({ runbook })]).state).toBe('verified');
  const aged = { ...verified, because: ['disk2 of dns01 is new'] };
  expect(
    judge(now({ parts: { directory: { sha256: 'd', verification: aged } } }), [rehearsal({ runbook })]).because,
  ).toEqual(['in runbook directory: disk2 of dns01 is new']);
});

test('keys of a text are compared by name, so that a server put before another changes nothing else', () => {
  const was = { title: 'Shop', servers: [{ name: 'db01', cpus: 2 }], limits: { atOnce: 4 } };
  const is = { title: 'Shop', servers: [{ name: 'db00' }, { name: 'db01', cpus: 4 }], limits: {} };
  expect(textDifferences(was, is)).toEqual(['servers.db01.cpus', 'servers.db00 (new)', 'limits.atOnce (gone)']);
  expect(textDifferences(was, structuredClone(was))).toEqual([]);
  const many = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`k${i}`, i]));
  expect(textDifferences({}, many).at(-1)).toBe('and 5 more');
});

test('any change of a disk is a difference, and a shape has none to itself', () => {
  const disks = fc.uniqueArray(fc.record({ n: fc.nat(9), size: fc.integer({ min: 1, max: 2 ** 45 }) }), {
    selector: ({ n }) => n,
  });
  const shape = (list: { n: number; size: number }[]) =>
    shapeOf(spec('db01', { disks: list.map(({ n, size }) => ({ ...disk(`disk${n}`, 1), sizeBytes: size })) }), onto);
  fc.assert(
    fc.property(disks, disks, (was, is) => {
      const key = (list: typeof was) => JSON.stringify([...list].sort((a, b) => a.n - b.n));
      expect(shapeDifferences(shape(was), shape(is)).length === 0).toBe(key(was) === key(is));
    }),
  );
});

test('batches of any size give the same entry, and so does the whole history twice', () => {
  const by = { actor: { kind: 'workflow', id: 'r', name: 'r' }, authMethod: 'internal', requestId: '', address: '' };
  const order = {
    mode: 'rehearsal',
    runId: 'r',
    runbook: { name: 'shop', version: 1, sha256: 'a' },
    parts: [],
    servers: [],
  };
  const event = (kind: string, data: object, step: string | null = null, item: string | null = null) =>
    ({ kind, at: rehearsedAt, by, step, item, attempt: null, data }) as unknown as RunEvent;
  const history = [
    event('plan-opened', { order }),
    event('parked', {}, 'recover', 'db01'),
    event('step-skipped', {}, 'recover', 'db01'),
    event('parked', {}, 'recover', 'db01'),
    event('run-closed', { state: 'succeeded-with-exceptions' }),
  ];
  const whole = projectRehearsal(undefined, history);
  expect(whole).toMatchObject({ skipped: ['recover (db01)'], stuck: ['recover (db01)'], closedAt: rehearsedAt });
  expect(projectRehearsal(whole, history)).toEqual(whole);
  for (let cut = 0; cut <= history.length; cut++) {
    const first = projectRehearsal(undefined, history.slice(0, cut));
    expect(projectRehearsal(first, history.slice(cut))).toEqual(whole);
  }
  expect(
    projectRehearsal(undefined, [event('plan-opened', { order: { ...order, mode: 'recovery' } })]),
  ).toBeUndefined();
});
