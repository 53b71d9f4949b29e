/** What those who approve, try out or commit a plan read of it. */
import type { RunOutcome } from '../../workflows/runner/conduct';
import type { ChildStanding } from '../../workflows/plan-child';
import type { ChildRuns } from '../../workflows/plan-children';
import { provenWords, shownOfServer, standingOf, succeededWords } from '../../workflows/plan-standing';
import type { Shown } from '../../workflows/messages';
import type { Remembered, Run } from '../../workflows/runner/run';
import type { PlanOrder } from '../../model/plan';
import { makeOrder } from '../support/order';
import { evacuation } from '../support/plan-parts-story';
import { samplePlan } from '../support/plan-sample';

const well: Shown = { unproven: [], leftOut: [], givenUp: [], exceptions: [] };
const standing = (shown: Shown | null = well, state: RunOutcome['state'] | null = null): ChildStanding => ({
  ...{ proven: true, shown, state },
});

function plan(order: PlanOrder, runs: Record<string, ChildStanding>, memory: Record<string, Remembered> = {}) {
  const run = { order, memory: new Map(Object.entries(memory)) } as unknown as Run<PlanOrder>;
  return [run, { standing: (id: string) => runs[id] ?? null } as unknown as ChildRuns] as const;
}

const recovered = (memory: Record<string, Remembered>): Shown =>
  shownOfServer({ order: makeOrder(), memory: new Map(Object.entries(memory)) } as unknown as Run);
const done = { value: null, exception: false };
const skipped = { value: null, exception: true };
const proof = (ok: boolean): Remembered => ({
  value: { provenAt: '2026-03-14T02:20:00.000Z', rungs: [{ name: 'heartbeat', ok, detail: '', evidence: [] }] },
  exception: false,
});

test('a server is proven only by its own proof: skipped, it is named, and a script around it is no proof', () => {
  expect(recovered({ preflight: done, 'prove-boot': proof(true) })).toEqual(well);
  expect(recovered({ 'prove-boot': skipped, preflight: skipped })).toEqual({
    ...{ ...well, unproven: ['app01'], exceptions: ['app01 (preflight skipped)'] },
  });
  expect(recovered({ 'prove-boot/script:smoke': skipped, 'prove-boot': proof(false) })).toEqual({
    ...well,
    exceptions: ['app01 (script smoke skipped or with a warning, seen from outside only, without heartbeat)'],
  });
});

test('who approves reads who stands without proof, who is left out or given up, and what else was not done', () => {
  const runs = {
    'server:db01': standing(),
    'server:db02': standing(well, 'failed'),
    'server:app01': standing({ ...well, unproven: ['app01'] }),
    'server:web01': standing({ ...well, exceptions: ['web01 (inoculate skipped)'] }),
  };
  const memory = {
    'recover/db01': done,
    'recover/db02': { value: { runId: 'r', state: 'failed' }, exception: true },
    'recover/web02': skipped,
    'scripts/script:balancer': skipped,
  };
  expect(provenWords(...plan(samplePlan(), runs, memory))).toBe(
    [
      '2 of 5 servers are proven',
      'Recovered without proof, which people skipped: app01',
      'Left out by decision: web02',
      'Given up: db02 (undone)',
      'Not all of it was done: web01 (inoculate skipped), script balancer skipped or with a warning',
    ].join('. '),
  );
});

test('one of an included runbook that was given up before it was undone, or before it began, is not proven either', () => {
  const givenUp = { value: { runId: 'r', state: 'failed' }, exception: true };
  const shop = plan(samplePlan(), { 'server:db01': standing() }, { 'recover/db01': done, 'recover/web02': givenUp });
  const { unproven, leftOut, givenUp: named, exceptions } = standingOf(...shop);
  expect(named).toEqual(['web02']);
  const shown = { unproven, leftOut, givenUp: named, exceptions };
  const above = plan(evacuation(), { 'include:network': standing(), 'include:office': standing(shown) });
  expect(provenWords(...above)).toBe('1 of 2 included runbooks are proven. Given up: office/web02');
});

test('what an earlier version told counts as it did; a run that has ended otherwise since is no proof', () => {
  const runs = { 'server:db01': standing(null), 'server:db02': standing(well, 'aborted') };
  expect(provenWords(...plan(samplePlan(), runs))).toBe(
    '1 of 5 servers are proven. Not all of it was done: db02 (its run has ended as aborted)',
  );
});

test('an included runbook counts only when all of it is proven, and what is not is named with where it is', () => {
  const runs = {
    'include:network': standing(),
    'include:office': standing({ ...well, unproven: ['mail01'], givenUp: ['labs/lab01'] }, 'succeeded'),
  };
  const of = plan(evacuation(), runs);
  expect(provenWords(...of)).toBe(
    '1 of 2 included runbooks are proven. Recovered without proof, which people skipped: office/mail01. Given up: office/labs/lab01',
  );
  expect(standingOf(...of)).toMatchObject({ parts: 1, unproven: ['office/mail01'], givenUp: ['office/labs/lab01'] });
  expect(succeededWords(evacuation(), of[1])).toBe('1 of 2 included runbooks recovered, 1 server not proven');
});

test('a question names a dozen and counts the rest', () => {
  const names = Array.from({ length: 20 }, (_one, at) => `labs/lab${at}`);
  const words = provenWords(...plan(evacuation(), { 'include:office': standing({ ...well, unproven: names }) }));
  expect(words).toMatch(/office\/labs\/lab11 and 8 more$/);
});
