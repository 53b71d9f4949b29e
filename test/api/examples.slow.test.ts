/**
 * The runbooks of runbooks/, run: the evacuation of a site starts all of them that are no failback, with names of this installation
 * put in as a reader of them would. (failback.slow.test.ts runs the failback, three-tier.guest.test.ts real servers.)
 */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readEffects, type SiteEffect } from '../../platforms/simulated/effects';
import { openSimulatedSite } from '../../platforms/simulated/open';
import { seedMachine } from '../../platforms/simulated/seed';
import { changeSettings } from '../../platforms/simulated/site';
import { addMachine, openTestSite, type TestSite } from '../platforms/physical/machine';
import {
  caller,
  eventually,
  openTestStack,
  planProof,
  recoveryTools,
  siteId,
  type Call,
  type Reply,
  type TestStack,
} from './stack';

let iron: TestSite;
let stack: TestStack;
let call: Call;
let tools: ReturnType<typeof recoveryTools>;

const tiers = [['machines-large', 'three-tier'], ['machines-medium'], ['machines-small', 'single-server']] as const;
const parts = tiers.flat();
const shop = ['shop-db', 'shop-app', 'shop-web'];
const others = ['app01', 'dns01', 'dns02', 'jump01', 'files01', 'mail01', 'dwh01', 'reports01'];
const racks = { 'rack-7': 'physical-nvme', 'rack-8': 'physical-ahci' };
const consoleOf = (name: string): string => join(iron.folder, `${name}.log`);
/** Sources and recovered machines share this one site. */
const textOf = (name: string): string =>
  readFileSync(join(__dirname, '../../runbooks', `${name}.yaml`), 'utf8')
    .replace('evacuates: production', `evacuates: ${siteId}`)
    .replace(/(sites|boots): \{ recovery:/g, `$1: { ${siteId}:`);

/** Physical machines take their time to say a first word. */
const slowProof = { ...planProof, heartbeatTimeoutMs: 10_000 };

beforeAll(async () => {
  iron = await openTestSite();
  const machines = Object.entries(racks).map(([name, hardware]) => {
    writeFileSync(consoleOf(name), '');
    const power = { kind: 'person', instructions: `${name} in hall 2: press the button.` } as const;
    const nics = [{ index: 0, macAddress: `52:54:00:aa:bb:0${name.at(-1)}`, network: 'rack-lan', isolated: false }];
    return addMachine(iron, { name, hardware, power, nics, serialConsole: { kind: 'file', path: consoleOf(name) } });
  });
  stack = await openTestStack(
    { planProof: slowProof, physicalMachines: { [siteId]: machines } },
    { physical: iron.again() },
  );
  call = caller(stack);
  tools = recoveryTools(stack, call);
  const folder = join(stack.folder, 'site');
  await changeSettings(folder, {
    networks: [
      ...['lan', 'shop-lan', 'user', 'rack-lan'].map((name) => ({ name, isolated: false })),
      { name: 'rack-lab', isolated: true },
    ],
    guestPrints: {
      '/usr/local/bin/shop status': '{"chain":"ok","by":"shop-db"} Order 12 is in the books\n',
      '/usr/bin/nc -z localhost 25': '',
    },
  });
  await stack.startWorkers();
  for (const name of [...shop, ...others]) {
    await seedMachine(folder, { name, network: shop.includes(name) ? 'shop-lan' : 'lan' });
    const server = { name, recoverySiteId: siteId, source: { siteId, machineName: name } };
    const times = { objectives: { rpoMs: 60_000, rtoMs: 3_600_000 }, cadence: { pointEveryMs: 60_000 } };
    expect((await call('POST', '/servers', { body: { ...server, ...times } })).status).toBe(201);
    await call('POST', `/servers/${name}/protection`);
  }
  for (const name of [...shop, ...others]) await tools.firstPoint(name);
}, 120_000);
afterAll(async () => {
  await stack?.close();
  await iron?.close();
});

type Waiting = Pick<Reply['body'], 'runId' | 'serverName' | 'step' | 'item' | 'kind' | 'epoch' | 'half'>;

/** Answers everything that waits, by one person or two, until the run is closed; returns what was asked, once each. */
async function answerAll(runId: string): Promise<string[]> {
  const asked = new Set<string>();
  await eventually(async () => {
    const { body } = await call('GET', `/runs/${runId}`);
    if (body.view?.closedAt != null) return true;
    const { items } = (await call('GET', '/stuck')).body;
    for (const waiting of items as Waiting[]) {
      asked.add(`${waiting.serverName} ${waiting.step} ${waiting.kind}`);
      await answer(waiting);
    }
    return undefined;
  }, 150_000).catch(async (error: Error) => {
    const { items } = (await call('GET', '/runs?limit=50')).body;
    const open = items.filter((one: Reply['body']) => one.closedAt === null);
    const seen = open.map(
      (one: Reply['body']) => `${one.runbook ?? one.serverName} ${one.state} at ${one.currentStep}`,
    );
    throw new Error(`Open: ${seen.join(', ')}; asked: ${[...asked].join(', ')}`, { cause: error });
  });
  return [...asked].sort();
}

async function answer({ runId, serverName, step, item, kind, epoch, half }: Waiting): Promise<void> {
  if (kind === 'stuck') throw new Error(`${serverName} is stuck at ${step}`);
  const token = half === null ? stack.tokens.coordinator : stack.tokens.operator;
  const decision = step === 'commit' ? 'commit' : 'approve';
  await call('POST', `/runs/${runId}/decisions`, {
    body: { step, item, epoch, decision, reason: 'As the runbook asks' },
    token,
  });
  const rack = { dwh01: 'rack-7', reports01: 'rack-8' }[serverName as string];
  if (step === 'power-on' && half !== null && rack !== undefined)
    appendFileSync(consoleOf(rack), `\r\nDebian GNU/Linux 12 ${serverName} ttyS0\r\n\r\n${serverName} login: `);
}

/** When the first server of these runbooks was touched and the last one switched on, as places in the log of effects. */
async function timesOf(
  runbooks: readonly string[],
  ran: readonly Reply['body'][],
  effects: readonly SiteEffect[],
): Promise<{ begun: number; lastOn: number }> {
  const of = ran.filter(({ runbook }) => runbooks.includes(runbook as string));
  const servers = await Promise.all(of.map(({ runId }) => call('GET', `/runs?parent=${runId}`)));
  const runIds = servers.flatMap(({ body }) => body.items.map((one: Reply['body']) => one.runId as string));
  const isTheirs = ({ runId }: SiteEffect): boolean => runIds.includes(runId);
  return {
    begun: effects.findIndex(isTheirs),
    lastOn: effects.findLastIndex((one) => isTheirs(one) && one.what === 'platform.power-on'),
  };
}

test('all of them are imported and recover their servers in one evacuation, tier by tier, asking whom they name', async () => {
  for (const name of [...parts, 'site-evacuation']) {
    const imported = await tools.imported(textOf(name));
    expect([name, imported.warnings]).toEqual([name, []]);
  }
  const { platform } = openSimulatedSite({ folder: join(stack.folder, 'site'), id: siteId });
  for (const name of [...shop, ...others]) await platform.power({ name, owner: null }, 'off');
  const started = await tools.startRunbook('site-evacuation', { mode: 'recovery', intent: 'disaster' });
  expect(started).toMatchObject({ status: 201 });
  expect(await answerAll(started.body.runId)).toEqual([
    'dwh01 power-on gate',
    'reports01 power-on gate',
    'site-evacuation commit gate',
    'three-tier gate gate',
  ]);
  const { view } = await tools.closed(started.body.runId);
  expect(view.state).toBe('succeeded');
  const all = shop.length + others.length;
  expect(view).toMatchObject({ serverCount: all, done: all, counts: { succeeded: all } });
  const { body: report } = await call('GET', `/runs/${started.body.runId}/report?format=json`);
  expect(report).toMatchObject({
    ...{ exceptions: [], told: [], headline: { sentence: expect.stringContaining(`${all} of ${all} servers`) } },
    tiers: [{ tier: null, servers: all, rto: { verdict: 'met', targetMs: 4 * 3_600_000 } }, {}],
  });

  const ran = (await call('GET', `/runs?parent=${started.body.runId}`)).body.items;
  expect(ran.map((one: Reply['body']) => [one.runbook, one.state]).sort()).toEqual(
    [...parts].sort().map((name) => [name, 'succeeded']),
  );
  const effects = await readEffects(join(stack.folder, 'site'));
  const inTime = await Promise.all(tiers.map((names) => timesOf(names, ran, effects)));
  const moments = inTime.flatMap(({ begun, lastOn }) => [begun, lastOn]);
  expect(moments).not.toContain(-1);
  expect([...moments].sort((a, b) => a - b)).toEqual(moments);
  const created = effects.filter(({ what }) => what === 'platform.create').map(({ target }) => target);
  const virtual = [...shop, ...others].filter((name) => !['dwh01', 'reports01'].includes(name));
  expect(created.sort()).toEqual(virtual.map((name) => `${name}-recovered`).sort());
}, 180_000);
