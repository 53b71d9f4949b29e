/** Physical machines through the API and the command line: what holds each, and giving one up. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serveApi, type ServedApi } from '../../api/server';
import { muster } from '../cli/muster';
import { addMachine, openTestSite, type TestSite } from '../platforms/physical/machine';
import { storyServer } from '../support/order';
import { caller, eventually, openTestStack, recoveryTools, siteId } from './stack';
import type { Call, RecoveryTools, TestStack } from './stack';

let iron: TestSite;
let stack: TestStack;
let call: Call;
let tools: RecoveryTools;
let served: ServedApi;
let consoleFile: string;

beforeAll(async () => {
  iron = await openTestSite();
  consoleFile = join(iron.folder, 'rack-7.log');
  writeFileSync(consoleFile, '');
  const machine = addMachine(iron, {
    name: 'rack-7',
    power: { kind: 'person', instructions: 'Rack 7 in hall 2: press the button.' },
    serialConsole: { kind: 'file', path: consoleFile },
  });
  stack = await openTestStack({ physicalMachines: { [siteId]: [machine] } }, { physical: iron.again() });
  call = caller(stack);
  tools = recoveryTools(stack, call);
  served = await serveApi(stack.deps, { host: '127.0.0.1', port: 0 });
  await stack.startWorkers();
});
afterAll(async () => {
  await served?.stop();
  await stack?.close();
  await iron?.close();
});

const release = (body: object, token?: string) =>
  call('POST', '/machines/rack-7/release', { body, ...(token === undefined ? {} : { token }) });
const rack7 = async () => (await call('GET', '/machines')).body.items[0];
const command = (...args: string[]) => muster(args, { MUSTER_URL: served.url, MUSTER_TOKEN: stack.tokens.coordinator });
const reason = 'Given back to the lender';

test('a machine is its run’s while the run lives and after it; then a coordinator gives it up, on the record', async () => {
  expect(await rack7()).toMatchObject({
    name: 'rack-7',
    siteId,
    hardware: 'physical-nvme',
    power: 'off',
    heldBy: null,
  });
  await tools.protectedServer('app01');
  const onto = { hardware: 'physical-nvme', machineName: 'rack-7' };
  const { runId } = (await tools.push('app01', onto)).body;
  await tools.inState(runId, 'waiting');
  // Whose run it is, is of the journal, which follows the run a moment later.
  const used = await eventually(async () => {
    const machine = await rack7();
    return machine.heldBy?.serverName != null && machine;
  });
  expect(used).toMatchObject({ heldBy: { runId, live: true, serverName: 'app01' } });

  expect(await release({ reason }, stack.tokens.operator)).toMatchObject({ status: 403 });
  const refusal = await release({ reason });
  expect(refusal).toMatchObject({ status: 409, body: { type: 'urn:muster:problem:conflict', runId } });
  expect(refusal.body.detail).toContain(`run ${runId} uses it`);
  const shown = await command('machines');
  expect(shown.stdout).toMatch(new RegExp(`rack-7 .*run …${runId.slice(-8)} of app01`));

  await tools.decide(runId, { step: 'power-on', decision: 'approve', reason: 'Pressed it' });
  appendFileSync(consoleFile, '\r\nDebian GNU/Linux 12 app01 ttyS0\r\n\r\napp01 login: ');
  expect((await tools.closed(runId)).view.state).toBe('succeeded');
  expect(await rack7()).toMatchObject({ power: 'on', heldBy: { runId, live: false, runState: 'succeeded' } });

  const on = await command('machines', 'release', 'rack-7', '--reason', reason);
  expect(on).toMatchObject({ exitCode: 3, stderr: expect.stringMatching(/--switched-off/) });
  const done = await command('machines', 'release', 'rack-7', '--switched-off', '--reason', reason);
  expect(done).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(`run ${runId} had it`) });
  expect(await rack7()).toMatchObject({ power: 'off', heldBy: null });
  const again = await release({ reason });
  expect(again).toMatchObject({ status: 200, body: { machine: 'rack-7', released: false, runId: null } });

  const decided = (await stack.refusedRows()).filter(({ kind }) => kind === 'release-decided');
  expect(decided.map(({ actorName }) => actorName)).toEqual(['coordinator', 'coordinator']);
  expect(JSON.parse(decided[1]!.body)).toEqual({ siteId, machine: 'rack-7', ofRun: runId, reason });
  const refused = await eventually(async () => {
    const rows = (await stack.refusedRows()).filter(
      ({ kind, body }) => kind.endsWith('refused') && /rack-7/.test(body),
    );
    return rows.length === 2 && rows;
  });
  expect(refused[0]!.body).toContain(runId);
  expect(refused[1]!.body).toContain('as far as Muster was told');
}, 120_000);

test('machines are JSON for programs, and a reason is asked for before anything is sent', async () => {
  const [json, silent] = await Promise.all([
    command('machines', '--json'),
    command('machines', 'release', 'rack-7', '--json'),
  ]);
  expect(JSON.parse(json.stdout)).toMatchObject({ items: [{ name: 'rack-7', heldBy: null }], unavailable: [] });
  expect(silent).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--reason') });
});

test('a machine that nobody knows, a missing reason and a site that is away are said as such', async () => {
  const unknown = await call('POST', '/machines/rack-8/release', { body: { reason } });
  expect(unknown).toMatchObject({ status: 404, body: { near: ['rack-7'] } });
  expect((await release({ reason: ' ' })).status).toBe(400);
  expect(await release({ reason, siteId: 'elsewhere' })).toMatchObject({ status: 400 });
  await stack.stopWorkers();
  try {
    expect((await call('GET', '/machines')).body).toMatchObject({ items: [], unavailable: [{ siteId }] });
    expect(await release({ reason })).toMatchObject({ status: 503, body: { type: 'urn:muster:problem:no-worker' } });
  } finally {
    await stack.startWorkers();
  }
});

test('says that a person will be asked to switch a physical machine on, and after a rehearsal off', async () => {
  const machine = { hardware: 'physical-ahci', cpuCount: 8, memoryBytes: 8 * 1024 ** 3 };
  const machines = [
    { ...machine, name: 'rack-7', powerByPerson: 'Ask the night shift of hall 2.' },
    { ...machine, name: 'rack-8' },
  ];
  const nics = [{ ...storyServer.nics[0]!, network: 'lan' }];
  for (const name of ['db07', 'db08']) {
    await stack.store.servers.save({ ...storyServer, id: `id-${name}`, name, nics, recoverySiteId: siteId });
  }
  const networks = [
    { name: 'dr-lan', isolated: false },
    { name: 'lab', isolated: true },
  ];
  const viewSite = () => Promise.resolve({ networks, hardware: ['physical-ahci'], programs: [] });
  const temporal = { ...stack.deps.temporal, viewSite };
  const config = { ...stack.deps.config, physicalMachines: { [siteId]: machines } };
  const ask = caller({ ...stack, deps: { ...stack.deps, config, temporal } });
  const body = `format: 1
name: racks
title: Racks
networks: { recovery: { lan: dr-lan }, rehearsal: { lan: lab } }
defaults: { hardware: physical-ahci }
access: { decide: { people: [admin] }, fourEyes: [power-on] }
waves:
  - name: all
    servers: [{ name: db07, machineName: rack-7 }, { name: db08, machineName: rack-8 }]
`;
  const asked = async (mode: string) => {
    const { body: answer } = await ask('POST', '/runbooks/plan', { body: { text: body, mode } });
    expect([answer.ok, answer.problems]).toEqual([true, []]);
    return answer.plan.asks.map(({ kind, of, question, approvals, who }: Record<string, unknown>) => {
      expect(who).toEqual({ roles: [], people: ['admin'] });
      return [kind, of, question, approvals];
    });
  };
  const on = 'Switch rack-7 on: Ask the night shift of hall 2. Then approve';
  expect(await asked('recovery')).toEqual([
    ['power-on', 'db07', on, 2],
    ['power-on', 'db08', 'May db08 be powered on?', 2],
    ['commit', null, expect.any(String), 1],
  ]);
  expect(await asked('rehearsal')).toEqual([
    ['power-on', 'db07', on, 2],
    ['power-off', 'db07', 'Switch rack-7 off: Ask the night shift of hall 2. Then retry', 1],
  ]);
});
