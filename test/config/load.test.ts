import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfiguration } from '../../config/load';
import { readPostgresUrl } from '../../config/postgres-url';
import { ConfigurationError, describeProblem } from '../../config/problems';
import { exampleFile } from '../../stack/configuration-document';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-config-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function file(text: string, name = 'muster.yaml'): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function problemsOf(env: NodeJS.ProcessEnv): string[] {
  try {
    loadConfiguration(env);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems.map(describeProblem);
    throw error;
  }
  return [];
}

test('without anything it is one machine with a recovery site and a source site', () => {
  const configuration = loadConfiguration({});
  expect(configuration).toMatchObject({
    tenantId: 'main',
    api: { enabled: true, host: '127.0.0.1', port: 7070 },
    temporal: { embedded: true, address: '127.0.0.1:7071', namespace: 'muster', retentionDays: 90 },
    postgres: { embedded: true, port: 7072 },
    worker: { sites: ['recovery'] },
    sources: [{ id: 'production', kind: 'libvirt', uri: 'qemu:///system' }],
  });
  expect(configuration.sites[0]).toMatchObject({
    id: 'recovery',
    folder: join(configuration.dataFolder, 'sites/recovery'),
  });
});

test('the environment wins over the file, the file over the default', () => {
  const path = file('api: { port: 1111, host: ::1 }\nlogLevel: debug\n');
  const { api, logLevel } = loadConfiguration({ MUSTER_CONFIG: path, MUSTER_API_PORT: '2222' });
  expect(api).toEqual({ enabled: true, host: '::1', port: 2222 });
  expect(logLevel).toBe('debug');
});

test('an empty variable counts as unset', () => {
  expect(loadConfiguration({ MUSTER_API_PORT: '' }).api.port).toBe(7070);
});

test('every problem is reported at once, with the value found, the value needed and what to do', () => {
  const path = file('worker: { graceSeconds: soon }\nsites: [{ id: A, kind: tape }]\n');
  const problems = problemsOf({ MUSTER_CONFIG: path, MUSTER_API_PORT: '70000', MUSTER_TEMPORAL_ADDRESS: 'nowhere' });
  expect(problems).toHaveLength(4);
  expect(problems[0]).toBe(
    'MUSTER_API_PORT: found "70000", needed a port number from 1 to 65535. Correct or unset it: port of the API.',
  );
  expect(problems[1]).toMatch(/^MUSTER_TEMPORAL_ADDRESS: found "nowhere", needed host:port\./);
  expect(problems[2]).toContain('worker.graceSeconds: found "soon", needed a whole number from 0 to 600');
  expect(problems[3]).toContain('sites[0].kind: found "tape", needed one of ');
});

test('a misspelt setting in the file is a problem, a misspelt variable is named', () => {
  expect(problemsOf({ MUSTER_CONFIG: file('api: { prot: 1 }\ntenant: x\n') })).toEqual([
    expect.stringContaining('api.prot: found a setting that does not exist'),
    expect.stringContaining('tenant: found a setting that does not exist'),
  ]);
  expect(loadConfiguration({ MUSTER_API_PROT: '1', MUSTER_CACHE: '/c' }).unknownVariables).toEqual(['MUSTER_API_PROT']);
});

test('a file that is missing or no YAML is one problem', () => {
  expect(problemsOf({ MUSTER_CONFIG: join(folder, 'none.yaml') })).toEqual([expect.stringContaining('ENOENT')]);
  expect(problemsOf({ MUSTER_CONFIG: file('api: [') })).toHaveLength(1);
  expect(problemsOf({ MUSTER_CONFIG: file('just words') })).toHaveLength(1);
});

test('two parts cannot have the same port', () => {
  const problems = problemsOf({ MUSTER_API_PORT: '7072' });
  expect(problems).toEqual([
    expect.stringContaining('MUSTER_POSTGRES_PORT: found "7072", which MUSTER_API_PORT has too'),
  ]);
  expect(problemsOf({ MUSTER_API_PORT: '7071', MUSTER_TEMPORAL_ADDRESS: 'temporal:7233' })).toEqual([]);
});

test('a site of the worker must be a configured one, and ids differ', () => {
  expect(problemsOf({ MUSTER_WORKER_SITES: 'recovery, berlin' })).toEqual([expect.stringContaining('found "berlin"')]);
  const twice = 'sites: [{ id: a, kind: simulated }, { id: a, kind: simulated }]\n';
  expect(problemsOf({ MUSTER_CONFIG: file(twice) })).toEqual([expect.stringContaining('the id "a" more than once')]);
});

describe('the Postgres URL', () => {
  test('with a password is refused as a value, and never shown', () => {
    const [problem, ...others] = problemsOf({ MUSTER_POSTGRES_URL: 'postgres://muster:s3cret@db/muster' });
    expect(others).toEqual([]);
    expect(problem).toContain('MUSTER_POSTGRES_URL_FILE');
    expect(problem).not.toContain('s3cret');
  });

  test('comes from a file, and the configuration does not hold it', () => {
    const path = file('postgres://muster:s3cret@db:5432/muster\n', 'url');
    const configuration = loadConfiguration({ MUSTER_POSTGRES_URL_FILE: path });
    expect(configuration.postgres.embedded).toBe(false);
    expect(JSON.stringify(configuration)).not.toContain('s3cret');
    expect(readPostgresUrl(configuration)).toBe('postgres://muster:s3cret@db:5432/muster');
  });

  test('in a file that holds something else is refused without showing its text', () => {
    const [problem] = problemsOf({ MUSTER_POSTGRES_URL_FILE: file('hunter2', 'url') });
    expect(problem).toContain('whose text is no Postgres URL');
    expect(problem).not.toContain('hunter2');
  });

  test('given twice is refused', () => {
    const path = file('postgres://db/muster', 'url');
    const problems = problemsOf({ MUSTER_POSTGRES_URL: 'postgres://db/muster', MUSTER_POSTGRES_URL_FILE: path });
    expect(problems).toEqual([expect.stringContaining('needed one of them')]);
  });
});

test('the example of the documentation works', () => {
  const configuration = loadConfiguration({ MUSTER_CONFIG: exampleFile });
  expect(configuration.sites.map(({ id, kind }) => [id, kind])).toEqual([['recovery', 'libvirt']]);
  expect(configuration.worker).toMatchObject({ sites: ['recovery'], graceMs: 5_000 });
});
