/** What becomes a risk, how bad it is, and that its id stays while it lasts. */
import { certificateRisks, collisionRisks, planRisks, rehearsalRisks } from '../../../model/readiness/plan-risks';
import { lagRisksOfRunbooks, replicationRisks } from '../../../model/readiness/replication-risks';
import { isUnseen, unseenOf } from '../../../model/readiness/unseen';
import { byUrgency, worstOfEach, type RiskFound } from '../../../model/readiness/risks';
import { siteRisks, type AskedOrder } from '../../../model/readiness/site-risks';
import type { Verification } from '../../../model/readiness/verified';
import type { ReadinessAnswer } from '../../../model/readiness/site-readiness';
import type { ReplicaView } from '../../../model/replica';
import type { OperatingSystem } from '../../../model/server';
import { behindBecause, scheduleSpec } from '../../../model/scheduled-rehearsal';
import { makeOrder, storyServer } from '../../support/order';

const server = { ...storyServer, objectives: { rpoMs: 60_000, rtoMs: 1 } };
const point = { pointId: 'p', takenAt: '', consistency: 'crash' as const, storedBytes: 1 };
const view = (changes: Partial<ReplicaView> = {}): ReplicaView => ({
  ...{ serverId: server.id, serverName: server.name, state: 'replicating', heldBy: null, points: [point] },
  ...{ lagMs: 1_000, storedBytes: 1, lastError: null },
  ...changes,
});
const said = (changes: Partial<ReplicaView>) =>
  replicationRisks(server, view(changes), true).map(({ id, severity }) => `${severity} ${id.split('/').at(-1)}`);

test('a replica is at risk by its lag against the objective, its state and its errors', () => {
  expect(said({})).toEqual([]);
  expect(said({ lagMs: 60_000 })).toEqual([]);
  expect(said({ lagMs: 60_001 })).toEqual(['warning lag']);
  expect(said({ lagMs: 120_001 })).toEqual(['critical lag']);
  expect(said({ points: [], lagMs: null, lastError: 'disk full' })).toEqual(['critical error', 'critical lag']);
  expect(said({ state: 'paused' })).toEqual(['warning state']);
  expect(said({ state: 'suspended' })).toEqual(['warning state']);
  expect(said({ state: 'frozen', heldBy: 'run-1' })).toEqual(['info state']);
  expect(replicationRisks(server, undefined, true)[0]).toMatchObject({ severity: 'critical', found: 'no replica' });
  expect(replicationRisks(server, undefined, false)[0]).toMatchObject({ severity: 'warning' });
});

const order = makeOrder({ server, runId: 'r-1' });
const asked: AskedOrder = { runbook: 'shop', order, rehearsal: {} };

test('a lag that breaks what a runbook itself promises is a risk of that runbook, where nothing below promises as much', () => {
  const book = (rpoMs: number | null, tier1: number | null, ...includes: string[]) => ({
    objectives: { rpoMs, rtoMs: null, tiers: { [server.tier]: { rpoMs: tier1, rtoMs: null } } },
    includes,
  });
  const lags = (books: Record<string, ReturnType<typeof book>>, lagMs: number | null, ownMs = 60_000) => {
    const here = { ...asked, order: { ...order, server: { ...server, objectives: { rpoMs: ownMs, rtoMs: 1 } } } };
    const replica = view(lagMs === null ? { points: [], lagMs } : { lagMs });
    const of = <K extends 'objectives' | 'includes'>(what: K) =>
      new Map(Object.entries(books).map(([name, one]) => [name, one[what]]));
    return lagRisksOfRunbooks([here], [server], new Map([[server.id, replica]]), of('objectives'), of('includes'));
  };
  const brief = (...given: Parameters<typeof lags>) =>
    lags(...given).map(({ id, severity, needed }) => `${severity} ${id}: ${needed}`);
  const id = 'replication/runbook/shop/lag of app01';
  expect(brief({ shop: book(null, null) }, 61_000)).toEqual([]);
  expect(brief({ shop: book(20_000, 30_000) }, 20_000)).toEqual([]);
  expect(brief({ shop: book(20_000, 30_000) }, 20_001)).toEqual([`warning ${id}: at most 20.0 s (its RPO)`]);
  expect(brief({ shop: book(null, 30_000) }, 60_001)).toEqual([
    `critical ${id}: at most 30.0 s (its RPO of tier ${server.tier})`,
  ]);
  expect(brief({ shop: book(20_000, 30_000) }, 15_000, 10_000)).toEqual([
    `warning ${id}: at most 10.0 s (its RPO of app01)`,
  ]);
  // The server's own objective says it; and that there is no point at all.
  expect(brief({ shop: book(60_000, 90_000) }, 600_000)).toEqual([]);
  expect(brief({ shop: book(20_000, null) }, null)).toEqual([]);
  const within = (outer: number) => ({
    ...{ shop: book(20_000, null), all: book(outer, null, 'shop'), none: book(1, null) },
    ...{ other: book(null, null, 'all') },
  });
  expect(lags(within(30_000), 25_000).map((one) => one.id)).toEqual([id]);
  expect(lags(within(10_000), 15_000).map((one) => one.id)).toEqual(['replication/runbook/all/lag of app01']);
  expect(lags(within(10_000), 25_000).map((one) => one.id)).toEqual([id, 'replication/runbook/all/lag of app01']);
});

test('while no plan can be made of a runbook, what was known of its lags stays', () => {
  const runbooks = new Map([
    ['shop', { servers: ['app01'], includes: [] }],
    ['mail', { servers: [], includes: [] }],
  ]);
  const unseen = unseenOf({ servers: [], asked: [], answers: [], unplanned: new Map([['shop', ['app01']]]), runbooks });
  const stays = (name: string, kind: 'runbook' | 'server') =>
    isUnseen(unseen, { ...lagging!, subject: { kind, name } });
  const [lagging] = replicationRisks(server, view({ lagMs: 61_000 }), true);
  expect([stays('shop', 'runbook'), stays('mail', 'runbook'), stays('app01', 'server')]).toEqual([true, false, false]);
});

const answer = (changes: Partial<ReadinessAnswer> = {}): ReadinessAnswer => ({
  ...{ freeBytes: 1e12, memoryFreeBytes: 1e12, networks: [], host: [], orders: [], secrets: [], sources: [] },
  ...changes,
});
const ofSite = (changes: Partial<ReadinessAnswer>, orders = [asked]) =>
  siteRisks('frankfurt', [server], orders, answer(changes), new Map([['all', ['shop', 'mail']]]));

test('each server may fit and all of a runbook not: room and memory are summed up', () => {
  const other = { ...asked, order: { ...order, runId: 'r-2', server: { ...server, id: 'other', name: 'db01' } } };
  const orders = ['r-1', 'r-2'].map((runId) => ({ runId, failed: [], neededBytes: 6e9 }));
  const found = ofSite({ freeBytes: 10e9, memoryFreeBytes: 3 * 1024 ** 3, orders }, [asked, other]);
  const short = (name: string) => [`space/runbook/${name}/frankfurt`, `memory/runbook/${name}/frankfurt`];
  expect(found.map(({ id }) => id)).toEqual([...short('shop'), ...short('all')]);
  const apart = ofSite({ freeBytes: 10e9, memoryFreeBytes: 3 * 1024 ** 3, orders }, [
    asked,
    { ...other, runbook: 'mail' },
  ]);
  expect(apart.map(({ id }) => id)).toEqual(short('all'));
  expect(ofSite({ freeBytes: 10e9, memoryFreeBytes: 3 * 1024 ** 3, orders })).toEqual([]);
});

test('what preflight would stop at is critical, its warnings are warnings, and what is said elsewhere is not said twice', () => {
  const failed = [
    { name: 'network for prod', severity: 'problem', found: 'dr-prod', needed: 'lan' },
    { name: 'clocks', severity: 'warning', found: 'apart', needed: 'together' },
    { name: 'replica', severity: 'problem', found: 'none', needed: 'one' },
    { name: 'something new', severity: 'problem', found: 'x', needed: 'y' },
  ] as const;
  const found = ofSite({ orders: [{ runId: 'r-1', failed, neededBytes: 0 }] });
  expect(found.map(({ kind, severity }) => [kind, severity])).toEqual([
    ['network', 'critical'],
    ['host', 'warning'],
    ['target', 'critical'],
  ]);
});

test('a changed source keeps its id while the values change; what could not be seen is only worth knowing', () => {
  const resized = (sizeBytes: number) => ({ ...server, disks: [{ ...server.disks[0]!, sizeBytes }, server.disks[1]!] });
  const seen = (sizeBytes: number) =>
    ofSite({ sources: [{ serverId: server.id, now: resized(sizeBytes), because: null }] });
  expect(seen(5e9)).toHaveLength(1);
  expect(seen(5e9)[0]!.id).toBe(seen(7e9)[0]!.id);
  expect(seen(5e9)[0]!.severity).toBe('critical');
  expect(ofSite({ sources: [{ serverId: server.id, now: null, because: 'away' }] })[0]).toMatchObject({
    severity: 'info',
  });
});

test('a source whose agent does not answer has not changed its system, and no more is known of a change that was', () => {
  const now = (os: OperatingSystem, its = server) =>
    siteRisks(
      'frankfurt',
      [its],
      [],
      answer({ sources: [{ serverId: its.id, now: { ...its, os }, because: null }] }),
      new Map(),
    );
  const brief = (found: RiskFound[]) => found.map(({ id, severity }) => `${severity} ${id}`);
  const debian: OperatingSystem = { family: 'linux', distribution: 'debian', version: '12' };
  const known = { ...server, os: debian };
  const [changed] = now({ ...debian, version: '13' }, known);
  expect(changed).toMatchObject({ severity: 'warning', found: expect.stringContaining('is debian 13, was debian 12') });
  expect(brief(now({ family: 'unknown' }, known))).toEqual(['info changed-source/server/app01/agent']);
  expect(brief(now(debian, { ...server, os: { family: 'unknown' } }))).toEqual([]);
  const silent = answer({
    sources: [{ serverId: server.id, now: { ...server, os: { family: 'unknown' } }, because: null }],
  });
  const unseen = unseenOf({
    servers: [server],
    asked: [],
    answers: [silent],
    unplanned: new Map(),
    runbooks: new Map(),
  });
  expect(isUnseen(unseen, changed!)).toBe(true);
  expect(isUnseen(unseen, { ...changed!, found: 'disk0 of app01 is new (5.0 GB)' })).toBe(false);
  // As earlier versions called a silent agent.
  const silence = 'operating system of app01 is unknown, was debian 12';
  expect(isUnseen(unseen, { ...changed!, found: silence })).toBe(false);
});

test('servers of different runbooks that want one name or one address collide, and one server in two runbooks does not', () => {
  const twin = { ...order, server: { ...server, id: 'twin', name: 'twin' } };
  const found = collisionRisks([asked, { ...asked, runbook: 'other', order: twin }]);
  expect(found.map(({ found: words }) => words)).toEqual([
    'app01 and twin want name app01-recovered at site frankfurt (runbooks other, shop)',
    'app01 and twin want hardware address 52:54:00:6b:3c:58 (runbooks other, shop)',
  ]);
  expect(collisionRisks([asked, { ...asked, runbook: 'other' }])).toEqual([]);
});

test('a rehearsal is due before its verification ends, and certificates are a risk before they end', () => {
  const day = 86_400_000;
  const until = new Date(20 * day).toISOString();
  const verified = { state: 'verified', because: [], rehearsal: null, until } as const;
  const of = (verification: Verification, nowMs: number) =>
    rehearsalRisks('shop', verification, 14 * day, nowMs).map(({ id, severity }) => `${severity} ${id}`);
  expect(of(verified, 5 * day)).toEqual([]);
  expect(of(verified, 6 * day)).toEqual(['info rehearsal/runbook/shop/needed']);
  // Once it has ended that is the same, and worse.
  const ended = { ...verified, state: 'needs-rehearsal', because: ['it was rehearsed long ago'] } as const;
  expect(of(ended, 21 * day)).toEqual(['warning rehearsal/runbook/shop/needed']);
  const ends = (days: number) =>
    certificateRisks(
      [{ of: 'mail', at: 'a:1', endsAt: new Date(days * day).toISOString(), because: null }],
      30 * day,
      0,
    );
  expect([31, 30, 6, -1].map((days) => ends(days)[0]?.severity)).toEqual([
    undefined,
    'warning',
    'critical',
    'critical',
  ]);
  expect(planRisks('failback', [{ runbook: 'r', server: 's', found: '', needed: '', remedy: '' }])[0]!.severity).toBe(
    'info',
  );
});

test('one risk that several runbooks find is one, the worst of them, and the worst come first', () => {
  const [warning] = replicationRisks(server, view({ lagMs: 61_000 }), true);
  const [critical] = replicationRisks(server, view({ lagMs: 600_000 }), true);
  expect(worstOfEach([warning!, critical!, warning!])).toEqual([critical]);
  expect([{ ...warning!, id: 'a' }, critical!].sort(byUrgency)[0]).toBe(critical);
});

test('a scheduled rehearsal waits for nothing: servers that are behind are named, a few of them', () => {
  const servers = Array.from({ length: 8 }, (_, index) => ({
    ...{ serverId: `s-${index}`, name: `app0${index}`, siteId: 'dr', rpoMs: 60_000 },
  }));
  const views = servers.map(({ serverId }) => view({ serverId, lagMs: 60_000 }));
  expect(behindBecause(servers, views)).toBeNull();
  expect(behindBecause(servers, views.slice(2))).toBe('app00 has no complete point; app01 has no complete point');
  expect(behindBecause(servers, [])).toMatch(/app04 has no complete point; and 3 more$/);
});

test('excepted days are skipped as whole days of the schedule’s own zone', () => {
  const schedule = { cron: '0 3 * * 6', timezone: 'Europe/Berlin', except: ['2027-12-25'], catchUpMs: 1 };
  expect(scheduleSpec(schedule)).toEqual({
    cronExpressions: ['0 3 * * 6'],
    timezone: 'Europe/Berlin',
    skip: [{ year: 2027, month: 'DECEMBER', dayOfMonth: 25, hour: '*', minute: '*', second: '*' }],
  });
});
