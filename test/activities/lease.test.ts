import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isLeaseHeld, withLease } from '../../activities/lease';
import type { Holder } from '../../activities/lease';
import { takeFile } from '../../programs/exclusive-file';
import { lockedFiles } from '../support/locked-files';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-lease-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const holder = (token: number, more: Partial<Holder> = {}): Holder => ({
  runId: 'run',
  step: 'take-disks',
  item: null,
  attempt: token,
  token,
  ...more,
});
const take = (who: Holder, work: () => Promise<unknown> = async () => 'done', waitMs = 5_000): Promise<unknown> =>
  withLease(folder, 'replica/app01', who, work, { waitMs });

test('two holders never work at the same time', async () => {
  let inside = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    inside += 1;
    most = Math.max(most, inside);
    await new Promise((resolve) => setTimeout(resolve, 30));
    inside -= 1;
  };
  await Promise.all([1, 2, 3, 4].map((token) => take(holder(token, { item: `disk${token}` }), work)));
  expect(most).toBe(1);
});

test('an attempt that comes after a later one is refused and does nothing', async () => {
  await take(holder(7));
  let acted = false;
  await expect(take(holder(6), async () => (acted = true))).rejects.toMatchObject({ name: 'PermanentError' });
  expect(acted).toBe(false);
});

test('executions without a number are ordered by who came first, whatever the clock says', async () => {
  const session = (execution: string): Holder => ({ ...holder(0, { runId: 'session/app01' }), token: { execution } });
  await take(session('first'));
  await take(session('second'));
  await take(session('second'));
  await expect(take(session('first'))).rejects.toThrow(/came too late/);
  await take(session('third'));
});

test('an execution comes after what an earlier version numbered by the clock', async () => {
  await take(holder(Date.now() + 3600_000, { runId: 'session/app01' }));
  await take({ ...holder(0, { runId: 'session/app01' }), token: { execution: 'new' } });
});

test('a late attempt of a run is refused also when another run held the resource in between', async () => {
  await take(holder(7));
  await take(holder(1, { runId: 'another' }));
  await expect(take(holder(6))).rejects.toThrow(/came too late/);
});

test('the higher token of another disk does not fence this one', async () => {
  await take(holder(9, { step: 'hand-over', item: 'disk1' }));
  await expect(take(holder(8, { step: 'hand-over', item: 'disk0' }))).resolves.toBe('done');
});

test('a holder that does not let go is waited for, then the attempt fails transiently', async () => {
  const { held, letGo } = await holdOpen();
  await expect(take(holder(2), undefined, 200)).rejects.toMatchObject({ name: 'TransientError' });
  letGo();
  await held;
  await expect(take(holder(3))).resolves.toBe('done');
});

test('the lease of a process that was killed is free at once', async () => {
  const child = holdInAnotherProcess();
  await new Promise((resolve) => child.stdout!.once('data', resolve));
  await expect(take(holder(2), undefined, 100)).rejects.toMatchObject({ name: 'TransientError' });
  child.kill('SIGKILL');
  await expect(take(holder(3))).resolves.toBe('done');
});

test('another program sees who holds, and a child of the holder does not keep the lease', async () => {
  const child =
    holdInAnotherProcess(`const heir = require('node:child_process').spawn('sleep', ['60'], { stdio: 'ignore' });
    process.stdout.write(heir.pid + ' ');`);
  const heir = Number.parseInt(String(await new Promise((resolve) => child.stdout!.once('data', resolve))), 10);
  try {
    const file = leaseFile();
    expect(await lockedFiles([file])).toEqual([file]);
    expect(await isLeaseHeld(folder, 'replica/app01')).toBe(true);
    child.kill('SIGKILL');
    await expect(take(holder(3))).resolves.toBe('done');
    expect(await lockedFiles([file])).toEqual([]);
    expect(await isLeaseHeld(folder, 'replica/app01')).toBe(false);
  } finally {
    process.kill(heir);
  }
});

test('whoever waits longest in a process comes next', async () => {
  // By the file itself: on the way to it the folder is looked at, by as many threads as there are.
  const file = join(folder, 'lease');
  const letGo = await takeFile(file, { waitMs: 5_000 });
  const came: number[] = [];
  const waiting = [2, 3, 4, 5].map(async (number) => {
    const giveBack = await takeFile(file, { waitMs: 5_000 });
    came.push(number);
    await giveBack!();
  });
  await letGo!();
  await Promise.all(waiting);
  expect(came).toEqual([2, 3, 4, 5]);
});

test('who gives up waiting keeps nobody behind him from his turn', async () => {
  const { held, letGo } = await holdOpen();
  const impatient = take(holder(2), undefined, 50);
  const patient = take(holder(3));
  await expect(impatient).rejects.toThrow(/no lease/);
  letGo();
  await expect(patient).resolves.toBe('done');
  await held;
});

test('a lease file that cannot be opened is said, with what to do, and tried again', async () => {
  await take(holder(1));
  const file = leaseFile();
  await rm(file);
  await mkdir(file);
  await expect(take(holder(2))).rejects.toMatchObject({
    name: 'TransientError',
    facts: { found: expect.stringContaining('EISDIR'), remedy: expect.stringContaining('folder of leases') },
  });
  await rmdir(file);
  await expect(take(holder(3))).resolves.toBe('done');
});

test('an abort ends the wait with its reason', async () => {
  const { held, letGo } = await holdOpen();
  const abort = new AbortController();
  const waiting = withLease(folder, 'replica/app01', holder(2), async () => 'done', { signal: abort.signal });
  setTimeout(() => abort.abort(new Error('not wanted any more')), 50);
  await expect(waiting).rejects.toThrow('not wanted any more');
  letGo();
  await held;
});

/** A lease that is held when this returns, until `letGo`. */
async function holdOpen(): Promise<{ held: Promise<unknown>; letGo: () => void }> {
  let letGo = (): void => undefined;
  let held: Promise<unknown> = Promise.resolve();
  await new Promise<void>((started) => {
    held = take(holder(1), () => {
      started();
      return new Promise<void>((resolve) => (letGo = resolve));
    });
  });
  return { held, letGo };
}

const leaseFile = (): string =>
  join(
    folder,
    readdirSync(folder).find((name) => name.endsWith('.lease'))!,
  );

/** `more` runs there while the lease is held. */
function holdInAnotherProcess(more = ''): ChildProcess {
  const lease = join(__dirname, '../../activities/lease.ts');
  const script = `require('tsx/cjs'); const { withLease } = require(${JSON.stringify(lease)});
    withLease(${JSON.stringify(folder)}, 'replica/app01', ${JSON.stringify(holder(1))}, async () => { ${more} console.log('held'); await new Promise((r) => setTimeout(r, 60000)); });`;
  return spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
}
