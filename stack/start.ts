/** Brings up everything on one machine from one data folder, in order, and takes it down again in the reverse order. */
import { join } from 'node:path';
import type { Configuration } from '../config/configuration';
import { openDataFolder, type DataFolder } from './data-folder';
import { endLeftovers, openRegister, readRegister } from './leftovers';
import { lockFolder } from './lock';
import { apiPart, apiUrl, postgresPart, temporalPart, workerPart, type PartsContext } from './parts';
import { requireFreePort } from './ports';
import { prepareDatabase } from './prepare';
import { supervise, type BackOff, type Supervised, type SupervisedPart } from './supervise';
import { requireTemporal } from './temporal-check';

export interface StackOptions {
  /** The environment that the configuration was read from; child processes read it again. */
  readonly env?: NodeJS.ProcessEnv;
  /** One line of progress or of news, for people. */
  readonly say?: (line: string) => void;
  /** Aborted: what was started so far is stopped and the start fails with the signal's reason. */
  readonly signal?: AbortSignal;
  readonly ownProcess?: PartsContext['ownProcess'];
  readonly backOff?: BackOff;
}

export interface RunningStack {
  readonly url: string;
  /** Holds the admin token; mode 0600. */
  readonly tokenFile: string;
  readonly folder: DataFolder;
  /** API, worker, Postgres, Temporal, in this order. May be called twice. */
  stop(): Promise<void>;
}

/**
 * Starts the stack and returns when everything answers. Parts that the configuration puts elsewhere are only checked.
 *
 * @throws StackError for everything that a person can solve; what had been started is stopped before.
 */
export async function startStack(configuration: Configuration, options: StackOptions = {}): Promise<RunningStack> {
  const say = options.say ?? (() => undefined);
  const folder = await openDataFolder(configuration.dataFolder);
  const lock = await lockFolder(folder.lockFile, () => whoRuns(folder));
  const stops: (() => Promise<void>)[] = [() => lock.release()];
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopping ??= runInReverse(stops));
  try {
    for (const ended of await endLeftovers(folder.partsFile))
      say(`${ended} was left by a stack that was killed; it has ended.`);
    await requirePorts(configuration);
    await bringUp(configuration, folder, options, say, stops);
    return { url: apiUrl(configuration.api), tokenFile: folder.tokenFile, folder, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function bringUp(
  configuration: Configuration,
  folder: DataFolder,
  options: StackOptions,
  say: (line: string) => void,
  stops: (() => Promise<void>)[],
): Promise<void> {
  const context: PartsContext = {
    configuration,
    folder,
    env: options.env ?? process.env,
    ownProcess: options.ownProcess ?? ((name) => [process.execPath, join(__dirname, '..', 'bin', 'muster'), name]),
  };
  const onStarted = openRegister(folder.partsFile);
  const add = async (part: SupervisedPart): Promise<Supervised> => {
    options.signal?.throwIfAborted();
    return supervise(part, say, onStarted, { backOff: options.backOff, signal: options.signal });
  };
  const { temporal, postgres, worker, api } = configuration;
  // Both at once; stopping is in order all the same: Postgres before Temporal.
  const servers = await Promise.allSettled([
    temporal.embedded ? add(temporalPart(context)) : requireTemporal(temporal.address, temporal.namespace),
    postgres.embedded ? add(postgresPart(context)) : undefined,
  ]);
  stops.push(
    ...servers.flatMap((result) => (result.status === 'fulfilled' && result.value ? [result.value.stop] : [])),
  );
  const failed = servers.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  await prepareDatabase(configuration, say);
  for (const part of [worker.enabled ? workerPart(context) : undefined, api.enabled ? apiPart(context) : undefined]) {
    if (part !== undefined) stops.push((await add(part)).stop);
  }
  options.signal?.throwIfAborted();
}

async function requirePorts({ temporal, postgres, api }: Configuration): Promise<void> {
  const local = '127.0.0.1';
  if (temporal.embedded) await requireFreePort(local, temporal.port, 'Temporal', 'MUSTER_TEMPORAL_PORT');
  if (temporal.embedded && temporal.uiPort !== null) {
    await requireFreePort(local, temporal.uiPort, "Temporal's pages", 'MUSTER_TEMPORAL_UI_PORT');
  }
  if (postgres.embedded) await requireFreePort(local, postgres.port, 'Postgres', 'MUSTER_POSTGRES_PORT');
  if (api.enabled) await requireFreePort(api.host, api.port, 'the API', 'MUSTER_API_PORT');
}

async function whoRuns(folder: DataFolder): Promise<string> {
  const register = await readRegister(folder.partsFile);
  return register === undefined ? folder.root : `process ${register.upPid}, since ${register.since}, on ${folder.root}`;
}

/** Every stop is tried; the first failure is thrown at the end. */
async function runInReverse(stops: (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  while (stops.length > 0) await stops.pop()!().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}
