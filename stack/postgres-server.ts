/** The embedded Postgres: one cluster in a folder, stopped and started again on the same data. */
import { chmod, chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { StackError } from './exit-codes';
import { becomeUser, runBriefly, type PostgresPrograms } from './postgres-binaries';
import { startPart, waitUntilReady, type Part } from './part';

export interface PostgresOptions {
  readonly programs: PostgresPrograms;
  /** Owned by the user that Postgres runs as; the cluster is its subfolder `cluster`. */
  readonly folder: string;
  readonly host: string;
  readonly port: number;
  /** undefined: anybody who reaches the port may connect (tests only). */
  readonly password: string | undefined;
  /** Further settings, `name=value`. */
  readonly settings?: readonly string[];
  readonly logFile: string;
}

const superuser = 'muster';
const stopGraceMs = 10_000;

/** Connection string of a database in this cluster. */
export function postgresUrl(options: Pick<PostgresOptions, 'host' | 'port' | 'password'>, database: string): string {
  const password = options.password === undefined ? '' : `:${encodeURIComponent(options.password)}`;
  return `postgres://${superuser}${password}@${options.host}:${options.port}/${database}`;
}

/**
 * Creates the cluster if there is none, starts it and waits until it takes connections.
 * What a kill -9 left behind (half a cluster, a stale postmaster.pid, a postmaster on its way out) is cleared first.
 *
 * @throws StackError `part-not-up` with the log's end, `folder-not-usable` for a cluster of another major version.
 */
export async function startPostgres(options: PostgresOptions): Promise<Part> {
  await createCluster(options);
  await clearStalePostmaster(clusterFolder(options));
  const part = startPart({
    name: 'Postgres',
    file: options.programs.postgres,
    args: postgresArgs(options),
    logFile: options.logFile,
    cwd: options.folder,
    // INT is Postgres' fast shutdown: sessions are ended, the data are left clean.
    deathSignal: 'INT',
    user: options.programs.user,
  });
  await waitUntilReady(part, () => takesConnections(clusterFolder(options), part.pid), 30_000).catch(async (error) => {
    await stopPostgres(part);
    throw error;
  });
  return part;
}

/** SIGINT is the fast shutdown: running sessions are ended. */
export async function stopPostgres(part: Part): Promise<void> {
  await part.stop('SIGINT', stopGraceMs);
}

/** Creates the database; already there: already so. */
export async function createDatabase(adminUrl: string, name: string, template?: string): Promise<void> {
  const client = new Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const from = template === undefined ? '' : ` template ${client.escapeIdentifier(template)}`;
    await client.query(`create database ${client.escapeIdentifier(name)}${from}`);
  } catch (error) {
    const duplicate = '42P04';
    if ((error as { code?: string }).code !== duplicate) throw error;
  } finally {
    await client.end();
  }
}

export function postgresArgs(options: PostgresOptions): string[] {
  const settings = [
    `listen_addresses=${options.host}`,
    `port=${options.port}`,
    // TCP only: a socket's path would have to be short, and nothing here needs one.
    'unix_socket_directories=',
    'max_connections=200',
    'logging_collector=off',
    ...(options.settings ?? []),
  ];
  return ['-D', clusterFolder(options), ...settings.flatMap((setting) => ['-c', setting])];
}

function clusterFolder(options: Pick<PostgresOptions, 'folder'>): string {
  return join(options.folder, 'cluster');
}

/** Built beside and renamed, so that an initdb that was cut short is never taken for a cluster. */
async function createCluster(options: PostgresOptions): Promise<void> {
  const { folder, programs, password } = options;
  const cluster = clusterFolder(options);
  if (existsSync(join(cluster, 'PG_VERSION'))) return requireSameVersion(cluster, programs);
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o700);
  if (programs.user !== undefined) await chown(folder, programs.user.uid, programs.user.gid);
  const fresh = join(folder, 'cluster.new');
  const passwordFile = join(folder, 'password.new');
  await rm(fresh, { recursive: true, force: true });
  const secret = ['--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  const [command, ...args] = [
    ...becomeUser(programs.user),
    programs.initdb,
    ...['-D', fresh, '-U', superuser, '-E', 'UTF8', '--locale=C.UTF-8'],
    ...(password === undefined ? ['--auth=trust', '--no-sync'] : secret),
  ];
  try {
    if (password !== undefined) {
      await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
      if (programs.user !== undefined) await chown(passwordFile, programs.user.uid, programs.user.gid);
    }
    await runBriefly(command!, args, { timeout: 120_000, cwd: '/' });
    await rename(fresh, cluster);
  } catch (error) {
    throw cannotCreate(options, error);
  } finally {
    await rm(passwordFile, { force: true });
  }
}

function cannotCreate(options: PostgresOptions, error: unknown): StackError {
  const user = options.programs.user;
  return new StackError(
    'part-not-up',
    {
      what: `Postgres could not create its cluster in ${options.folder}`,
      found: error instanceof Error ? error.message : String(error),
      ...(user === undefined
        ? {}
        : { remedy: `Postgres runs as ${user.name}: every folder above must let that user pass (chmod o+x).` }),
    },
    { cause: error },
  );
}

async function requireSameVersion(cluster: string, programs: PostgresPrograms): Promise<void> {
  const found = (await readFile(join(cluster, 'PG_VERSION'), 'utf8')).trim();
  const { stdout } = await runBriefly(programs.postgres, ['--version'], { timeout: 10_000 });
  const needed = /(\d+)\./.exec(stdout)?.[1];
  if (needed === undefined || found === needed) return;
  throw new StackError('folder-not-usable', {
    what: `the Postgres data in ${cluster} cannot be opened`,
    found: `written by Postgres ${found}`,
    needed: `Postgres ${needed}, which comes with this version of Muster`,
    remedy: 'Use pg_upgrade or dump and restore, or point MUSTER_POSTGRES_URL_FILE at a server of your own.',
  });
}

/**
 * Ends a postmaster that a killed `up` left behind in this folder, and removes a postmaster.pid whose process is gone
 * or is another program by now: Postgres itself would refuse to start when the number was given out again.
 */
async function clearStalePostmaster(cluster: string): Promise<void> {
  const pidFile = join(cluster, 'postmaster.pid');
  const pid = Number((await readFile(pidFile, 'utf8').catch(() => '')).split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 0) return;
  const isPostmaster = async (): Promise<boolean> =>
    (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0').includes(cluster);
  for (let waitedMs = 0; await isPostmaster(); waitedMs += 100) {
    if (waitedMs % 1_000 === 0) process.kill(pid, waitedMs < stopGraceMs ? 'SIGINT' : 'SIGKILL');
    await sleep(100);
  }
  await rm(pidFile, { force: true });
}

/** The eighth line of postmaster.pid is the postmaster's own word on it (src/include/utils/pidfile.h). */
async function takesConnections(cluster: string, pid: number): Promise<boolean> {
  const lines = (await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  return lines[0]?.trim() === String(pid) && lines[7]?.trim() === 'ready';
}
