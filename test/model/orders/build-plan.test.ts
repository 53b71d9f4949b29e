/** A plan's order is complete: what the runbook, the inventory and the asker say has become each server's own order. */
import { buildPlan, plansWithin, type PlanContext, type PlanInventory } from '../../../model/orders/build-plan';
import { isolatedNetworkName } from '../../../model/orders/isolated-networks';
import { planHeader, serverCountOf, serverCountOfHeader, withoutServersOfParts } from '../../../model/plan';
import type { PlanOrder } from '../../../model/plan';
import { runbookOf } from '../../../model/schema/normalise';
import { readRunbook } from '../../../model/schema/read-runbook';
import type { ServerSpec } from '../../../model/server';
import { ines, storyServer } from '../../support/order';
import { shop } from '../runbook/inventory';

const planId = '0195923c-70b4-7c31-9a55-3f2e8d10c7aa';

function context(changes: Partial<PlanContext> = {}): PlanContext {
  let next = 0;
  return {
    tenantId: 'main',
    coreId: 'main',
    mode: 'recovery',
    intent: 'disaster',
    points: {},
    lostAt: null,
    requestedAt: '2026-03-14T02:11:07.120Z',
    requestedBy: ines,
    reason: 'Site A lost power',
    runId: planId,
    newRunId: () => `0195923c-70b4-7c31-9a55-${String(++next).padStart(12, '0')}`,
    ...changes,
  };
}

const server = (name: string, networks: string[] = ['lan']): [string, ServerSpec] => [
  name,
  {
    ...storyServer,
    id: `id-of-${name}`,
    name,
    recoverySiteId: 'dr',
    nics: networks.map((network, index) => ({
      index,
      macAddress: `52:54:00:00:00:0${index}`,
      model: 'e1000',
      network,
    })),
  },
];

const ready = (text: string) => {
  const { file, problems } = readRunbook(text);
  expect(problems).toEqual([]);
  return { runbook: runbookOf(file!), version: 3, sha256: 'a'.repeat(64) };
};

const directory = `format: 1
name: directory
title: Directory
networks: { recovery: { lan: dr-lan } }
defaults: { hardware: kvm-virtio }
waves: [{ name: all, servers: [{ name: ldap01 }] }]
`;

function inventory(changes: Partial<PlanInventory> = {}): PlanInventory {
  return {
    servers: new Map([
      server('db01'),
      server('db02'),
      server('app01'),
      server('web01', ['lan', 'dmz']),
      server('ldap01'),
    ]),
    runbooks: new Map([['directory', ready(directory)]]),
    physicalMachines: {},
    ...changes,
  };
}

function built(text: string, changes: Partial<PlanContext> = {}, known = inventory()): PlanOrder {
  const result = buildPlan(ready(text), known, context(changes));
  if ('problems' in result) throw new Error(JSON.stringify(result.problems));
  return result.ok;
}

function problems(text: string, changes: Partial<PlanContext> = {}, known = inventory()): string[] {
  const result = buildPlan(ready(text), known, context(changes));
  return 'ok' in result
    ? []
    : result.problems.map((one) => `${one.server}: ${one.found}; ${one.needed}; ${one.remedy}`);
}

const of = (order: PlanOrder, name: string) => order.servers.find((one) => one.name === name)!.order;

test('every server has a complete order of its own, and an id of its own', () => {
  const order = built(shop);
  expect(order).toMatchObject({ runId: planId, runbook: { name: 'shop', version: 3 }, mode: 'recovery' });
  expect(order.servers.map(({ name, wave }) => `${wave}/${name}`)).toEqual([
    ...['data/db01', 'data/db02', 'application/app01', 'web/web01'],
  ]);
  expect(of(order, 'app01')).toMatchObject({
    procedure: 'push-button-recovery',
    server: { id: 'id-of-app01' },
    target: { siteId: 'dr', machineName: 'app01-dr', hardware: { id: 'kvm-virtio' }, networks: { lan: 'dr-lan' } },
    option: 'backup-and-recover',
    sourceDeadlineMs: 20_000,
    reason: 'Site A lost power',
    requestedBy: ines,
    bootsAtOnce: 1,
    addresses: [{ nic: 0, address: { recovery: { ip: '10.8.0.21/24' } } }],
    access: { decide: { roles: ['operator', 'coordinator', 'admin'] }, fourEyes: [] },
  });
  const ids = plansWithin(order).flatMap((plan) => [plan.runId, ...plan.servers.map((one) => one.order.runId)]);
  expect(new Set(ids).size).toBe(7);
  expect(planHeader(order).parts).toMatchObject([
    { name: 'directory', after: [], runId: order.parts[0]!.order.runId, sha256: 'a'.repeat(64), serverCount: 1 },
  ]);
});

test("a plan's record counts its servers as its order does, also one of an earlier version", () => {
  const order = built(shop);
  const header = planHeader(order);
  expect([serverCountOf(order), serverCountOfHeader(header)]).toEqual([5, 5]);
  expect(serverCountOfHeader(withoutServersOfParts(header))).toBe(5);
});

test('only an optional server gives up in a recovery; in a rehearsal each does', () => {
  const givesUp = (order: PlanOrder) => order.servers.map((one) => one.order.giveUpAfterMs);
  expect(givesUp(built(shop))).toEqual([undefined, 1_200_000, undefined, undefined]);
  const rehearsal = built(`${shop}rehearsal: { giveUpAfter: 30m }\n`, { mode: 'rehearsal' });
  expect(givesUp(rehearsal)).toEqual([1_800_000, 1_200_000, 1_800_000, 1_800_000]);
  // The plan itself, too; and what it includes, whose own runbook says four hours, waits no longer than the whole.
  expect([built(shop).giveUpAfterMs, rehearsal.giveUpAfterMs]).toEqual([undefined, 1_800_000]);
  const [{ order: included }] = rehearsal.parts as [PlanOrder['parts'][number]];
  expect([included.giveUpAfterMs, givesUp(included)]).toEqual([1_800_000, [1_800_000]]);
});

test('what a runbook says of probes and objectives stands with the server', () => {
  const text = shop.replace(
    'machineName: app01-dr',
    'machineName: app01-dr\n        objectives: { rpo: 5s, rto: 2m }\n        verify: [{ name: http, command: [/bin/ask] }]',
  );
  const { server: spec } = of(built(text), 'app01');
  expect(spec.objectives).toEqual({ rpoMs: 5_000, rtoMs: 120_000 });
  expect(spec.probes.map(({ name }) => name)).toEqual(['ledger', 'http']);
});

test('what counts as a boot is the server’s own word, then the defaults’, then the installation’s', () => {
  const text = shop
    .replace('defaults: {', 'defaults: { proof: { within: 20m, stableFor: 1m },')
    .replace('machineName: app01-dr', 'machineName: app01-dr\n        proof: { stableFor: 3m }');
  const proof = { heartbeatTimeoutMs: 7_000, stableForMs: 100, screenshot: false };
  const proofs = (order: PlanOrder) => [of(order, 'app01').proof, of(order, 'db01').proof];
  expect(proofs(built(text, { proof }))).toEqual([
    { heartbeatTimeoutMs: 1_200_000, stableForMs: 180_000, screenshot: false },
    { heartbeatTimeoutMs: 1_200_000, stableForMs: 60_000, screenshot: false },
  ]);
  expect(proofs(built(shop, { proof }))).toEqual([proof, proof]);
});

test('programs go to the servers at whose steps they run, and those of a wave stay with the plan', () => {
  const order = built(shop);
  expect(of(order, 'app01').scripts?.map(({ name }) => name)).toEqual(['warm']);
  expect(of(order, 'db01').scripts).toBeUndefined();
  expect(order.plan.scripts.map(({ name }) => name)).toContain('dns');
});

test('a point may be chosen for a server, and one for a stranger is refused', () => {
  const order = built(shop, { points: { db01: 'p-7' } });
  expect([of(order, 'db01').point, of(order, 'db02').point]).toEqual(['p-7', 'latest']);
  expect(problems(shop, { points: { mail01: 'p-7' } })).toEqual([
    expect.stringContaining('mail01: a recovery point for "mail01"; a server of this runbook'),
  ]);
});

describe('a rehearsal', () => {
  const destructive = shop.replace('hardware: kvm-virtio', 'hardware: kvm-virtio, option: destructive');

  test('leaves replica and source alone, whatever the runbook and the asker say', () => {
    const rehearsal = built(destructive, { mode: 'rehearsal', intent: 'planned' });
    expect(rehearsal.servers.map(({ order }) => order.option)).toEqual(Array(4).fill('backup-and-recover'));
    expect(new Set([rehearsal, ...rehearsal.servers.map(({ order }) => order)].map(({ intent }) => intent))).toEqual(
      new Set(['disaster']),
    );
    expect(of(built(destructive), 'db01').option).toBe('destructive');
  });

  test('has machine names of its own', () => {
    const name = of(built(shop, { mode: 'rehearsal' }), 'app01').target.machineName;
    expect(name).toMatch(/^app01-rehearsal-/);
  });

  test('shares the networks of the run, also with included runbooks, and owns what it makes', () => {
    const order = built(shop, { mode: 'rehearsal' });
    const lan = isolatedNetworkName('lan', planId);
    expect(of(order, 'web01').target.networks).toEqual({ lan, dmz: 'lab' });
    const isolation = { ownerRunId: planId, networks: [lan], siteId: 'dr' };
    expect(of(order, 'web01').isolation).toEqual(isolation);
    // Its runbook has no map for rehearsals: that means isolated, too.
    expect(of(order.parts[0]!.order, 'ldap01')).toMatchObject({ target: { networks: { lan } }, isolation });
    expect(of(built(shop), 'web01').isolation).toBeUndefined();
  });

  test('networks whose names differ only in what platforms do not take stay two', () => {
    const names = ['VM Network', 'VM-Network', 'vm'.repeat(60), 'vm'.repeat(61), '中'].map((one) =>
      isolatedNetworkName(one, planId),
    );
    expect(new Set(names).size).toBe(5);
    for (const name of names) expect(name).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);
  });
});

describe('refused is', () => {
  test('a server that was removed, by name, and everything else with it', () => {
    const known = inventory({ servers: new Map([server('db01'), server('web01')]), runbooks: new Map() });
    expect(problems(shop, {}, known)).toEqual([
      expect.stringMatching(/^db02: no server "db02"; a server of the inventory .*muster servers add/),
      expect.stringMatching(/^app01: no server "app01"/),
      expect.stringMatching(/^null: no runbook "directory"; an imported runbook/),
    ]);
  });

  test('a server in two runbooks of one plan', () => {
    const twice = ready(directory.replace('ldap01', 'db01'));
    expect(problems(shop, {}, inventory({ runbooks: new Map([['directory', twice]]) }))).toEqual([
      expect.stringMatching(/^db01: "db01" in runbook shop, too; each server once/),
    ]);
  });

  test('a circle of runbooks, and one deeper than anybody plans', () => {
    const including = (name: string, included: string) =>
      ready(`format: 1\nname: ${name}\ntitle: T\nwaves: []\nincludes: [{ runbook: ${included} }]\n`);
    const circle = new Map([['directory', including('directory', 'shop')]]);
    expect(problems(shop, {}, inventory({ runbooks: circle }))).toEqual([
      expect.stringContaining('a circle: shop includes directory includes shop'),
    ]);
    const chain = new Map(
      ['directory', 'b', 'c', 'd', 'e'].map((name, at, all) => [name, including(name, all[at + 1] ?? 'f')] as const),
    );
    expect(problems(shop, {}, inventory({ runbooks: chain }))).toEqual([
      expect.stringMatching(/"e" included at depth 5.*; at most 5 runbooks/),
    ]);
  });
});

describe('a failback', () => {
  const failback = `format: 1
name: shop-back
title: Back
direction: failback
networks: { recovery: { lan: lan } }
defaults: { hardware: kvm-virtio, site: berlin }
waves: [{ name: all, servers: [{ name: db01 }] }]
`;
  const back = (changes: Partial<ServerSpec>) =>
    inventory({ servers: new Map([['db01', { ...server('db01')[1], ...changes }]]) });

  test('stops its source first, also when nobody said so, and runs at the original site', () => {
    const known = back({ recoverySiteId: 'berlin', source: { siteId: 'dr', machineName: 'db01-recovered' } });
    const order = built(failback, {}, known);
    expect(order.intent).toBe('planned');
    expect(of(order, 'db01')).toMatchObject({
      intent: 'planned',
      sourceDeadlineMs: 300_000,
      target: { siteId: 'berlin' },
    });
  });

  test('is refused while the original site has no replica, and where it does not say which site that is', () => {
    expect(problems(failback, {}, back({}))).toEqual([
      expect.stringMatching(/"db01" protected from berlin to dr; a replica at berlin; Protect it in that direction/),
    ]);
    expect(problems(failback.replace(', site: berlin', ''), {}, back({}))).toEqual([
      expect.stringMatching(/no site for "db01"/),
    ]);
  });
});
