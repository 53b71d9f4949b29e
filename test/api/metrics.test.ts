/** What the API counts, what it says of the whole installation, and the line that each request leaves in its log. */
import { logProgramsTo } from '../../programs/log';
import { processLog } from '../../stack/process-log';
import { at, batch, closed, event, newRunId, opened } from '../store/run-events';
import { badNames, readMetrics, valueOf, type Family } from '../support/prometheus';
import { caller, openTestStack, type Call, type TestStack } from './stack';

let stack: TestStack;
let call: Call;
let lines: string[];

beforeAll(async () => {
  stack = await openTestStack();
  lines = [];
  const log = processLog('api', 'info', { write: (line: string) => void lines.push(line) });
  call = caller({ ...stack, deps: { ...stack.deps, log } });
});
afterAll(async () => {
  logProgramsTo(undefined);
  await stack?.close();
});

const scraped = async (): Promise<Family[]> => {
  const { status, headers, body } = await call('GET', '/metrics', { token: stack.tokens.viewer });
  expect([status, headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
  return readMetrics(body);
};
const failure = { family: 'OperatorError', message: 'm', remedy: null, detail: null } as const;
const parked = event(
  'parked',
  { epoch: 1, undo: false, failure, allowed: ['retry'], remedy: 'r' },
  { step: 'preflight', at: at(10) },
);

test('runs that are open are counted by state, stuck ones by step with their age; closed ones are not', async () => {
  const [stuck, running, over] = [newRunId(), newRunId(), newRunId()];
  const announced = event('step-announced', { title: 'Check' }, { step: 'preflight', at: at(5) });
  await stack.store.journal.append({
    ...batch(stuck, 1, [opened(stuck, 1), announced, parked]),
    tenantId: 'main',
    coreId: 'main',
  });
  await stack.store.journal.append({ ...batch(running, 1, [opened(running, 1)]), tenantId: 'main', coreId: 'main' });
  await stack.store.journal.append({
    ...batch(over, 1, [opened(over, 1), closed(60)]),
    tenantId: 'main',
    coreId: 'main',
  });
  const families = await scraped();
  const states = ['running', 'waiting', 'held', 'stuck', 'undoing', 'succeeded'];
  expect(states.map((state) => valueOf(families, 'muster_runs', { state }))).toEqual([1, 0, 0, 1, 0, undefined]);
  const place = { procedure: 'push-button-recovery', step: 'preflight' };
  expect(valueOf(families, 'muster_stuck_runs', place)).toBe(1);
  expect(valueOf(families, 'muster_stuck_seconds', place)).toBeGreaterThan(
    Date.now() / 1000 - Date.parse(at(10)) / 1000 - 60,
  );
  expect(valueOf(families, 'muster_up', { part: 'postgres' })).toBe(1);
  expect(valueOf(families, 'muster_up', { part: 'worker site:dr' })).toBe(0);
  expect(valueOf(families, 'muster_build_info', { version: '0.0.0-test' })).toBe(1);
  expect(badNames(families)).toEqual([]);
});

test('requests are counted by the route as it is declared, never by what stands in an address', async () => {
  await call('GET', '/servers/a-name-that-nobody-has');
  await call('GET', '/nothing/here');
  const families = await scraped();
  const route = '/api/v1/servers/:server';
  expect(valueOf(families, 'muster_http_requests_total', { method: 'GET', route, status: '404' })).toBe(1);
  expect(valueOf(families, 'muster_http_requests_total', { route: 'none', status: '404' })).toBe(1);
  expect(valueOf(families, 'muster_http_request_duration_seconds_count', { route })).toBe(1);
  expect(JSON.stringify(families)).not.toContain('a-name-that-nobody-has');
});

test('metrics need a token, and with Postgres gone they say so and leave out what nobody knows', async () => {
  expect((await call('GET', '/metrics', { token: null })).status).toBe(401);
  await scraped();
  stack.postgres.cut();
  try {
    const families = await scraped();
    expect(valueOf(families, 'muster_up', { part: 'postgres' })).toBe(0);
    expect(valueOf(families, 'muster_runs', { state: 'running' })).toBeUndefined();
    expect(valueOf(families, 'muster_http_requests_total', { route: '/api/v1/metrics' })).toBeGreaterThan(0);
  } finally {
    stack.postgres.mend();
  }
});

test('a request leaves one line with its id, route, status, actor and run, and no token', async () => {
  lines.length = 0;
  const runId = newRunId();
  const token = stack.tokens.operator;
  await call('GET', `/runs/${runId}?token=${token}`, { token, headers: { 'x-request-id': 'req-of-this-test' } });
  const mine = lines.map((line) => JSON.parse(line)).filter(({ requestId }) => requestId === 'req-of-this-test');
  expect(mine).toHaveLength(1);
  expect(mine[0]).toMatchObject({
    process: 'api',
    level: 'info',
    msg: 'request',
    method: 'GET',
    route: '/api/v1/runs/:runId',
    status: 404,
    actor: 'operator',
    runId,
    durationMs: expect.any(Number),
  });
  expect(lines.join('')).not.toContain(token);
});
