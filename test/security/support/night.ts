/** `muster up` with a canary in every place that takes a secret, and the calls of a night on it. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { seedMachine } from '../../../platforms/simulated/seed';
import { eventually } from '../../api/stack';
import { redfishUser, startRedfish, type TestRedfish } from '../../support/redfish';
import { stackHome, startStackProcess, type StackHome, type StackProcess } from '../../support/stack-process';
import type { Canary } from './canaries';

export interface Night {
  readonly home: StackHome;
  readonly stack: StackProcess;
  readonly redfish: TestRedfish;
  readonly canaries: readonly Canary[];
  /** Calls the API as the admin; `token`: as somebody else. Returns the answer with its text. */
  call(method: string, path: string, options?: CallOptions): Promise<Reply>;
  canary(name: string): string;
  close(): Promise<void>;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Reply {
  readonly status: number;
  readonly text: string;
  readonly body: any; // eslint-disable-line @typescript-eslint/no-explicit-any
}

/** Characters that every way of writing text down has another form for. */
const fresh = (): string => `c4n4ry ${randomBytes(12).toString('hex')}/+"<é`;

/** Starts everything; what is not taken from a file or a variable (tokens) is a canary as soon as it is issued. */
export async function openNight(): Promise<Night> {
  const canaries: Canary[] = ['unlock key in a file', 'unlock key in a variable', 'password of Postgres'].map(
    (name) => ({ name, value: fresh() }),
  );
  canaries.push({ name: 'password of a controller', value: fresh() });
  const canary = (name: string): string => canaries.find((one) => one.name === name)!.value;
  Object.assign(redfishUser, { password: canary('password of a controller') });
  const redfish = await startRedfish(['rack-7']);
  const home = await stackHome();
  configure(home, redfish.url);
  const keep = (file: string, text: string): void => {
    mkdirSync(dirname(join(home.dataFolder, file)), { recursive: true, mode: 0o711 });
    writeFileSync(join(home.dataFolder, file), text, { mode: 0o600 });
  };
  keep('postgres-password', canary('password of Postgres'));
  keep('secrets/locked-disk', `${canary('unlock key in a file')}\n`);
  keep('secrets/bmc', canary('password of a controller'));
  Object.assign(home.env, {
    MUSTER_LOG_LEVEL: 'debug',
    MUSTER_SECRET_DISK: canary('unlock key in a variable'),
  });
  const stack = startStackProcess(home);
  await stack.prints('Muster runs at');
  canaries.push({ name: 'admin token', value: readFileSync(join(home.dataFolder, 'admin-token'), 'utf8').trim() });
  return {
    ...{ home, stack, redfish, canaries, canary },
    call: (method, path, options) => callApi(home.apiPort, canary('admin token'), method, path, options),
    close: async () => {
      stack.child.kill('SIGTERM');
      await stack.ended;
      await redfish.close();
    },
  };
}

function configure(home: StackHome, redfishUrl: string): void {
  const image = join(dirname(home.dataFolder), 'rack-7.img');
  writeFileSync(image, '');
  truncateSync(image, 1024 * 1024);
  const power = { redfish: { url: redfishUrl, systemId: 'rack-7', user: redfishUser.user, password: 'file:bmc' } };
  const machine = {
    ...{ name: 'rack-7', hardware: 'physical-ahci', firmware: 'bios', cpuCount: 1, memoryBytes: 1024 ** 3 },
    ...{ nics: [{ macAddress: '52:54:00:aa:bb:01', network: 'lan' }], disks: [{ device: image }], power },
  };
  // JSON is YAML.
  const sites = [{ id: 'recovery', kind: 'simulated', machines: [machine] }];
  const sources = [{ id: 'production', kind: 'simulated' }];
  writeFileSync(home.env['MUSTER_CONFIG']!, JSON.stringify({ sites, sources }));
}

async function callApi(
  port: number,
  token: string,
  method: string,
  path: string,
  { body, headers }: CallOptions = {},
): Promise<Reply> {
  const response = await fetch(`http://127.0.0.1:${port}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  return { status: response.status, text, body: isJson ? JSON.parse(text) : null };
}

/** A source machine, protected, with one point. */
export async function protect(night: Night, name: string, unlockKeys: readonly string[]): Promise<void> {
  await seedMachine(join(night.home.dataFolder, 'sites', 'production'), { name });
  const body = {
    ...{ name, source: { siteId: 'production', machineName: name }, recoverySiteId: 'recovery', unlockKeys },
    ...{ objectives: { rpoMs: 15_000, rtoMs: 600_000 }, cadence: { pointEveryMs: 1000 } },
  };
  expect(await night.call('POST', '/servers', { body })).toMatchObject({ status: 201 });
  expect(await night.call('POST', `/servers/${name}/protection`)).toMatchObject({ status: expect.any(Number) });
  await eventually(async () => (await night.call('GET', `/servers/${name}/replica`)).body?.points?.length > 0, 60_000);
}

/** Pushes the button; returns the run's id. */
export async function push(night: Night, server: string, changes: object = {}): Promise<string> {
  const body = {
    ...{ server, reason: 'Site A lost power', hardware: 'vmware-pvscsi', networks: { lan: 'lan' } },
    ...{ proof: { stableForMs: 100, heartbeatTimeoutMs: 5_000 }, retry: { maxAttempts: 1 }, ...changes },
  };
  const reply = await night.call('POST', '/recoveries', { body, headers: { 'idempotency-key': randomUUID() } });
  expect(reply).toMatchObject({ status: 201 });
  return reply.body.runId as string;
}

/** Waits until the run is as wanted; approves what waits for an approval on the way. */
export async function until(night: Night, runId: string, state: string): Promise<Reply['body']> {
  let last: Reply | undefined;
  const look = async () => {
    last = await night.call('GET', `/runs/${runId}`);
    const view = last.body?.view;
    if (view?.state === 'waiting' && state !== 'waiting') {
      const body = { step: view.currentStep, decision: 'approve', reason: 'It is cut off' };
      await night.call('POST', `/runs/${runId}/decisions`, { body });
    }
    return view?.state === state && last.body;
  };
  return eventually(look, 90_000).catch((error: Error) => {
    throw new Error(`${error.message}: wanted ${state}, last seen ${last?.text.slice(0, 1500)}`);
  });
}
