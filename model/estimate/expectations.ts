/** What past runs let expect of each server of a plan, and how a plan is run through with it. */
import { bootSteps, expectedOf, type Expected, type ExpectedServer } from './expected';
import { diskBytesOf, type PastTimes } from './past';
import type { ExpectedTimes, ServerInThought } from './simulate';

/** null: it never ran here, nor any that is like it. */
export type Expect = (server: ServerInThought) => ExpectedServer | null;

/** From the newest runs first. Grouped once, because 2,000 servers have 10,000 past runs and more. */
export function expectations(past: readonly PastTimes[]): Expect {
  const byServer = groups(past, ({ serverId }) => serverId);
  const bySite = groups(past, ({ siteId }) => siteId);
  const known = new Map<string, ExpectedServer | null>();
  return ({ order: { server, option, target } }) => {
    const key = `${server.id} ${option}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    const wanted = { serverId: server.id, siteId: target.siteId, diskBytes: diskBytesOf(server), option };
    const own = expectedOf(wanted, byServer.get(server.id) ?? []);
    const expected = own?.toProof.from === 'this server' ? own : expectedOf(wanted, bySite.get(target.siteId) ?? []);
    known.set(key, expected);
    return expected;
  };
}

function groups(past: readonly PastTimes[], keyOf: (one: PastTimes) => string): ReadonlyMap<string, PastTimes[]> {
  const byKey = new Map<string, PastTimes[]>();
  for (const one of past) {
    const group = byKey.get(keyOf(one));
    if (group === undefined) byKey.set(keyOf(one), [one]);
    else group.push(one);
  }
  return byKey;
}

/** The usual, a quick run or a slow one. */
export type Pace = keyof Pick<Expected, 'medianMs' | 'lowMs' | 'highMs'>;

/** For `simulate`: what boots is what a site may allow a few at a time. */
export function timesOf(expected: ExpectedServer | null, pace: Pace = 'medianMs'): ExpectedTimes | null {
  if (expected === null) return null;
  const toProofMs = expected.toProof[pace];
  const boot = bootSteps.reduce((sum, step) => sum + (expected.steps[step]?.[pace] ?? 0), 0);
  const bootMs = Math.min(boot, toProofMs);
  return { beforeBootMs: toProofMs - bootMs, bootMs };
}
