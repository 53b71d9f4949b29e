/** How each part of the stack is started and ended. What is ready is asked of the part itself, not guessed from time. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Configuration } from '../config/configuration';
import { writePrivately, type DataFolder } from './data-folder';
import { startPart, waitUntilReady, type Part } from './part';
import { findPostgres } from './postgres-binaries';
import { createDatabase, postgresUrl, startPostgres, stopPostgres } from './postgres-server';
import type { SupervisedPart } from './supervise';
import { namespaceAnswers, raiseRetention } from './temporal-check';
import { findTemporal } from './temporal-binary';
import { startTemporal } from './temporal-server';
import { readWorkerStatus } from './worker-status';

export interface PartsContext {
  readonly configuration: Configuration;
  readonly folder: DataFolder;
  /** For child processes; they read the same configuration from it. */
  readonly env: NodeJS.ProcessEnv;
  /** argv of a child process of ours. */
  readonly ownProcess: (name: 'worker' | 'api') => readonly string[];
}

/** A cold start on a loaded machine of two cores took 6 s; this is for slower ones. */
const readyTimeoutMs = 90_000;
const host = '127.0.0.1';
const database = 'muster';

export function temporalPart({ configuration, folder, env }: PartsContext): SupervisedPart {
  const { address, namespace, port, uiPort, retentionDays } = configuration.temporal;
  return {
    name: 'Temporal',
    async start(signal) {
      const binary = await findTemporal(env);
      const logFile = join(folder.logs, 'temporal.log');
      const part = startTemporal({
        binary,
        databaseFile: folder.temporalDatabase,
        host,
        port,
        uiPort,
        namespace,
        logFile,
      });
      await ready(part, () => namespaceAnswers(address, namespace), signal);
      await raiseRetention(address, namespace, retentionDays);
      return part;
    },
    end: (part) => part.stop('SIGTERM', 10_000),
  };
}

export function postgresPart({ configuration, folder }: PartsContext): SupervisedPart {
  return {
    name: 'Postgres',
    async start() {
      const password = await ensurePassword(folder.postgresPasswordFile);
      const where = { host, port: configuration.postgres.port, password };
      const part = await startPostgres({
        ...where,
        programs: await findPostgres(folder.postgresPrograms),
        folder: folder.postgres,
        logFile: join(folder.logs, 'postgres.log'),
      });
      await createDatabase(postgresUrl(where, 'postgres'), database);
      await writePrivately(folder.postgresUrlFile, `${postgresUrl(where, database)}\n`);
      return part;
    },
    end: stopPostgres,
  };
}

export function workerPart(context: PartsContext): SupervisedPart {
  const { configuration, folder } = context;
  return {
    name: 'the worker',
    async start(signal) {
      const part = startOwn(context, 'worker');
      const polls = async (): Promise<boolean> => {
        const status = await readWorkerStatus(folder.workerStatusFile);
        return status?.pid === part.pid && status.state === 'polling';
      };
      await ready(part, polls, signal);
      return part;
    },
    // Its own grace time, and some time to say goodbye to Temporal.
    end: (part) => part.stop('SIGTERM', configuration.worker.graceMs + 5_000),
  };
}

export function apiPart(context: PartsContext): SupervisedPart {
  const { api } = context.configuration;
  return {
    name: 'the API',
    async start(signal) {
      const part = startOwn(context, 'api');
      await ready(part, () => isReady(`${apiUrl(api)}/api/v1/ready`), signal);
      return part;
    },
    end: (part) => part.stop('SIGTERM', 10_000),
  };
}

/** The address that a person or the CLI uses. */
export function apiUrl(api: Configuration['api']): string {
  const anyAddress = ['0.0.0.0', '::'].includes(api.host);
  const name = anyAddress ? '127.0.0.1' : api.host.includes(':') ? `[${api.host}]` : api.host;
  return `http://${name}:${api.port}`;
}

function startOwn({ ownProcess, env, folder, configuration }: PartsContext, name: 'worker' | 'api'): Part {
  const [file, ...args] = ownProcess(name);
  return startPart({
    name: name === 'api' ? 'the API' : 'the worker',
    file: file!,
    args,
    env,
    // The worker resolves those of orders and sites, whatever they are called; the API those that its configuration names.
    secrets: name === 'worker' ? 'all' : secretVariablesOf(configuration.notifications),
    logFile: join(folder.logs, `${name}.log`),
  });
}

/** Of the mail server and the webhooks. */
function secretVariablesOf({ mail, webhooks }: Configuration['notifications']): string[] {
  const refs = [mail?.password ?? null, ...webhooks.map(({ secret }) => secret)];
  return refs.flatMap((ref) => (ref?.from === 'environment' ? [ref.name] : []));
}

async function ready(part: Part, check: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  try {
    await waitUntilReady(part, check, readyTimeoutMs, signal);
  } catch (error) {
    await part.stop('SIGTERM', 5_000);
    throw error;
  }
}

async function isReady(url: string): Promise<boolean> {
  return fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
    (response) => response.ok,
    () => false,
  );
}

async function ensurePassword(file: string): Promise<string> {
  const present = (await readFile(file, 'utf8').catch(() => '')).trim();
  if (present !== '') return present;
  const password = randomBytes(24).toString('base64url');
  await writePrivately(file, `${password}\n`);
  return password;
}
