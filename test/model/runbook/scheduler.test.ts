/** Any plan, run to its end in any order of endings: never before its time, never over a limit, never standing still. */
import fc from 'fast-check';
import { planGraph, type NodeId } from '../../../model/runbook/graph';
import { Places, roomForAll, type PlanWithLimits } from '../../../model/runbook/places';
import { Scheduler } from '../../../model/runbook/scheduler';

interface Drawn {
  readonly plan: Parameters<typeof planGraph>[0];
  readonly limits: { atOnce: number | null; sites: Record<string, number>; datastores: Record<string, number> };
  /** Which of the running ends next; taken modulo their number. */
  readonly endings: readonly number[];
}

const limit = fc.option(fc.integer({ min: 1, max: 4 }));
const record = (limits: (number | null)[]): Record<string, number> =>
  Object.fromEntries(limits.flatMap((one, index) => (one === null ? [] : [[`p${index}`, one]])));

/** What a thing comes after is drawn from those before it, so that there is no circle. */
const drawn: fc.Arbitrary<Drawn> = fc
  .record({
    sizes: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 6 }),
    edges: fc.array(fc.tuple(fc.nat(40), fc.nat(40)), { maxLength: 20 }),
    waveEdges: fc.array(fc.tuple(fc.nat(6), fc.nat(6)), { maxLength: 8 }),
    atOnce: limit,
    sites: fc.array(limit, { minLength: 2, maxLength: 2 }),
    datastores: fc.array(limit, { minLength: 3, maxLength: 3 }),
    endings: fc.array(fc.nat(1000), { minLength: 80, maxLength: 80 }),
  })
  .map(({ sizes, edges, waveEdges, atOnce, sites, datastores, endings }) => {
    const servers = sizes.flatMap((size, wave) =>
      Array.from({ length: size }, (_, at) => ({ name: `s${wave}-${at}`, wave: `w${wave}`, after: [] as string[] })),
    );
    for (const [from, to] of edges) {
      const [a, b] = [from % servers.length, to % servers.length];
      if (a < b && servers[a]!.wave !== servers[b]!.wave) servers[b]!.after.push(servers[a]!.name);
    }
    const waves = sizes.map((_, index) => ({
      name: `w${index}`,
      after: waveEdges.filter(([a, b]) => b === index && a < index).map(([a]) => `w${a}`),
    }));
    const limits = { atOnce, sites: record(sites), datastores: record(datastores) };
    return { plan: { waves, servers, includes: [] }, limits, endings };
  });

/** s1-2: site p1, datastore p2. */
const placeOf = (server: string) => {
  const [wave, at] = server.slice(1).split('-').map(Number) as [number, number];
  return { siteId: `p${wave % 2}`, datastore: `p${at % 3}` };
};

const withPlaces = (servers: readonly { name: string }[], limits: Drawn['limits']): PlanWithLimits => ({
  plan: { limits },
  servers: servers.map(({ name }) => {
    const { siteId, datastore } = placeOf(name);
    return { name, datastore, order: { target: { siteId } } };
  }),
  parts: [],
});

test('every plan runs to its end, each thing after what it comes after, and never more at once than the limits say', () => {
  fc.assert(
    fc.property(drawn, ({ plan, limits, endings }) => {
      const graph = planGraph(plan);
      const scheduler = new Scheduler(graph, new Places(withPlaces(plan.servers, limits)));
      const running: NodeId[] = [];
      const over = new Set<NodeId>();
      // Asked some hundred thousand times: an `expect` each would take most of the test's time.
      const holds = (what: string, is: boolean): void => {
        if (!is) throw new Error(`${what}; running: ${running.join(', ')}; over: ${[...over].join(', ')}`);
      };
      for (let turn = 0; !scheduler.isOver; turn += 1) {
        for (const node of scheduler.take()) {
          for (const before of node.after) holds(`${node.id} comes after ${before}`, over.has(before));
          running.push(node.id);
        }
        const places = running.filter((id) => id.startsWith('server:')).map((id) => placeOf(id.slice(7)));
        holds(`at most ${limits.atOnce} at once`, places.length <= (limits.atOnce ?? Infinity));
        for (const [site, most] of Object.entries(limits.sites))
          holds(`at most ${most} at site ${site}`, places.filter(({ siteId }) => siteId === site).length <= most);
        for (const [store, most] of Object.entries(limits.datastores))
          holds(`at most ${most} on ${store}`, places.filter(({ datastore }) => datastore === store).length <= most);
        holds('nothing is held, so something runs', running.length > 0);
        const [ended] = running.splice(endings[turn % endings.length]! % running.length, 1);
        scheduler.end(ended!);
        over.add(ended!);
      }
      expect(over.size).toBe(graph.nodes.size);
    }),
    { numRuns: 300 },
  );
});

test('a server starts as soon as what it depends on is done, not when the slowest stranger is', () => {
  const plan = {
    waves: [
      { name: 'data', after: [] },
      { name: 'web', after: [] },
    ],
    servers: [
      { name: 'db01', wave: 'data', after: [] },
      { name: 'slow', wave: 'data', after: [] },
      { name: 'web01', wave: 'web', after: ['db01'] },
    ],
    includes: [],
  };
  const scheduler = new Scheduler(planGraph(plan), roomForAll);
  expect(names(scheduler)).toEqual(['open:data', 'open:web']);
  scheduler.end('open:data');
  scheduler.end('open:web');
  expect(names(scheduler)).toEqual(['server:db01', 'server:slow']);
  scheduler.end('server:db01');
  expect(names(scheduler)).toEqual(['server:web01']);
});

test('what is held does not start, and starts when it may go on', () => {
  const plan = { waves: [{ name: 'w', after: [] }], servers: [{ name: 'a', wave: 'w', after: [] }], includes: [] };
  const scheduler = new Scheduler(planGraph(plan), roomForAll);
  scheduler.hold('server:a');
  expect(names(scheduler)).toEqual(['open:w']);
  scheduler.end('open:w');
  expect(names(scheduler)).toEqual([]);
  expect(scheduler.isOver).toBe(false);
  scheduler.goOn('server:a');
  expect(names(scheduler)).toEqual(['server:a']);
});

const names = (scheduler: Scheduler): string[] => scheduler.take().map(({ id }) => id);
