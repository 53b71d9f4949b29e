/** Who may boot: recoveries before rehearsals, whoever waits and whoever has a place already. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startsBooting, releaseBootSlot } from '../../activities/boot-slots';
import type { Attempt } from '../../activities/attempt';
import type { ActivityDeps } from '../../activities/site';
import type { Mode } from '../../model/order';
import { makeOrder } from '../support/order';
import { openSites } from '../support/world-worker';

let folder: string;
let leaseFolder: string;
let deps: ActivityDeps;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-boots-'));
  leaseFolder = join(folder, 'leases');
  await mkdir(leaseFolder);
  deps = depsIn(folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const depsIn = (at: string): ActivityDeps => {
  const { production, recovery } = openSites(at);
  return {
    sites: {
      recovery: new Map([['recovery', { id: 'recovery', ...recovery, leaseFolder: join(at, 'leases') }]]),
      source: new Map([['production', { id: 'production', ...production }]]),
    },
    evidence: { put: () => Promise.reject(new Error('no evidence is expected here')) },
    secrets: () => Promise.reject(new Error('no secret is expected here')),
    worker: { kind: 'worker', id: 'w', name: 'w' },
    now: Date.now,
  };
};

const file = () => join(leaseFolder, 'booting.json');
const listed = async () => JSON.parse(await readFile(file(), 'utf8')) as { name: string; mode?: Mode; waits?: true }[];
const names = async () => (await listed()).map(({ name, waits }) => (waits ? `${name} waits` : name));

/** A machine that starts as soon as it may, and boots until `proven` is called. */
function machine(name: string, mode: Mode) {
  const { target } = makeOrder();
  const order = makeOrder({
    runId: name,
    mode,
    bootsAtOnce: 1,
    target: { ...target, siteId: 'recovery', machineName: name },
  });
  const { tenantId, coreId, runId } = order;
  const aborting = new AbortController();
  let said = (_label: string): void => undefined;
  const attempt: Attempt = {
    effect: { tenantId, coreId, runId, step: 'power-on', item: null, attempt: 1, token: 1, undo: false },
    signal: aborting.signal,
    progress: ({ label }) => said(label),
    keep: () => Promise.reject(new Error()),
  };
  return {
    name,
    /** Resolves with how long it waited for its place. */
    start: () => startsBooting(deps, order, attempt, () => Promise.resolve()),
    /** Starts it, and resolves with what it says when it has to wait. */
    waits: () => {
      const started = startsBooting(deps, order, attempt, () => Promise.resolve()).then((waitedMs) => {
        expect(waitedMs).toBeGreaterThan(0);
        return name;
      });
      const waiting = new Promise<string>((resolve) => (said = resolve));
      return { started, waiting };
    },
    proven: () => releaseBootSlot(deps, order, attempt),
    abort: () => aborting.abort(new Error('aborted')),
  };
}

test('a recovery boots beside a rehearsal that has the only place; the next rehearsal waits for both', async () => {
  const [rehearsal, next, recovery] = [
    machine('r1', 'rehearsal'),
    machine('r2', 'rehearsal'),
    machine('s1', 'recovery'),
  ];
  expect([await rehearsal.start(), await recovery.start()]).toEqual([0, 0]);
  expect(await names()).toEqual(['r1', 's1']);
  const { started, waiting } = next.waits();
  expect(await waiting).toBe('Waiting to boot: 2 of 1 boot now (r1, s1)');
  await rehearsal.proven();
  await recovery.proven();
  expect(await started).toBe('r2');
}, 60_000);

test('the place that becomes free is the waiting recovery’s, though a rehearsal has waited for longer', async () => {
  const [first, second, rehearsal] = [machine('s1', 'recovery'), machine('s2', 'recovery'), machine('r1', 'rehearsal')];
  await first.start();
  const waitingRehearsal = rehearsal.waits();
  await waitingRehearsal.waiting;
  const waitingRecovery = second.waits();
  expect(await waitingRecovery.waiting).toBe('Waiting to boot: 1 of 1 boot now (s1)');
  expect(await names()).toEqual(['s1', 's2 waits']);
  // The recovery looks no more: only what it has left in the list keeps its place.
  second.abort();
  await expect(waitingRecovery.started).rejects.toThrow('aborted');
  await first.proven();
  const late = machine('r2', 'rehearsal').waits();
  expect(await late.waiting).toBe('Waiting to boot: the recovery s2 goes before');
  const again = machine('s2', 'recovery');
  await again.start();
  expect(await listed()).toMatchObject([{ name: 's2', mode: 'recovery' }]);
  await again.proven();
  const quicker = await Promise.race([waitingRehearsal.started, late.started]);
  await machine(quicker, 'rehearsal').proven();
  expect([await waitingRehearsal.started, await late.started].sort()).toEqual(['r1', 'r2']);
}, 60_000);

test('an entry of an earlier version, without a mode, counts as a recovery', async () => {
  await writeFile(file(), JSON.stringify([{ runId: 'old', name: 'db99', renewedAt: Date.now() }]));
  const recovery = machine('s1', 'recovery');
  const { started, waiting } = recovery.waits();
  expect(await waiting).toBe('Waiting to boot: 1 of 1 boot now (db99)');
  recovery.abort();
  await expect(started).rejects.toThrow('aborted');
}, 60_000);
