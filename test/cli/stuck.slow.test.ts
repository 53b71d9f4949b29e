/** The on-call engineer's commands from the outside: what `muster stuck` prints is typed as it stands there. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serveApi, type ServedApi } from '../../api/server';
import type { Role } from '../../store/contract';
import {
  caller,
  eventually,
  openTestStack,
  planProof,
  recoveryTools,
  type RecoveryTools,
  type TestStack,
} from '../api/stack';
import { at, batch, event, newRunId, opened, serverSpec } from '../store/run-events';
import { longestLine, muster, type Ran } from './muster';

let stack: TestStack;
let served: ServedApi;
let tools: RecoveryTools;
let folder: string;

beforeAll(async () => {
  stack = await openTestStack({ planProof });
  served = await serveApi(stack.deps, { host: '127.0.0.1', port: 0 });
  tools = recoveryTools(stack, caller(stack));
  folder = await mkdtemp(join(tmpdir(), 'muster-stuck-'));
  await stack.startWorkers();
  await tools.protectedServer('app01');
});
afterAll(async () => {
  await served?.stop();
  await stack?.close();
  await rm(folder, { recursive: true, force: true });
});

const as = (role: Role, ...args: string[]): Promise<Ran> =>
  muster(args, { MUSTER_URL: served.url, MUSTER_TOKEN: stack.tokens[role] });
const reason = ['--reason', 'as the test says'];

/** The command that stands under `decide` of this run, as a shell would split it; the reason is filled in. */
async function printed(run: string, verb: string): Promise<string[]> {
  const command = await eventually(async () =>
    (await as('operator', 'stuck')).stdout
      .split('\n')
      .map((line) => line.replace(/^ *decide/, '').trim())
      .find((line) => line.startsWith(`muster ${verb} ${run.slice(-8)}`)),
  );
  const [, ...words] = command.replace("'…'", 'mended').split(' ');
  return words;
}

const listed = async (runId: string, ...args: string[]): Promise<boolean> =>
  (await as('operator', 'stuck', ...args)).stdout.includes(`run …${runId.slice(-8)}`);

/** The list is of the journal, which follows the run a moment later. */
const becomes = (expected: boolean, runId: string, ...args: string[]): Promise<true> =>
  eventually(async () => (await listed(runId, ...args)) === expected);

const shows = (line: RegExp): Promise<true> =>
  eventually(async () => line.test((await as('viewer', 'stuck')).stdout)) as Promise<true>;

test('every waiting is shown in 80 columns, with commands that name run, step and item; an old run is found by them, too', async () => {
  const runId = newRunId();
  const server = serverSpec({ id: 's-old', name: 'a-server-with-a-name-that-is-rather-long-01' });
  const failure = { family: 'PermanentError', message: 'no driver '.repeat(30), remedy: null, detail: null } as const;
  const parked = event(
    'parked',
    { epoch: 1, undo: false, failure, allowed: ['provide', 'skip', 'abort'], remedy: 'Give one.' },
    { at: at(1), step: 'inoculate', item: 'disk0' },
  );
  await stack.store.journal.append(batch(runId, 1, [opened(runId, 0, server), parked]));
  for (let i = 0; i < 205; i += 1) {
    const newer = newRunId();
    await stack.store.journal.append(batch(newer, 1, [opened(newer, 10 + i)]));
  }
  const { exitCode, stdout } = await as('viewer', 'stuck');
  expect([exitCode, longestLine(stdout) <= 80]).toEqual([0, true]);
  const run = runId.slice(-8);
  const text = stdout.replace(/ \\\n/g, ' ').replace(/\s+/g, ' ');
  expect(text).toContain(`${server.name} recovery, tier 1 STUCK at inoculate/disk0 for `);
  expect(text).toContain(`decide muster claim ${run} --step inoculate --item disk0 `);
  expect(text).toContain(`muster provide ${run} --step inoculate --item disk0 --set FIELD=VALUE --reason '…'`);
  expect(text).toContain(`muster abort ${run} --reason '…'`);
  expect(await as('viewer', 'show', run)).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(runId) });
  expect(await listed(runId, '--mode', 'rehearsal')).toBe(false);
}, 120_000);

test('what waits is claimed, seen as taken, kept from strangers, released and answered', async () => {
  const { body } = await tools.push('app01', { networks: { lan: 'nowhere' } });
  const { runId } = body as { runId: string };
  await tools.inState(runId, 'stuck');
  await becomes(true, runId, '--unclaimed');
  expect((await as('viewer', ...(await printed(runId, 'claim')))).exitCode).toBe(6);
  expect(await as('operator', ...(await printed(runId, 'claim')))).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('Accepted: claim at preflight, by operator'),
  });
  await becomes(true, runId, '--mine');
  await becomes(false, runId, '--unclaimed');
  await shows(/^ {2}taken +by operator$/m);
  const { token } = await stack.store.tokens.issue({ name: 'Otto', role: 'operator' }, null);
  const stranger = await muster(['release', runId], { MUSTER_URL: served.url, MUSTER_TOKEN: token });
  expect(stranger.exitCode).not.toBe(0);
  expect(stranger.stderr).toMatch(/operator/);
  expect(await as('operator', 'release', runId)).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('Accepted: release'),
  });
  await becomes(false, runId, '--mine');
  await becomes(true, runId, '--unclaimed');
  expect(await as('operator', ...(await printed(runId, 'abort')))).toMatchObject({ exitCode: 0 });
  await tools.closed(runId);
  await becomes(false, runId);
}, 120_000);

const shop = `format: 1
name: shop
title: Shop
networks: { recovery: { lan: lan } }
defaults: { hardware: vmware-pvscsi }
waves:
  - { name: all, gate: all-agree, servers: [{ name: app01 }] }
gates:
  all-agree: { title: Agreed, question: Do you agree?, approvals: 2, approvers: { roles: [operator, coordinator] } }
access: { fourEyes: [abort] }
`;

test('an approval and an abort are taken back by who gave them, before a second person came', async () => {
  const path = join(folder, 'shop.yaml');
  await writeFile(path, shop);
  expect((await as('coordinator', 'runbook', 'import', path)).exitCode).toBe(0);
  const start = ['run', 'shop', '--mode', 'recovery', '--intent', 'disaster', '--json', ...reason];
  const { runId } = JSON.parse((await as('admin', ...start)).stdout) as { runId: string };
  await tools.inState(runId, 'waiting');
  expect((await as('operator', ...(await printed(runId, 'approve')))).stdout).toContain('1 of 2');
  await shows(/^ {2}approved +1 of 2: operator \(mended\)$/m);
  expect(await as('operator', 'withdraw', runId, ...reason)).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('Accepted: withdraw'),
  });
  await shows(/^ {2}approved +0 of 2$/m);
  expect((await as('operator', 'withdraw', runId, ...reason)).exitCode).toBe(3);

  expect((await as('operator', 'abort', runId, ...reason)).stdout).toMatch(/second person/);
  await shows(/waits for a second person/);
  expect(longestLine((await as('viewer', 'stuck')).stdout)).toBeLessThanOrEqual(80);
  expect((await as('operator', ...(await printed(runId, 'withdraw')))).exitCode).toBe(0);
  await shows(/^(?!.*waits for a second person)/s);
  await as('operator', 'abort', runId, ...reason);
  expect((await as('coordinator', ...(await printed(runId, 'abort')))).exitCode).toBe(0);
  await tools.closed(runId);
}, 120_000);
