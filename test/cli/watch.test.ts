/** `muster watch` against an API that does not answer as one would like. */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { muster } from './muster';

const runId = '01a1ff98-c79d-7500-b1ab-f0b2c7668dae';
const detail = `Run ${runId} waits for a worker: none has taken it yet. Start one (\`muster up\` does)`;
const notYet = { type: 'urn:muster:problem:no-worker', title: 'No worker', status: 503, detail };

let api: Server;
let env: Record<string, string>;
let answer: (path: string, response: ServerResponse) => void;

beforeAll(async () => {
  api = createServer((request, response) => answer(request.url ?? '', response)).listen(0, '127.0.0.1');
  await once(api, 'listening');
  env = { MUSTER_URL: `http://127.0.0.1:${(api.address() as AddressInfo).port}`, MUSTER_TOKEN: 'mst_of-a-test' };
});
afterAll(() => api.close());

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

test('a run that no worker has taken yet is waited for, and its end is asked for again when a part does not answer', async () => {
  const refused = { events: 2, run: 1 };
  answer = (path, response) => {
    const what = path.endsWith('/events') ? 'events' : 'run';
    if (refused[what]-- > 0) return json(response, 503, notYet);
    if (what === 'run') return json(response, 200, { kind: 'recovery', view: { state: 'aborted', parkings: [] } });
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end('event: end\ndata: {"complete":true}\n\n');
  };
  const watched = await muster(['watch', runId, '--json'], env);
  expect([watched.exitCode, watched.stderr]).toEqual([1, '']);
  expect(Math.max(refused.events, refused.run)).toBeLessThan(0);
});

test('an API that is not there at the first call is said at once', async () => {
  answer = (_path, response) => response.destroy();
  const watched = await muster(['watch', runId, '--json'], env);
  expect([watched.exitCode, JSON.parse(watched.stderr)]).toMatchObject([
    4,
    { error: 'unreachable', message: expect.stringContaining('cannot be reached') },
  ]);
});
