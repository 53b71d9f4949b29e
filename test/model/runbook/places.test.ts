/** Any tree of plans, run to its end in any order of endings: within the limits of every plan of it, and never standing still. */
import fc from 'fast-check';
import { everyServerOf } from '../../../model/every-server';
import { Places, type LimitsOfPlaces, type PlanWithLimits } from '../../../model/runbook/places';

const limit = fc.option(fc.integer({ min: 1, max: 4 }));
const limits: fc.Arbitrary<LimitsOfPlaces> = fc.record({
  atOnce: limit,
  sites: fc.dictionary(fc.constantFrom('s0', 's1'), fc.integer({ min: 1, max: 3 })),
  datastores: fc.dictionary(fc.constantFrom('d0', 'd1'), fc.integer({ min: 1, max: 3 })),
});
const servers = fc.array(
  fc.record({ site: fc.constantFrom('s0', 's1'), datastore: fc.constantFrom('d0', 'd1', null) }),
  { maxLength: 5 },
);

/** Three deep. Names tell where a server is: `0.1#2`. */
const tree = (depth: number, name: string): fc.Arbitrary<PlanWithLimits> =>
  fc
    .record({
      limits,
      servers,
      parts: depth === 0 ? fc.constant([]) : fc.tuple(tree(depth - 1, `${name}.0`), tree(depth - 1, `${name}.1`)),
    })
    .map((one) => ({
      plan: { limits: one.limits },
      servers: one.servers.map(({ site, datastore }, at) => ({
        ...{ name: `${name}#${at}`, datastore },
        order: { target: { siteId: site } },
      })),
      parts: one.parts.map((order, at) => ({ name: `${name}.${at}`, order })),
    }));

const plans = (plan: PlanWithLimits): PlanWithLimits[] => [plan, ...plan.parts.flatMap(({ order }) => plans(order))];

/** What of the limits of one plan of the tree does not hold. */
function broken(plan: PlanWithLimits, running: ReadonlySet<string>): string[] {
  const now = everyServerOf(plan).filter(({ name }) => running.has(name));
  const { atOnce, sites, datastores } = plan.plan.limits;
  return [
    ...(now.length > (atOnce ?? Infinity) ? ['all'] : []),
    ...Object.entries(sites).flatMap(([site, most]) =>
      now.filter(({ order }) => order.target.siteId === site).length > most ? [site] : [],
    ),
    ...Object.entries(datastores).flatMap(([name, most]) =>
      now.filter(({ datastore }) => datastore === name).length > most ? [name] : [],
    ),
  ];
}

test('limits of every plan of a tree hold together, and whoever waits gets a place in the end', () => {
  fc.assert(
    fc.property(tree(2, 'p'), fc.array(fc.nat(1000), { minLength: 1, maxLength: 20 }), (plan, endings) => {
      const places = new Places(plan);
      const levels = places.inOrder();
      const waiting = new Set(everyServerOf(plan).map(({ name }) => name));
      const running = new Set<string>();
      const levelOf = (server: string) => levels.find((one) => one.has(server))!;
      for (let turn = 0; waiting.size > 0 || running.size > 0; turn += 1) {
        for (const server of waiting) {
          if (!levelOf(server).take(server)) continue;
          waiting.delete(server);
          running.add(server);
          // The same place, asked for once more.
          expect(levelOf(server).take(server)).toBe(true);
        }
        expect(plans(plan).flatMap((one) => broken(one, running))).toEqual([]);
        expect(running.size).toBeGreaterThan(0);
        const ended = [...running][endings[turn % endings.length]! % running.size]!;
        levelOf(ended).end(ended);
        levelOf(ended).end(ended);
        running.delete(ended);
      }
    }),
    { numRuns: 200 },
  );
});
