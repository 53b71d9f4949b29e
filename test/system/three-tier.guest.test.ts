/**
 * A shop of three real servers, rehearsed by the runbook of the examples, seen from outside: virsh, the guests' own words, files,
 * processes, the API. The worker is killed once in the middle; another one goes on.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ReadinessDocument } from '../../api/schemas/readiness';
import type { StartedPlan } from '../../api/schemas/plans';
import type { PlanView } from '../../model/plan-view/plan-view';
import type { ServerOfPlanView } from '../../model/plan-view/server-of-plan';
import { isClosedRun } from '../../model/steps';
import { shopRunbook } from '../../stack/demo/shop';
import { counterStatus, newMachineName, virsh, type CounterStatus } from '../replication/support/demo-machine';
import { agentAnswers } from './support/in-guest';
import { isolated, networksOf, removeNetworksOf, seeNetwork } from './support/networks';
import { descendantsOf, survivors } from './support/processes';
import { lastOrder, openShop, shopStatus, type Shop, type ShopName, type SourceSeen } from './support/shop';
import { eventually, manifests, machinesOf, openSystem, poolsIn, type System } from './support/system';

// Seven guests are booted by two cores that others use, too.
jest.setTimeout(2_400_000);

/** The example; three guests are not watched for half a minute each. */
const textOfShop = readFileSync(shopRunbook.file, 'utf8').replace('within: 10m', 'within: 20m, stableFor: 5s');
const asRehearsed = (): string => join(system.folder, 'shop.yaml');
const name = newMachineName();
const long = 1_200_000;
/** Every question to a guest is a program that takes processor time from it. */
const seldom = 2_000;
let system: System;
let shop: Shop;
let runId: string;
let untouched: SourceSeen[];
let orders: CounterStatus;

beforeAll(async () => {
  system = await openSystem(name);
  [shop] = await Promise.all([openShop(system.folder, name), system.up()]);
  await Promise.all(shop.names.map(protect));
  await says(shop.machine('shop-web'));
  await eventually('each has a point', long, () => shop.names.every((server) => points(server) > 0) || undefined);
});

afterAll(async () => {
  await system?.close();
  await removeNetworksOf(name);
  await shop?.close();
});

const ids = new Map<ShopName, string>();

async function protect(server: ShopName): Promise<void> {
  const answers = async () => (await agentAnswers(shop.machine(server))) || undefined;
  await eventually(`${server} answers`, long, answers, seldom);
  ids.set(server, (await system.json<{ id: string }>(...shop.add(server))).id);
  await system.muster(['protect', server]);
}

/** On a busy host a tier may ask the one beneath it in vain now and then. */
const says = (machine: string) => eventually(`${machine} sells`, long, () => shopStatus(machine), seldom);

const place = (server: ShopName) => system.replica(ids.get(server)!);
const points = (server: ShopName) => (existsSync(place(server).points) ? manifests(place(server)).length : 0);
const plan = () => system.view(runId) as unknown as Promise<PlanView>;

/** Fails when something of the run waits for people who were not expected, or when it is over. */
async function until<T>(what: string, ask: (view: PlanView) => T | undefined): Promise<T> {
  return eventually(what, long, async () => {
    const view = await plan();
    const found = ask(view);
    const stuck = view.waves.flatMap(({ servers }) => servers).filter(({ stage }) => stage === 'stuck');
    if (found === undefined && (isClosedRun(view.state) || stuck.length > 0)) {
      const details = await Promise.all(stuck.map(async (one) => (await system.view(one.runId!)).parkings));
      throw new Error(`The run is ${view.state}: ${JSON.stringify([view.parkings, details])}`);
    }
    return found;
  });
}

const serverIn = (view: PlanView, server: ShopName): ServerOfPlanView =>
  view.waves.flatMap(({ servers }) => servers).find((one) => one.name === server)!;

const filesIn = (folder: string) =>
  existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];

/** Whatever a run could leave at the site, beside what replication itself keeps there. */
const leavings = async () => ({
  machines: await machinesOf(name),
  networks: await networksOf(name),
  pools: await poolsIn(system.folder),
  overlays: shop.names.flatMap((server) => filesIn(place(server).runs)),
});

/** In the middle of an effect: what it has started must end with it. */
async function killWorker(): Promise<void> {
  const worker = system.workerPid();
  const children = descendantsOf(worker);
  process.kill(worker, 'SIGKILL');
  expect(await survivors(children, 30_000)).toEqual([]);
  await eventually('there is another worker', long, () => (system.workerPid() === worker ? undefined : true));
}

test('three guests are rehearsed by the runbook while the shop sells, although the worker is killed once', async () => {
  const before = await leavings();
  untouched = await shop.seen();
  orders = await counterStatus(shop.machine('shop-db'));
  writeFileSync(asRehearsed(), textOfShop);
  await system.muster(['runbook', 'import', asRehearsed()]);
  const started = await system.json<StartedPlan>(
    ...['run', shopRunbook.name, '--mode', 'rehearsal', '--reason', 'quarterly rehearsal'],
  );
  runId = started.runId;
  const sha256 = createHash('sha256').update(textOfShop).digest('hex');
  expect(started.runbook).toEqual({ name: shopRunbook.name, version: 1, sha256 });

  const at = await until('the first is proven and the second is inoculated', (view) =>
    serverIn(view, 'shop-app').step === 'inoculate' ? view : undefined,
  );
  expect(shop.names.map((server) => serverIn(at, server).stage)).toEqual(['proven', 'running', 'pending']);
  await killWorker();

  const asked = await until('people are asked to try it', ({ parkings }) => parkings.find((one) => one.until === null));
  expect(asked).toMatchObject({ step: 'try-out', kind: 'gate' });
  await expectRehearsedShop();

  // Whoever asked for it does not count.
  const { token } = await system.json<{ token: string }>('token', 'issue', 'Bea', '--role', 'coordinator');
  await system.as(token).muster(['approve', runId, '--step', 'try-out', '--reason', 'the shop sells']);
  const closed = await until('it is over', (view) => (view.closedAt === null ? undefined : view));
  expect(closed.state).toBe('succeeded');
  expect(shop.names.map((server) => serverIn(closed, server).stage)).toEqual(Array(3).fill('succeeded'));
  const { steps } = await system.view(serverIn(closed, 'shop-app').runId!);
  const tries = steps.find(({ id }) => id === 'inoculate')!.attempts.map(({ outcome }) => outcome);
  expect([tries[0], tries.at(-1)]).toEqual(['failed', 'succeeded']);

  expect(await leavings()).toEqual(before);
  expect(await shop.seen()).toEqual(untouched);
  const now = await counterStatus(shop.machine('shop-db'));
  expect(now).toMatchObject({ recovered: orders.recovered, recoveredAt: orders.recoveredAt, chain: 'ok' });
  expect(now.current).toBeGreaterThan(orders.current);
});

/** The three that were recovered see each other, in a network of their own, and not the real ones, which have the same addresses. */
async function expectRehearsedShop(): Promise<void> {
  const view = await plan();
  const machines = shop.names.map((server) => serverIn(view, server).machineName!);
  expect(await machinesOf(name)).toEqual([...machines].sort());
  const [db, app, web] = await Promise.all(machines.map(says));
  expect(db).toMatch(/"host":"shop-db".*"chain":"ok"/);
  expect(app).toMatch(/"host":"shop-app".*"chain":"ok","by":"shop-db"/);
  const rehearsed = lastOrder(web!);
  const counter = await counterStatus(machines[0]!);
  expect(counter).toMatchObject({ chain: 'ok' });
  // Their orders began with what the recovery point had, and are fewer than those of the shop that went on selling.
  expect(counter.recovered).toBeGreaterThan(0);
  expect(rehearsed).toBeGreaterThan(counter.recovered);
  expect(lastOrder(await says(shop.machine('shop-web')))).toBeGreaterThan(rehearsed);

  const [network, ...others] = await networksOf(name);
  expect(others).toEqual([]);
  const seen = await seeNetwork(network!, machines);
  expect(seen.cards).toHaveLength(3);
  expect(seen).toEqual(isolated(network!, seen));
  expect(await shop.seen()).toEqual(untouched);
  expect(await virsh('domstate', shop.machine('shop-db'))).toBe('running');
}

test('then the runbook is verified with this text and these servers, and with another text needs rehearsal', async () => {
  const readiness = async () => (await system.get<ReadinessDocument>(`/readiness?of=${shopRunbook.name}`)).runbooks;
  expect(await readiness()).toEqual([
    {
      name: shopRunbook.name,
      version: 1,
      verification: {
        state: 'verified',
        because: [],
        rehearsal: { runId, version: 1, at: expect.any(String) as string },
        until: expect.any(String) as string,
      },
    },
  ]);
  const edited = join(system.folder, 'three-tier.yaml');
  writeFileSync(edited, textOfShop.replace('giveUpAfter: 30m', 'giveUpAfter: 45m'));
  await system.muster(['runbook', 'import', edited]);
  expect(await readiness()).toMatchObject([
    {
      version: 2,
      verification: {
        state: 'needs-rehearsal',
        because: ['text changed since version 1: keys servers.shop-web.failure.giveUpAfterMs'],
        rehearsal: { runId, version: 1 },
      },
    },
  ]);
});
