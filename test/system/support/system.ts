/**
 * A whole Muster as a newcomer has it: `muster up` as processes, this machine's QEMU as both sites, acts through the
 * command line. With a folder, ports, a tenant and machine names of its own; `close` takes everything away, whatever failed.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerDetail } from '../../../cli/documents';
import type { PointManifest } from '../../../model/replica';
import type { ParkingView, RunView } from '../../../model/run-view';
import { isClosedRun } from '../../../model/steps';
import { placeOf, type ReplicaPlace } from '../../../replication/place';
import { freePort } from '../../../stack/ports';
import { virsh } from '../../replication/support/demo-machine';
import { exitCodeOf } from '../../replication/support/tools';
import { descendantsOf, processesNaming, survivors } from './processes';

const muster = resolve(__dirname, '../../../bin/muster');

export interface System {
  /** For the test's own files; QEMU can reach them. */
  readonly folder: string;
  readonly dataFolder: string;
  up(): Promise<void>;
  /** Runs a command and returns what it printed. @throws when its exit code is another one. */
  muster(args: readonly string[], exitCode?: number): Promise<string>;
  json<T>(...args: string[]): Promise<T>;
  /** The same commands, by whom the token is of. */
  as(token: string): Pick<System, 'muster'>;
  /** A document of the API, by its path behind /api/v1. */
  get<T>(path: string): Promise<T>;
  view(runId: string): Promise<RunView>;
  /** The worker that polls now. */
  workerPid(): number;
  /** At the recovery site, or at another one. */
  replica(serverId: string, siteId?: string): ReplicaPlace;
  close(): Promise<void>;
}

export interface SystemSettings {
  /** Sites and sources as they stand in the configuration's file; default: this machine's QEMU as both. */
  readonly sites?: object;
  /** The hypervisor, where it is not the system's. */
  readonly uri?: string;
  /** Default: a new one. */
  readonly folder?: string;
  /** A folder of programs that stand before this machine's own. */
  readonly path?: string;
}

export function newSystemFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'muster-system-'));
  chmodSync(folder, 0o711);
  return folder;
}

/** `machine`: the beginning of the names of all machines of this test. */
export async function openSystem(machine: string, settings: SystemSettings = {}): Promise<System> {
  const folder = settings.folder ?? newSystemFolder();
  const dataFolder = join(folder, 'data');
  const [api, temporal, postgres] = [await freePort(), await freePort(), await freePort()];
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    ...(settings.path === undefined ? {} : { PATH: `${settings.path}:${process.env.PATH}` }),
    MUSTER_DATA_FOLDER: dataFolder,
    MUSTER_TENANT_ID: machine,
    MUSTER_API_PORT: String(api),
    MUSTER_TEMPORAL_PORT: String(temporal),
    MUSTER_POSTGRES_PORT: String(postgres),
    ...(settings.sites === undefined ? {} : { MUSTER_CONFIG: join(folder, 'muster.json') }),
  };
  // JSON is YAML.
  if (settings.sites !== undefined) writeFileSync(join(folder, 'muster.json'), JSON.stringify(settings.sites));
  const replica = (serverId: string, siteId = 'recovery') =>
    placeOf(join(dataFolder, 'sites', siteId, 'replicas'), '/run/muster', serverId);
  let stack: ChildProcess | undefined;
  const run = (args: readonly string[], exitCode?: number): Promise<string> => runMuster(env, args, exitCode);
  const get = async <T>(path: string): Promise<T> => {
    // Asked often: without a new process each time.
    const token = readFileSync(join(dataFolder, 'admin-token'), 'utf8').trim();
    const headers = { authorization: `Bearer ${token}` };
    for (const endsAt = performance.now() + 60_000; ; await sleep(500)) {
      const signal = AbortSignal.timeout(60_000);
      const answer = await fetch(`http://127.0.0.1:${api}/api/v1${path}`, { headers, signal });
      if (answer.ok) return (await answer.json()) as T;
      // 503: not now. Nobody has taken a new run yet, or a part that would know is slow.
      if (answer.status === 503 && performance.now() < endsAt) continue;
      throw new Error(`The API answered ${answer.status}: ${await answer.text()}`);
    }
  };
  const readJson = <T>(name: string): T => JSON.parse(readFileSync(join(dataFolder, name), 'utf8')) as T;
  return {
    folder,
    dataFolder,
    up: async () => {
      stack = spawn(process.execPath, [muster, 'up'], { env });
      await prints(stack, 'Muster runs at');
    },
    muster: run,
    json: async <T>(...args: string[]) => JSON.parse(await run(['--json', ...args])) as T,
    as: (token) => ({ muster: (args, exitCode) => runMuster({ ...env, MUSTER_TOKEN: token }, args, exitCode) }),
    get,
    view: async (runId) => (await get<ServerDetail>(`/runs/${runId}`)).view,
    workerPid: () => readJson<{ pid: number }>('worker.json').pid,
    replica,
    close: async () => {
      await end(stack);
      if (settings.uri === undefined) await removeMachines(machine, folder);
      for (const { pid } of processesNaming(folder)) kill(pid);
      await survivors(processesNaming(folder), 10_000);
      for (const [siteId, id] of replicasIn(dataFolder))
        rmSync(replica(id, siteId).socketFolder, { recursive: true, force: true });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended since it was seen.
  }
}

/** Of every site: its id and the server's. */
function replicasIn(dataFolder: string): [siteId: string, serverId: string][] {
  const ids = (folder: string) => (existsSync(folder) ? readdirSync(folder) : []);
  return ids(join(dataFolder, 'sites')).flatMap((siteId) =>
    ids(join(dataFolder, 'sites', siteId, 'replicas')).map((id): [string, string] => [siteId, id]),
  );
}

function runMuster(env: NodeJS.ProcessEnv, args: readonly string[], exitCode = 0): Promise<string> {
  return new Promise((done, fail) => {
    execFile(process.execPath, [muster, ...args], { env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : (error as { code?: unknown }).code;
      if (code === exitCode) return done(stdout);
      fail(new Error(`muster ${args.join(' ')} ended with ${String(code)}:\n${stdout}\n${stderr}`));
    });
  });
}

function prints(child: ChildProcess, text: string): Promise<void> {
  return new Promise((done, fail) => {
    let output = '';
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (output.includes(text)) done();
      });
    }
    child.once('close', (code) => fail(new Error(`muster up ended with ${String(code)}:\n${output}`)));
  });
}

async function end(stack: ChildProcess | undefined): Promise<void> {
  if (stack === undefined || stack.exitCode !== null || stack.signalCode !== null) return;
  const ended = new Promise((done) => stack.once('close', done));
  stack.kill('SIGTERM');
  await Promise.race([ended, sleep(60_000, undefined, { ref: false })]);
}

/** Machines by their name and by their owner, and the storage pools over the test's folder. */
async function removeMachines(machine: string, folder: string): Promise<void> {
  for (const name of [...(await machinesNamed(machine)), ...(await machinesOf(machine))]) {
    await exitCodeOf('virsh', '-c', 'qemu:///system', 'destroy', name);
    await exitCodeOf('virsh', '-c', 'qemu:///system', 'undefine', name, '--checkpoints-metadata');
  }
  for (const pool of await poolsIn(folder)) await exitCodeOf('virsh', '-c', 'qemu:///system', 'pool-destroy', pool);
}

export async function machinesNamed(beginning: string): Promise<string[]> {
  const names = (await virsh('list', '--all', '--name')).split('\n').map((name) => name.trim());
  return names.filter((name) => name !== '' && name.startsWith(beginning)).sort();
}

/** Machines that Muster made for the tenant, whatever they are called. */
export async function machinesOf(tenant: string): Promise<string[]> {
  const names = await machinesNamed('');
  const texts = await Promise.all(names.map((name) => virsh('dumpxml', name).catch(() => '')));
  return names.filter((_, at) => texts[at]!.includes(`tenant="${tenant}"`));
}

export async function poolsIn(folder: string): Promise<string[]> {
  const names = (await virsh('pool-list', '--all', '--name')).split('\n').map((name) => name.trim());
  const found = await Promise.all(
    names
      .filter((name) => name !== '')
      .map(async (name) => ({ name, xml: await virsh('pool-dumpxml', name).catch(() => '') })),
  );
  return found.filter(({ xml }) => xml.includes(folder)).map(({ name }) => name);
}

/** Manifests as they lie on the disk, oldest first; without one that replication takes away meanwhile. */
export function manifests(place: ReplicaPlace): PointManifest[] {
  return readdirSync(place.points)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .flatMap((name) => {
      try {
        return [JSON.parse(readFileSync(join(place.points, name), 'utf8')) as PointManifest];
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    });
}

/** From one question to the next, with a boot that a busy machine takes a quarter of an hour for. */
const longestStretchMs = 1_200_000;

/**
 * Waits until the run waits for people; fails when it ends instead. Asked of the run itself: while a killed worker is away its
 * view is of the journal, in which something may stand open that was answered just before.
 */
export async function waiting(system: System, runId: string): Promise<ParkingView> {
  let seen: RunView | undefined;
  const found = eventually('the run waits for people', longestStretchMs, async () => {
    const { view, source } = await system.get<ServerDetail>(`/runs/${runId}`);
    seen = view;
    const open = source === 'live' ? view.parkings.find((parking) => parking.until === null) : undefined;
    if (open === undefined && isClosedRun(view.state)) {
      throw new Error(`The run ended as ${view.state}: ${JSON.stringify(view.parkings)}`);
    }
    return open;
  });
  return found.catch((error: Error) => {
    const steps = seen?.steps.map(({ id, state, attempts }) => `${id} ${state} (${attempts.length})`).join(', ');
    throw new Error(`${error.message} It is ${seen?.state}: ${steps}`);
  });
}

/** Waits until the run waits at this gate; fails with the cause when it waits for something else. */
export async function waitingAtGate(system: System, runId: string, step: string): Promise<ParkingView> {
  const parking = await waiting(system, runId);
  if (parking.kind === 'gate' && parking.step === step) return parking;
  throw new Error(`The run waits at ${parking.step} (${parking.kind}) and not at the gate ${step}: ${parking.cause}`);
}

/** Asks until there is an answer. @throws when the time is over, with what was waited for, also where a question gets no answer. */
export async function eventually<T>(
  what: string,
  withinMs: number,
  ask: () => Promise<T | undefined> | T | undefined,
  everyMs = 500,
): Promise<T> {
  const inVain = new Error(`Waited ${withinMs / 1000} s in vain until ${what}.`);
  const endsAt = performance.now() + withinMs;
  for (;;) {
    const answer = await within(Math.max(0, endsAt - performance.now()) + lastAnswerMs, ask, inVain);
    if (answer !== undefined) return answer;
    if (performance.now() >= endsAt) throw inVain;
    await sleep(everyMs);
  }
}

/** A question that is asked when the time is nearly over. */
const lastAnswerMs = 30_000;

async function within<T>(ms: number, ask: () => Promise<T> | T, inVain: Error): Promise<T> {
  const over = new AbortController();
  const late = sleep(ms, undefined, { signal: over.signal }).then(() => Promise.reject(inVain));
  // Ended below, when there is an answer.
  late.catch(() => undefined);
  try {
    return await Promise.race([ask(), late]);
  } finally {
    over.abort();
  }
}

/**
 * SIGKILL to the worker as soon as `sees`; asked every few milliseconds, for what is to be met takes tenths of a second. It is
 * stopped first: while its children are looked for, which takes about as long, it would go on.
 */
export async function killWorker(system: System, what: string, sees: () => Promise<boolean> | boolean): Promise<void> {
  const worker = system.workerPid();
  await eventually(what, 300_000, async () => (await sees()) || undefined, 3);
  process.kill(worker, 'SIGSTOP');
  const children = descendantsOf(worker);
  process.kill(worker, 'SIGKILL');
  expect(await survivors(children, 60_000)).toEqual([]);
}
