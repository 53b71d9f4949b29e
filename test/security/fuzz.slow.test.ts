/**
 * The API under schemathesis: what its OpenAPI allows and what it does not, in every place of every operation. Nothing may
 * answer with 5xx, with a status or a body that the document does not name, or act on what it should refuse. The seed is
 * fixed; `MUSTER_FUZZ_SECONDS` and `MUSTER_FUZZ_SEED` make it longer and other.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import type { Messenger } from '../../api/deps';
import { serveApi, type ServedApi } from '../../api/server';
import { createMailSender } from '../../notify/mail';
import { createWebhookSender } from '../../notify/webhooks';
import { messengerOf } from '../../stack/notifying';
import { pythonProgram } from '../../tools/setup/python-programs.mjs';
import { caller, openTestStack, recoveryTools, type TestStack } from '../api/stack';
import { startSmtp, type TestSmtp } from '../notify/support/smtp';

const seconds = Number(process.env['MUSTER_FUZZ_SECONDS'] ?? 45);
const seed = process.env['MUSTER_FUZZ_SEED'] ?? '1';

jest.setTimeout((seconds + 240) * 1000);

let stack: TestStack;
let served: ServedApi;
let folder: string;
let smtp: TestSmtp;
/** A run that has ended, so that reports, events and evidence are there to be asked for. */
let runId: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'muster-fuzz-'));
  stack = await openTestStack();
  smtp = await startSmtp();
  served = await serveApi({ ...stack.deps, messenger: messengerTo(smtp) }, { host: '127.0.0.1', port: 0 });
  await stack.startWorkers();
  const tools = recoveryTools(stack, caller(stack));
  await tools.protectedServer('app01');
  runId = (await tools.push('app01')).body.runId;
  await tools.inState(runId, 'waiting');
  await tools.decide(runId, { decision: 'approve', step: 'power-on', reason: 'It is cut off' });
  await tools.closed(runId);
});

afterAll(async () => {
  await served?.stop();
  await smtp?.stop();
  await stack?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Sends mails for real, and knows no webhook. */
function messengerTo({ port }: TestSmtp): Messenger {
  const clock = (): Date => new Date();
  const common = { publicUrl: null, clock, secrets: () => Promise.reject(new Error('no secrets here')) };
  const server = { host: '127.0.0.1', port, security: 'none', user: null, password: null } as const;
  const mail = createMailSender({ ...common, server: { ...server, from: 'muster@dr.example' } });
  return messengerOf({ mail, webhook: createWebhookSender({ ...common, webhooks: [] }) }, clock);
}

/** Everything but `positive_data_acceptance`: a schema cannot say all that is refused (control characters, times in the past). */
const checks = [
  ...['not_a_server_error', 'status_code_conformance', 'content_type_conformance', 'response_headers_conformance'],
  ...['response_schema_conformance', 'negative_data_rejection', 'missing_required_header', 'unsupported_method'],
  ...['ignored_auth'],
];

function fuzz(options: readonly string[]): Promise<{ code: number | null; output: string }> {
  const config = join(folder, 'schemathesis.toml');
  writeFileSync(config, `[parameters]\n"path.runId" = "${runId}"\n"path.server" = "app01"\n`);
  const child = spawn(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', '--', pythonProgram('schemathesis'), '--config-file', config, 'run'],
      ...[`${served.url}/api/v1/openapi.json`, '--url', served.url, '--checks', checks.join(',')],
      ...['--seed', seed, '--generation-database', 'none', '--suppress-health-check', 'all', '--no-color'],
      ...['--header', `Authorization: Bearer ${stack.tokens.admin}`, '--request-timeout', '30', ...options],
    ],
    { cwd: folder, env: { ...process.env, HOME: folder } },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((done) => child.once('close', (code) => done({ code, output })));
}

test('no operation breaks, whatever it is sent', async () => {
  // Revoking comes last: the token in use is among those that it may hit.
  const { code, output } = await fuzz([
    ...['--phases', 'examples,coverage,fuzzing', '--max-time', String(seconds)],
    ...['--exclude-operation-id', 'revokeToken'],
  ]);
  expect(output).toMatch(/Selected: [45]\d\/\d\d/);
  // One or two operations may have had no turn with a token before the time was over.
  expect(output).not.toMatch(/Authentication failed: \d\d operations/);
  if (code !== 0) throw new Error(output);
});

test('neither does revoking a token', async () => {
  const { code, output } = await fuzz(['--phases', 'coverage', '--include-operation-id', 'revokeToken']);
  if (code !== 0) throw new Error(output);
});

test('afterwards the API still does what it is for', async () => {
  const token = await stack.store.tokens.issue({ name: 'Afterwards', role: 'admin' }, null);
  const answer = await fetch(`${served.url}/api/v1/runs/${runId}/report`, {
    headers: { authorization: `Bearer ${token.token}`, accept: 'application/json', 'x-request-id': uuidv7() },
  });
  expect(answer.status).toBe(200);
});
