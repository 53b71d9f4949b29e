/** A plan run through in thought: order, limits, boots, included runbooks, what is not known, and what makes it long. */
import { v7 as uuidv7 } from 'uuid';
import { expectations, timesOf } from '../../../model/estimate/expectations';
import { previewOf } from '../../../model/estimate/preview';
import { warningsOf } from '../../../model/estimate/reach';
import { inThought, simulate } from '../../../model/estimate/simulate';
import { endsOfPlan, timeLeftOfPlan, type ServerNow } from '../../../model/estimate/time-left';
import { timeLeftWords } from '../../../model/estimate/words';
import { expectedOf } from '../../../model/estimate/expected';
import { buildPlan, type PlanContext } from '../../../model/orders/build-plan';
import { checkLimitsWithin } from '../../../model/runbook/check-limits';
import { runbookOf } from '../../../model/schema/normalise';
import { readRunbook } from '../../../model/schema/read-runbook';
import type { PlanOrder } from '../../../model/plan';
import { ines, storyServer } from '../../support/order';
import { pastRun } from './past-runs';

const minute = 60_000;
const server = (name: string, tier: number) =>
  [
    name,
    {
      ...storyServer,
      id: `id-${name}`,
      name,
      tier,
      recoverySiteId: 'dr',
      objectives: { rpoMs: 1, rtoMs: 99 * minute },
    },
  ] as const;
const servers = new Map(['a', 'b', 'c', 'd'].map((name, index) => server(name, index + 1)));
const ready = (text: string) => {
  const { file, problems } = readRunbook(text);
  expect(problems).toEqual([]);
  return { runbook: runbookOf(file!), version: 3, sha256: '0'.repeat(64) };
};

function planOf(
  text: string,
  included: Record<string, string> = {},
  mode: PlanContext['mode'] = 'recovery',
): PlanOrder {
  const runbooks = new Map(Object.entries(included).map(([name, one]) => [name, ready(one)]));
  const built = buildPlan(
    ready(text),
    { servers, runbooks, physicalMachines: {} },
    {
      ...{ tenantId: 'main', coreId: 'main', mode, intent: 'disaster', points: {}, lostAt: null },
      ...{
        requestedAt: '2026-03-01T00:00:00.000Z',
        requestedBy: ines,
        reason: 'test',
        runId: uuidv7(),
        newRunId: uuidv7,
      },
    },
  );
  if ('problems' in built) throw new Error(JSON.stringify(built.problems));
  return built.ok;
}

const head = (name: string) =>
  `format: 1\nname: ${name}\ntitle: ${name}\ntier: 1\nnetworks: { recovery: { prod: lan } }\ndefaults: { hardware: kvm-virtio }\n`;
const waves = (...each: string[]) => `waves:\n${each.map((one) => `  - ${one}\n`).join('')}`;
/** a 10 minutes, b 5, c 2, d never; a minute of each boots. */
const past = [pastRun('id-a', 600), pastRun('id-b', 300), pastRun('id-c', 120)].map((run) => ({
  ...run,
  diskBytes: 1,
}));
/** `name: starts-ends` in minutes. */
const times = (order: PlanOrder) =>
  [
    ...simulate(order, ({ order: { server, option } }) =>
      timesOf(expectedOf({ serverId: server.id, siteId: 'dr', diskBytes: 1_000, option }, past)),
    ).servers.values(),
  ].map(
    ({ name, startsMs, endsMs, atLeast }) => `${name}: ${startsMs / minute}-${endsMs / minute}${atLeast ? '+' : ''}`,
  );

test('a server starts when what it depends on is done, not when the slowest stranger is', () => {
  const order = planOf(
    head('shop') +
      waves('{ name: one, servers: [{ name: a }, { name: b }] }', '{ name: two, servers: [{ name: c, after: [b] }] }'),
  );
  expect(times(order)).toEqual(['a: 0-10', 'b: 0-5', 'c: 5-7']);
  const inWaves = planOf(
    head('shop') +
      waves(
        '{ name: one, servers: [{ name: a }, { name: b }] }',
        '{ name: two, after: [one], servers: [{ name: c }] }',
      ),
  );
  expect(times(inWaves)).toEqual(['a: 0-10', 'b: 0-5', 'c: 10-12']);
});

test('limits and boots one after the other make servers wait, and the longest way says for what', () => {
  const all = waves('{ name: one, servers: [{ name: a }, { name: b }, { name: c }] }');
  const limited = planOf(`${head('shop')}limits: { atOnce: 2 }\n${all}`);
  expect(times(limited)).toEqual(['a: 0-10', 'b: 0-5', 'c: 5-7']);
  const short = planOf(`${head('shop')}limits: { atOnce: 1 }\n${all}`);
  expect(previewOf(short, past).limitedBy.map(({ name, because }) => [name, because])).toEqual([
    ['a', null],
    ['b', { kind: 'limit', name: 'a' }],
    ['c', { kind: 'limit', name: 'b' }],
  ]);
  // Both would boot after one minute: the second waits until the first is proven.
  const twins = [pastRun('id-b', 120), pastRun('id-c', 120)];
  const boots = planOf(
    `${head('shop')}limits: { boots: { dr: 1 } }\n${waves('{ name: one, servers: [{ name: b }, { name: c }] }')}`,
  );
  const preview = previewOf(boots, twins);
  expect(preview.endsMs).toBe(3 * minute);
  expect(preview.limitedBy.at(-1)).toMatchObject({ name: 'c', because: { kind: 'boot', name: 'b' } });
});

test('what never ran takes no time in thought, and everything behind it says that it may take longer', () => {
  const order = planOf(
    head('shop') +
      waves('{ name: one, servers: [{ name: d }, { name: b }] }', '{ name: two, servers: [{ name: c, after: [d] }] }'),
  );
  expect(times(order)).toEqual(['d: 0-0+', 'b: 0-5', 'c: 0-2+']);
  const preview = previewOf(order, past);
  expect(preview).toMatchObject({ atLeast: true, unknown: ['d'], sure: 'hardly' });
  expect(preview.runbooks[0]?.waves[0]?.servers[0]).toMatchObject({ name: 'd', expected: null });
});

test('an included runbook runs as a plan of its own, at its time, and its servers are shown', () => {
  const inner = head('inner') + waves('{ name: in, servers: [{ name: b }, { name: c, after: [b] }] }');
  const outer = `${head('outer')}includes: [{ runbook: inner, after: [first] }]\n${waves('{ name: first, servers: [{ name: a }] }')}`;
  const preview = previewOf(planOf(outer, { inner }), past);
  expect(preview.endsMs).toBe(17 * minute);
  expect(preview.runbooks.map(({ path, version, startsMs, endsMs }) => [path, version, startsMs, endsMs])).toEqual([
    [['outer'], 3, 0, 17 * minute],
    [['outer', 'inner'], 3, 10 * minute, 17 * minute],
  ]);
  expect(preview.runbooks[1]?.waves[0]?.servers.map(({ name }) => name)).toEqual(['b', 'c']);
  expect(preview.limitedBy.map(({ name, kind }) => [name, kind])).toEqual([
    ['a', 'server'],
    ['inner', 'runbook'],
  ]);
});

const including = (limits: string, ...names: string[]) =>
  `${head('outer')}limits: ${limits}\nincludes: [${names.map((name) => `{ runbook: ${name} }`).join(', ')}]\n`;

test('limits hold over what is included, in thought as in the run, together with those of what is included', () => {
  const left = head('left') + waves('{ name: in, servers: [{ name: b }, { name: c }] }');
  const right = `${head('right')}limits: { atOnce: 1 }\n${waves('{ name: in, servers: [{ name: a }, { name: d }] }')}`;
  const spans = (limits: string) =>
    previewOf(planOf(including(limits, 'left', 'right'), { left, right }), past).runbooks.flatMap(({ waves: all }) =>
      all.flatMap(({ servers: each }) =>
        each.map(({ name, startsMs, because }) => [name, startsMs / minute, because?.kind ?? null, because?.name]),
      ),
    );
  expect(spans('{}')).toEqual([
    ['b', 0, null, undefined],
    ['c', 0, null, undefined],
    ['a', 0, null, undefined],
    ['d', 10, 'limit', 'a'],
  ]);
  expect(spans('{ atOnce: 2 }')).toEqual([
    ['b', 0, null, undefined],
    ['c', 0, null, undefined],
    ['a', 2, 'limit', 'c'],
    ['d', 12, 'limit', 'a'],
  ]);
  expect(spans('{ sites: { dr: 1 } }').map(([name, starts]) => [name, starts])).toEqual([
    ['b', 0],
    ['c', 5],
    ['a', 7],
    ['d', 17],
  ]);
});

test('boots of a site one after the other hold over what is included: the fewest that a runbook above says', () => {
  const left = head('left') + waves('{ name: in, servers: [{ name: b }] }');
  const right = `${head('right')}limits: { boots: { dr: 3 } }\n${waves('{ name: in, servers: [{ name: c }] }')}`;
  const order = planOf(including('{ boots: { dr: 1 } }', 'left', 'right'), { left, right });
  expect(order.parts.map((part) => part.order.servers[0]!.order.bootsAtOnce)).toEqual([1, 1]);
  expect(previewOf(order, [pastRun('id-b', 120), pastRun('id-c', 120)]).endsMs).toBe(3 * minute);
});

test('a limit that no server of the whole tree counts against is an error where it stands', () => {
  const left = `${head('left').replace('hardware: kvm-virtio', 'hardware: kvm-virtio, datastore: fast')}${waves('{ name: in, servers: [{ name: b }] }')}`;
  const text = including('{ sites: { dr: 1 }, datastores: { fast: 1, fsat: 2 }, boots: { far: 1 } }', 'left');
  const found = checkLimitsWithin(readRunbook(text).file!, planOf(text, { left }));
  expect(found.map(({ severity, at, needed }) => [severity, at.join('.'), needed])).toEqual([
    ['error', 'limits.boots.far', 'a site of these servers: dr'],
    ['error', 'limits.datastores.fsat', 'a datastore of these servers: fast'],
  ]);
});

test('the whole and a tier are reached only with the servers of what is included', () => {
  const inner = head('inner') + waves('{ name: in, servers: [{ name: b }, { name: c, after: [b] }] }');
  const objectives = 'objectives: { rpo: 5m, rto: 60m, tiers: { 3: { rpo: 5m, rto: 12m } } }\n';
  const outer = `${head('outer')}${objectives}includes: [{ runbook: inner, after: [first] }]\n${waves('{ name: first, servers: [{ name: a }] }')}`;
  const runs = past.map((run) => ({ ...run, rpoMs: (run.serverId === 'id-c' ? 7 : 1) * minute }));
  const found = previewOf(planOf(outer, { inner }), runs).objectives;
  const words = found.map(({ of, objective, verdict, expectedMs }) => [
    ...[of?.name ?? 'whole', objective, verdict, expectedMs / minute],
  ]);
  expect(words.filter(([name]) => name === 'whole' || name === '3')).toEqual([
    ...[
      ['whole', 'rto', 'in reach', 17],
      ['whole', 'rpo', 'out of reach', 7],
      ['3', 'rto', 'out of reach', 17],
      ['3', 'rpo', 'out of reach', 7],
    ],
  ]);
  // Each included runbook is checked by itself: its servers are not warned of twice.
  expect(words.map(([name]) => name)).not.toContain('c');
});

test('who will be asked, when, and what becomes of it without an answer', () => {
  const text = `${head('shop')}commit: { act: commit, after: 4h }
gates:
  good: { title: Good, question: Are the data good?, approvers: { roles: [coordinator] }, approvals: 2, within: 30m, otherwise: abort, in: [recovery] }
  try: { title: Try, question: Does it work?, approvers: { people: [ada] } }
rehearsal: { tryOut: try }
${waves('{ name: one, servers: [{ name: a }] }', '{ name: two, after: [one], gate: good, servers: [{ name: b, powerOn: decision }] }')}`;
  const asked = (mode: PlanContext['mode']) =>
    previewOf(planOf(text, {}, mode), past).asks.map(({ kind, of, atMs, otherwise, withinMs, approvals }) => [
      ...[kind, of, atMs / minute, otherwise, withinMs === null ? null : withinMs / minute, approvals],
    ]);
  expect(asked('recovery')).toEqual([
    ['gate', 'two', 10, 'abort', 30, 2],
    ['power-on', 'b', 15, null, null, 1],
    ['commit', null, 15, 'commit', 240, 1],
  ]);
  expect(asked('rehearsal')).toEqual([
    ['power-on', 'b', 15, null, null, 1],
    ['try-out', null, 15, null, null, 1],
  ]);
});

test('four eyes ask two people for each server at power-on, in a rehearsal only where one is asked, and two at commit', () => {
  const text = `${head('shop')}access: { fourEyes: [power-on, commit] }
${waves('{ name: one, servers: [{ name: a }, { name: b, powerOn: decision }] }')}`;
  const asked = (mode: PlanContext['mode']) =>
    previewOf(planOf(text, {}, mode), past).asks.map(({ kind, of, approvals }) => [kind, of, approvals]);
  expect(asked('recovery')).toEqual([
    ['power-on', 'b', 2],
    ['power-on', 'a', 2],
    ['commit', null, 2],
  ]);
  expect(asked('rehearsal')).toEqual([['power-on', 'b', 2]]);
});

test('an objective that past runs show to be out of reach is a warning where it stands', () => {
  const text = `${head('shop')}objectives: { rto: 8m, tiers: { 1: { rto: 20m }, 2: { rto: 4m } } }\n${waves(
    '{ name: one, servers: [{ name: a }, { name: b, objectives: { rpo: 1m, rto: 3m } }] }',
  )}`;
  const { objectives } = previewOf(planOf(text), past);
  expect(objectives.map(({ of, verdict }) => [of?.name, verdict])).toEqual([
    [undefined, 'out of reach'],
    ['1', 'in reach'],
    ['2', 'out of reach'],
    ['b', 'out of reach'],
  ]);
  const { file } = readRunbook(text);
  expect(warningsOf(file!, objectives).map(({ severity, at }) => [severity, at.join('.')])).toEqual([
    ['warning', 'objectives.rto'],
    ['warning', 'objectives.tiers.2.rto'],
    ['warning', 'waves.0.servers.1.objectives.rto'],
  ]);
  expect(previewOf(planOf(text), []).objectives.map(({ verdict }) => verdict)).toEqual([
    'unknown',
    'unknown',
    'unknown',
  ]);
});

test('recovery points that were older in past runs than the objective are a warning, for the server that had them', () => {
  const text = `${head('shop')}objectives: { rpo: 3m, tiers: { 1: { rpo: 10m }, 2: { rpo: 1m } } }\n${waves(
    '{ name: one, servers: [{ name: a, objectives: { rpo: 5m, rto: 9h } }, { name: b, objectives: { rpo: 5m, rto: 9h } }] }',
  )}`;
  const rpos = (server: string, ...minutes: (number | null)[]) =>
    minutes.map((each) => pastRun(server, 60, { rpoMs: each === null ? null : each * minute }));
  const runs = [...rpos('id-a', 9, 2, 8), ...rpos('id-b', null, 4)];
  const { objectives } = previewOf(planOf(text), runs);
  const found = objectives.filter(({ objective }) => objective === 'rpo');
  expect(found.map(({ of, verdict, expectedMs }) => [of?.name, verdict, expectedMs / minute])).toEqual([
    [undefined, 'out of reach', 8],
    ['1', 'in reach', 8],
    ['2', 'out of reach', 4],
    ['a', 'out of reach', 8],
  ]);
  const warnings = warningsOf(readRunbook(text).file!, objectives);
  expect(warnings.map(({ severity, at }) => [severity, at.join('.')])).toEqual([
    ['warning', 'objectives.rpo'],
    ['warning', 'objectives.tiers.2.rpo'],
    ['warning', 'waves.0.servers.0.objectives.rpo'],
  ]);
  expect(warnings[2]!.found).toMatch(
    /an RPO of 5 min 00 s for server a, and 8 min 00 s between the recovery point and/,
  );
  // What only similar servers did says nothing of this one's points.
  const others = previewOf(planOf(text), rpos('id-c', 60)).objectives.filter(({ objective }) => objective === 'rpo');
  expect(new Set(others.map(({ verdict }) => verdict))).toEqual(new Set(['unknown']));
});

test('of a running plan the time left counts what is done as nothing and what runs with what it has left', () => {
  const order = planOf(
    head('shop') +
      waves(
        '{ name: one, servers: [{ name: a }, { name: b }] }',
        '{ name: two, after: [one], servers: [{ name: c }] }',
      ),
  );
  const usual = expectations(past);
  const running = { state: 'running', steps: [{ id: 'freeze', state: 'running', machineMs: 7 * minute }] } as const;
  const now = { 'id-a': running, 'id-b': { state: 'done' } } as const;
  expect(timeLeftOfPlan(inThought(order), usual, (id) => now[id as keyof typeof now])).toEqual({
    ...{ until: 'proof', ms: 4 * minute, lowMs: 4 * minute, highMs: 4 * minute, atLeast: false, neverRan: 0 },
    ...{ runs: 1, from: 'this server', sure: 'hardly', unknown: null },
  });
  const ends = endsOfPlan(inThought(order), usual, (id) => now[id as keyof typeof now]);
  expect([...ends].map(([id, { ms, atLeast }]) => [id, ms / minute, atLeast])).toEqual([
    ['id-a', 2, false],
    ['id-c', 4, false],
  ]);
  expect(timeLeftOfPlan(order, usual, () => ({ state: 'done' }))).toMatchObject({
    until: 'end',
    ms: null,
    unknown: expect.stringMatching(/every server is proven/),
  });
});

test('of a running plan the time left has machines boot one after the other, and who queues for a turn has had none of it', () => {
  const usual = expectations(['id-a', 'id-b', 'id-c'].map((id) => pastRun(id, 120)));
  const limited = (...names: string[]) =>
    planOf(`${head('shop')}limits: { boots: { dr: 1 } }\n${waves(`{ name: one, servers: [${names.join(', ')}] }`)}`);
  const at = (id: string, machineMs: number) => {
    const steps = ['freeze', 'power-on', 'prove-boot'].map((step) => ({ id: step, state: 'pending', machineMs: 0 }));
    const now = steps.findIndex((step) => step.id === id);
    return {
      state: 'running',
      steps: steps.map((step, index) =>
        index < now ? { ...step, state: 'done' } : index === now ? { ...step, state: 'running', machineMs } : step,
      ),
    } as ServerNow;
  };
  const left = (order: PlanOrder, now: Record<string, ServerNow>) => {
    const { ms, lowMs, highMs } = timeLeftOfPlan(inThought(order), usual, (id) => now[id]);
    const ends = endsOfPlan(inThought(order), usual, (id) => now[id]);
    return [[ms, lowMs, highMs].map((each) => each! / 1000), ...[...ends].map(([id, end]) => [id, end.ms / 1000])];
  };
  const twins = limited('{ name: b }', '{ name: c }');
  const both = { 'id-b': at('power-on', 0), 'id-c': at('power-on', 0) };
  expect(left(twins, both)).toEqual([
    [120, 120, 120],
    ['id-b', 60],
    ['id-c', 120],
  ]);
  // c has stood in the queue for half an hour; b, which boots, stands behind one that is over.
  const queued = {
    'id-a': { state: 'done' },
    'id-b': at('prove-boot', 25_000),
    'id-c': at('power-on', 30 * minute),
  } as const;
  expect(left(limited('{ name: c }', '{ name: a }', '{ name: b, after: [a] }'), queued)).toEqual([
    [90, 90, 90],
    ['id-c', 90],
    ['id-b', 30],
  ]);
});

test('of a running plan the time left says how many of its servers never ran, or that none of them did', () => {
  const order = planOf(head('shop') + waves('{ name: one, servers: [{ name: c }, { name: d }] }'));
  const left = timeLeftOfPlan(order, expectations(past), () => undefined);
  expect(left).toMatchObject({ ms: 2 * minute, atLeast: true, neverRan: 1, unknown: null });
  expect(timeLeftWords(left)).toMatch(/^at least 2 min 00 s to the proof, hardly sure: 1 past run; 1 server never ran/);
  const done = timeLeftOfPlan(order, expectations(past), (id) => (id === 'id-c' ? { state: 'done' } : undefined));
  expect(done).toMatchObject({
    ms: null,
    neverRan: 1,
    unknown: expect.stringMatching(/the server that is not proven/),
  });
});

test('two thousand servers are run through at once', () => {
  const names = Array.from({ length: 2_000 }, (_, i) => `s${i}`);
  const many = planOf(head('shop') + waves('{ name: one, servers: [{ name: a }] }'));
  const [first] = many.servers;
  const order = {
    ...many,
    servers: names.map((name, i) => ({ ...first!, name, after: i < 100 ? [] : [names[i - 100]!] })),
  };
  const { endsMs } = simulate(order, () => ({ beforeBootMs: minute, bootMs: minute }));
  expect(endsMs).toBe(20 * 2 * minute);
});
