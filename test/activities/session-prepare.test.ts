import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Preparer, type PreparingSlot } from '../../activities/session-prepare';
import { changedAtSource, parseFound } from '../../activities/source-watch';
import type { ActivityDeps } from '../../activities/site';
import type { PrepareOptions, PrepareResult, WatchedPath } from '../../disks/contract';
import { TransientError } from '../../model/errors';
import { preparedOverall } from '../../model/replica';
import type { ServerSpec } from '../../model/server';
import { openSimulatedSite, type SimulatedSite } from '../../platforms/simulated/open';
import { seedMachine } from '../../platforms/simulated/seed';
import { makeOrder } from '../support/order';

const minute = 60_000;
let folder: string;
let site: SimulatedSite;
let server: ServerSpec;
let now: number;
/** The monotonic clock, where it goes another way than the host's. */
let elapsed: (() => number) | undefined;
let slot: PreparingSlot;
/** What stat in the source's guest prints; null: it does not answer. */
let shown: string | null;
/** What the disk toolkit is asked for, and what it answers. */
let asked: string[][];
/** What the observer was told of. */
let told: unknown[][];
let answer: (options: PrepareOptions) => Promise<PrepareResult[]>;

const hardwareId = 'kvm-virtio';
const watch: WatchedPath[] = [{ path: '/etc/fstab', is: 'file', sizeBytes: 10, modifiedSeconds: 100 }];
const asMade = '81a4 10 100 /etc/fstab\n';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-preparer-'));
  now = Date.parse('2026-01-01T00:00:00Z');
  site = openSimulatedSite({ folder, id: 'recovery', now: () => now });
  const machineName = await seedMachine(folder, { name: 'app01', diskSizesBytes: [256 * 1024] });
  const source = { siteId: 'recovery', machineName };
  const found = await site.source.discover(machineName);
  server = {
    ...makeOrder().server,
    ...found,
    id: 'server-1',
    source,
    recoverySiteId: 'recovery',
    prepareFor: [hardwareId],
  };
  await site.replicas.prepare(server);
  await site.replicas.cycle(server);
  slot = { taken: false };
  elapsed = undefined;
  told = [];
  shown = asMade;
  asked = [];
  answer = async () => [{ hardwareId, prepared: { hardwareId, record: now, files: [], folder: '/nowhere', watch } }];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function preparer(changes: Partial<ServerSpec> = {}, problems: unknown[] = []): Preparer {
  const disks = {
    ...site.disks,
    prepareInoculation: async (_disks: unknown, hardware: readonly { id: string }[], options: PrepareOptions) => {
      asked.push(hardware.map(({ id }) => id));
      return answer(options);
    },
  };
  const platform = {
    ...site.platform,
    runInGuest: async () => {
      if (shown === null) throw new TransientError('the agent does not answer');
      return { exitCode: 0, stdout: shown, stderr: '', truncated: false };
    },
  };
  const recovery = { ...site, id: 'recovery', leaseFolder: folder, disks };
  const source = { id: 'recovery', platform, source: site.source };
  const deps = {
    sites: { recovery: new Map([['recovery', recovery]]), source: new Map([['recovery', source]]) },
    now: () => now,
    secrets: async () => Buffer.alloc(0),
    observer: { inoculationPrepared: (of: ServerSpec, results: unknown) => told.push([of.name, results]) },
  } as unknown as ActivityDeps;
  return new Preparer({
    ...{ deps, slot, server: { ...server, ...changes }, elapsed: () => elapsed?.() ?? now },
    onReplica: (work) => work(),
    onProblem: (error) => problems.push(error),
  });
}

/** A cycle at this moment, and whatever is started by it to its end. */
async function cycle(subject: Preparer): Promise<void> {
  await subject.consider(elapsed?.() ?? now);
  await subject.settled();
}

const states = async () => (await site.preparations.entries(server.id)).map(({ state, because }) => [state, because]);

test('inoculation is prepared after the first point, once, for the profiles that the server names', async () => {
  const subject = preparer();
  await subject.begin();
  await cycle(subject);
  await cycle(subject);
  expect(asked).toEqual([[hardwareId]]);
  expect(await states()).toEqual([['prepared', null]]);
  expect(slot.taken).toBe(false);
  expect(told).toEqual([[server.name, [expect.objectContaining({ hardwareId })]]]);
});

test('a host clock that is set back by hours makes nothing wait for hours', async () => {
  let running = 5 * minute;
  elapsed = () => running;
  const subject = preparer();
  await cycle(subject);
  now -= 3 * 60 * minute;
  // Due at once, because it was compared at a time that is yet to come; from then on by what has really passed.
  await cycle(subject);
  expect(asked).toHaveLength(2);
  running += minute;
  shown = '81a4 11 200 /etc/fstab\n';
  await cycle(subject);
  expect(await states()).toEqual([['outdated', '/etc/fstab has changed at the source']]);
  running += minute;
  await cycle(subject);
  await cycle(subject);
  expect(asked).toHaveLength(3);
});

test('storage that fails costs the preparation, and neither the cycles nor the other servers of the worker', async () => {
  const problems: unknown[] = [];
  const full = () => Promise.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }));
  const { begin, clear } = site.preparations;
  site = { ...site, preparations: { ...site.preparations, begin: full, clear: full } };
  const subject = preparer({}, problems);
  await subject.begin();
  now += 16 * minute;
  await cycle(subject);
  expect(problems).toHaveLength(2);
  expect(slot.taken).toBe(false);
  Object.assign(site.preparations, { begin, clear });
  await cycle(subject);
  expect(asked).toEqual([]);
  now += 16 * minute;
  await cycle(subject);
  expect(asked).toHaveLength(1);
});

test('without a list it is prepared for all that the site declares, with an empty one for nothing', async () => {
  await cycle(preparer({ prepareFor: [] }));
  const { prepareFor: _none, ...everything } = server;
  server = everything;
  await cycle(preparer());
  expect(asked).toEqual([site.platform.capabilities.hardware]);
});

test('a change at the source is shown at once, and prepared anew when it has settled and a point holds it', async () => {
  const subject = preparer();
  await cycle(subject);
  shown = '81a4 11 200 /etc/fstab\n';
  now += minute;
  await cycle(subject);
  expect(await states()).toEqual([['outdated', '/etc/fstab has changed at the source']]);
  shown = '81a4 12 201 /etc/fstab\n';
  now += minute;
  await cycle(subject);
  await cycle(subject);
  expect(asked).toHaveLength(1);
  now += minute;
  await cycle(subject);
  await cycle(subject);
  expect(asked).toHaveLength(2);
  expect(await states()).toEqual([['prepared', null]]);
});

test('a source that cannot be asked is compared once an hour, one that answers every six', async () => {
  const subject = preparer();
  await cycle(subject);
  answer = async () => [{ hardwareId, stillFits: true, watch }];
  now += minute;
  await cycle(subject);
  now += 61 * minute;
  await cycle(subject);
  expect(asked).toHaveLength(1);
  shown = null;
  now += minute;
  await cycle(subject);
  await cycle(subject);
  expect(asked).toHaveLength(2);
  expect(await states()).toEqual([['prepared', null]]);
});

test('what cannot be prepared says why, and what may pass leaves what is kept and is tried again later', async () => {
  const problems: unknown[] = [];
  const subject = preparer({}, problems);
  answer = async () => [{ hardwareId, because: 'kernel 6.1 needs update-initramfs' }];
  await cycle(subject);
  expect(await states()).toEqual([['failed', 'kernel 6.1 needs update-initramfs']]);
  now += 61 * minute;
  answer = async () => [{ hardwareId, prepared: { hardwareId, record: 1, files: [], folder: '/nowhere', watch: [] } }];
  await cycle(subject);
  now += 61 * minute;
  answer = () => Promise.reject(new TransientError('the appliance did not start'));
  await cycle(subject);
  await cycle(subject);
  expect(problems).toHaveLength(1);
  expect(await states()).toEqual([['prepared', null]]);
  now += 16 * minute;
  await cycle(subject);
  expect(problems).toHaveLength(2);
});

test('two servers of a worker are prepared one after the other, and a run that holds the replica ends it', async () => {
  slot.taken = true;
  await cycle(preparer());
  slot.taken = false;
  await site.replicas.hold(server.id, 'run-1', 'frozen');
  await cycle(preparer());
  expect(asked).toEqual([]);
  await site.replicas.letGo(server.id, 'run-1');
  const subject = preparer();
  answer = ({ signal }) =>
    new Promise((_resolve, reject) => signal!.addEventListener('abort', () => reject(signal!.reason as Error)));
  await subject.consider(now);
  expect(slot.taken).toBe(true);
  await subject.end();
  expect(slot.taken).toBe(false);
  expect(await states()).toEqual([]);
});

test('only lines as stat prints them are read, and every difference that matters is a change', () => {
  expect(parseFound('hello\n\u001b[31m\n')).toBeNull();
  const found = parseFound('41ed 4096 7 /boot\n81a4 10 100 /etc/fstab\nrubbish\n')!;
  const folderWatch: WatchedPath = { path: '/boot', is: 'folder', sizeBytes: 0, modifiedSeconds: 7 };
  const gone: WatchedPath = { path: '/etc/crypttab', is: 'absent', sizeBytes: 0, modifiedSeconds: 0 };
  expect(changedAtSource([...watch, folderWatch, gone], found)).toBeNull();
  expect(changedAtSource([{ ...folderWatch, modifiedSeconds: 8 }], found)).toBe('/boot');
  expect(changedAtSource([{ ...watch[0]!, sizeBytes: 11 }], found)).toBe('/etc/fstab');
  expect(changedAtSource([{ ...gone, path: '/boot' }], found)).toBe('/boot');
  expect(changedAtSource([{ ...folderWatch, path: '/usr' }], found)).toBe('/usr');
});

test('a replica is called prepared when every profile is', () => {
  expect(preparedOverall()).toBe('none');
  expect(preparedOverall([{ state: 'prepared' }, { state: 'prepared' }])).toBe('prepared');
  expect(preparedOverall([{ state: 'prepared' }, { state: 'failed' }])).toBe('failed');
  expect(preparedOverall([{ state: 'failed' }, { state: 'outdated' }])).toBe('outdated');
});
