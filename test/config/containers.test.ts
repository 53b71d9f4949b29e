/**
 * What can be known of Dockerfile and docker-compose.yml without a container engine: everything that they name is there,
 * and everything that Muster runs is in the image.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { parse } from 'yaml';
import { createProgram } from '../../cli/program';
import { loadConfiguration } from '../../config/load';
import { tools } from '../../stack/doctor/tools';
import { systemPackages } from '../../tools/setup/system-packages.mjs';

const root = join(__dirname, '../..');
const read = (name: string): string => readFileSync(join(root, name), 'utf8');
const manifest = JSON.parse(read('package.json')) as {
  engines: { node: string };
  dependencies: Record<string, string>;
};

interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly command?: string[];
  readonly environment: Record<string, string>;
  readonly secrets?: string[];
  readonly volumes?: string[];
  readonly ports?: string[];
  readonly depends_on?: Record<string, { condition: string }>;
  readonly healthcheck?: object;
}
const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  services: Record<string, Service>;
  secrets: Record<string, { file: string }>;
  volumes: Record<string, unknown>;
};
const services = Object.values(compose.services);
const ours = services.filter((service) => service.build !== undefined);

/** What the head of docker-compose.yml tells people to write into the secret. */
const writtenUrl = /echo "(postgres:\/\/[^"]*)"/.exec(read('docker-compose.yml'))![1]!.replace(/\$\([^)]*\)/, 'secret');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-containers-'));
  writeFileSync(join(folder, 'postgres-url'), writtenUrl);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** As in the container, whose secrets are files here. */
const configurationOf = ({ environment }: Service) =>
  loadConfiguration({ ...environment, MUSTER_POSTGRES_URL_FILE: join(folder, 'postgres-url') });

/** Instructions with their continuation lines joined. */
const instructions = read('Dockerfile')
  .replace(/^#.*\n/gm, '')
  .replace(/\\\n/g, ' ')
  .split('\n')
  .flatMap((line) => {
    const [, name, rest] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    return name === undefined ? [] : [{ name, words: rest!.trim().split(/\s+/) }];
  });
const all = (name: string) => instructions.filter((one) => one.name === name);
const ignored = read('.dockerignore').split('\n').filter(Boolean);
/** Patterns of .dockerignore are relative to its folder; ours are names and one kind of ending. */
const isShipped = (path: string): boolean => {
  const [top = ''] = path.split('/');
  if (ignored.includes(top)) return false;
  return path !== top || !ignored.some((pattern) => pattern.startsWith('*.') && top.endsWith(pattern.slice(1)));
};

test('every file that is copied into the image exists and is not kept out of it', () => {
  const sources = all('COPY').flatMap(({ words }) => words.slice(0, -1).filter((word) => !word.startsWith('--')));
  expect(sources).toContain('package-lock.json');
  for (const source of sources) {
    expect([source, existsSync(join(root, source))]).toEqual([source, true]);
    if (source !== '.') expect([source, isShipped(source)]).toEqual([source, true]);
  }
});

test('the image starts what exists there, on a Node that Muster takes, and keeps what Muster writes', () => {
  const workdir = all('WORKDIR').at(-1)!.words[0]!;
  const [program, script] = JSON.parse(all('ENTRYPOINT')[0]!.words.join(' ')) as [string, string];
  expect(program).toBe('node');
  expect(isShipped(relative(workdir, script))).toBe(true);
  expect(existsSync(join(root, relative(workdir, script)))).toBe(true);
  const major = Number(/^node:(\d+)/.exec(all('FROM')[0]!.words[0]!)?.[1]);
  expect(major).toBeGreaterThanOrEqual(Number(/>=(\d+)/.exec(manifest.engines.node)?.[1]));
  const dataFolder = /MUSTER_DATA_FOLDER=(\S+)/.exec(read('Dockerfile'))?.[1];
  expect(all('VOLUME').map(({ words }) => words[0])).toEqual([dataFolder]);
});

test('what runs in the image is made of files and packages that are in it', () => {
  const entries = ['cli/main.ts', 'workflows/index.ts', 'worker/main.ts', 'stack/up.ts', 'stack/api-process.ts'];
  const { files, packages } = importsFrom(entries);
  expect(files.length).toBeGreaterThan(200);
  expect(files.filter((file) => !isShipped(file))).toEqual([]);
  expect(packages).toContain('@temporalio/worker');
  expect(packages.filter((name) => !(name in manifest.dependencies))).toEqual([]);
});

test('every program that Muster runs is in a package of the image', () => {
  const installed = all('RUN')
    .flatMap(({ words }) => words)
    .filter((word) => /^[a-z0-9][a-z0-9.+-]+$/.test(word));
  const { files } = importsFrom(['worker/main.ts', 'stack/api-process.ts']);
  const source = files.map(read).join('\n');
  const used = systemPackages.filter(({ programs = [] }) => programs.some((name) => source.includes(`'${name}'`)));
  expect(used.map(({ name }) => name)).toEqual(expect.arrayContaining(['qemu-utils', 'guestfish', 'zstd']));
  const needed = [...used.map(({ name }) => name), ...tools.map((tool) => tool.package), 'linux-image-amd64'];
  expect([...new Set(needed)].filter((name) => !installed.includes(name))).toEqual([]);
});

test('our containers run commands that exist, with a whole configuration that has Temporal and Postgres elsewhere', () => {
  const commands = createProgram().commands.map((command) => command.name());
  for (const service of ours) {
    expect(commands).toContain(service.command?.[0]);
    expect(service.environment['MUSTER_POSTGRES_URL_FILE']).toMatch(/^\/run\/secrets\//);
    const configuration = configurationOf(service);
    expect(configuration).toMatchObject({ temporal: { embedded: false }, postgres: { embedded: false } });
    expect(configuration.unknownVariables).toEqual([]);
    const host = configuration.temporal.address.split(':')[0]!;
    expect(compose.services).toHaveProperty([host]);
    const temporal = compose.services[host]!.environment;
    expect(temporal['DEFAULT_NAMESPACE']).toBe(configuration.temporal.namespace);
    const keptDays = Number(/^(\d+)d$/.exec(temporal['DEFAULT_NAMESPACE_RETENTION'] ?? '')?.[1]);
    expect(keptDays).toBeGreaterThanOrEqual(configuration.temporal.retentionDays);
  }
});

test('the URL that people are told to write leads to the Postgres of the same file', () => {
  const { hostname, port, username, pathname } = new URL(writtenUrl);
  const { image, environment } = compose.services[hostname]!;
  expect([image?.split(':')[0], port]).toEqual(['postgres', '5432']);
  expect(environment).toMatchObject({ POSTGRES_USER: username, POSTGRES_DB: pathname.slice(1) });
});

test('the data folder and the sockets of libvirt lie at the same path inside and outside, in every container of ours', () => {
  for (const { volumes = [], environment } of ours) {
    const mounts = volumes.map((volume) => volume.split(':'));
    expect(mounts.map(([, inside]) => inside)).toContain(environment['MUSTER_DATA_FOLDER']);
    for (const [outside, inside] of mounts) expect(inside).toBe(outside);
  }
  const named = services.flatMap(({ volumes = [] }) => volumes.filter((volume) => !/^[./]/.test(volume)));
  expect(named.map((volume) => volume.split(':')[0])).toEqual(Object.keys(compose.volumes));
});

test('the port that is published is the one that the API listens on, and only on this machine', () => {
  const published = ours.filter(({ ports }) => ports !== undefined);
  expect(published).toHaveLength(1);
  for (const service of published) {
    const { api } = configurationOf(service);
    expect(service.ports).toEqual([`127.0.0.1:${api.port}:${api.port}`]);
    // Loopback inside the container is reached by nobody outside it.
    expect(api.host).toBe('0.0.0.0');
  }
});

test('a secret that a container reads is given to it, and kept out of the image', () => {
  for (const service of services) {
    const text = JSON.stringify(service);
    const wanted = [...new Set([...text.matchAll(/\/run\/secrets\/([\w-]+)/g)].map((match) => match[1]!))];
    expect(wanted.filter((name) => !(service.secrets ?? []).includes(name))).toEqual([]);
  }
  for (const { file } of Object.values(compose.secrets)) expect(isShipped(relative('.', file))).toBe(false);
});

test('a container waits for what another one can become', () => {
  for (const { depends_on: waits = {} } of services) {
    for (const [name, { condition }] of Object.entries(waits)) {
      const other = compose.services[name]!;
      if (condition === 'service_healthy') expect(other.healthcheck).toBeDefined();
      else if (condition === 'service_completed_successfully') expect(other.command).toEqual(['prepare']);
      else expect(condition).toBe('service_started');
    }
  }
});

/** Everything that is loaded from these files on: files of ours, and names of packages. Types are left out. */
function importsFrom(entries: readonly string[]): { files: string[]; packages: string[] } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const todo = [...entries];
  for (let file = todo.pop(); file !== undefined; file = todo.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    for (const wanted of importsOf(read(file))) {
      if (wanted.startsWith('.')) todo.push(resolved(file, wanted));
      else if (!wanted.startsWith('node:') && !builtinModules.includes(wanted)) packages.add(packageOf(wanted));
    }
  }
  return { files: [...files], packages: [...packages] };
}

function importsOf(source: string): string[] {
  const values = source.replace(/^(import|export) type [^;]*;/gm, '');
  const patterns = [
    /^(?:import|export)\b[^;'"]*?from '([^']+)';/gm,
    /\b(?:later(?:<[^>]*>)?|require|import)\('([^']+)'\)/g,
  ];
  return patterns.flatMap((pattern) => [...values.matchAll(pattern)].map((match) => match[1]!));
}

const packageOf = (name: string): string =>
  name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');

function resolved(from: string, wanted: string): string {
  const path = join(dirname(from), wanted);
  const candidates = [path, `${path}.ts`, join(path, 'index.ts')];
  const found = candidates.find((one) => existsSync(join(root, one)) && statSync(join(root, one)).isFile());
  if (found === undefined) throw new Error(`${from} imports ${wanted}, which is not there`);
  return found;
}
