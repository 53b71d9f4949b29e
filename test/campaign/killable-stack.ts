/**
 * A whole stack of real processes, each of which can be killed alone: Temporal and Postgres on their files, two workers,
 * an API. Everything is on 127.0.0.1, on free ports and in one folder; the sites are simulated.
 */
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { loadConfiguration } from '../../config/load';
import { dataFolderAt, openDataFolder } from '../../stack/data-folder';
import { apiPart, apiUrl, postgresPart, temporalPart, workerPart, type PartsContext } from '../../stack/parts';
import { freePort } from '../../stack/ports';
import { prepareDatabase } from '../../stack/prepare';
import { cacheFolder } from '../../stack/temporal-binary';
import type { SupervisedPart } from '../../stack/supervise';
import { keepPart, lastLines, type KillablePart } from './killable-part';
import type { PartName } from './plan';
import { siteFolder, type SiteName } from './sites';

export interface KillableStack {
  readonly folder: string;
  readonly parts: Readonly<Record<PartName, KillablePart>>;
  readonly apiUrl: string;
  readonly token: string;
  readonly postgresUrl: string;
  readonly temporal: { readonly address: string; readonly namespace: string };
  readonly evidenceFolder: string;
  /** What happened to the parts, oldest first. */
  readonly diary: readonly string[];
  note(line: string): void;
  /** @throws why a part is not up at the deadline. */
  allUp(deadline: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  /** Removes the folder. */
  remove(): Promise<void>;
}

export const sitesInUse: readonly SiteName[] = ['calm', 'storm'];
const entry = resolve(__dirname, 'process.ts');

/** Where what people are told is sent to, with the secret that it is signed with; runbooks name it `watch`. */
export interface StackOptions {
  readonly webhook?: { readonly url: string; readonly secret: string };
}

export const webhookName = 'watch';
const webhookVariable = 'MUSTER_SECRET_CAMPAIGN_WEBHOOK';

/** Starts everything. @throws why a part did not come up in time; then nothing is left running */
export async function startKillableStack(options: StackOptions = {}): Promise<KillableStack> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-campaign-'));
  // Postgres runs as an unprivileged user when the tests run as root.
  await chmod(folder, 0o711);
  const begun = performance.now();
  const diary: string[] = [];
  const note = (line: string): void =>
    void diary.push(`${((performance.now() - begun) / 1000).toFixed(2).padStart(7)} s  ${line}`);
  const env = await writeConfiguration(folder, options);
  const first = await contextOf(env);
  const second = await contextOf(await secondWorkersEnv(env, first));
  const parts = await bringUp(first, second, note);
  const { temporal, api, evidenceFolder } = first.configuration;
  return {
    folder,
    parts,
    diary,
    note,
    evidenceFolder,
    apiUrl: apiUrl(api),
    token: (await readFile(first.folder.tokenFile, 'utf8')).trim(),
    postgresUrl: (await readFile(first.folder.postgresUrlFile, 'utf8')).trim(),
    temporal,
    allUp: async (deadline) => void (await Promise.all(Object.values(parts).map((part) => part.up(deadline)))),
    async stop() {
      for (const name of stopOrder) await parts[name].stop();
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

const stopOrder: readonly PartName[] = ['api', 'worker', 'second-worker', 'postgres', 'temporal'];
export const startLimitMs = 180_000;

async function bringUp(
  first: PartsContext,
  second: PartsContext,
  note: (line: string) => void,
): Promise<KillableStack['parts']> {
  const deadline = AbortSignal.timeout(startLimitMs);
  const parts: Partial<Record<PartName, KillablePart>> = {};
  const keep = async (name: PartName, context: PartsContext, part: SupervisedPart, log: string): Promise<void> => {
    parts[name] = keepPart(name, part, join(context.folder.logs, `${log}.log`), note);
    await parts[name].up(deadline);
  };
  try {
    const temporal = keep('temporal', first, temporalPart(first), 'temporal');
    await Promise.all([temporal, keep('postgres', first, postgresPart(first), 'postgres')]);
    await prepareDatabase(first.configuration, note);
    await Promise.all([
      keep('worker', first, workerPart(first), 'worker'),
      keep('second-worker', second, workerPart(second), 'worker'),
      keep('api', first, apiPart(first), 'api'),
    ]);
    return parts as KillableStack['parts'];
  } catch (error) {
    const logs = await Promise.all(Object.values(parts).map((part) => lastLines(part)));
    for (const name of stopOrder) await parts[name]?.stop();
    throw new Error([(error as Error).message, ...logs].join('\n'), { cause: error });
  }
}

async function writeConfiguration(folder: string, { webhook }: StackOptions): Promise<NodeJS.ProcessEnv> {
  const site = (name: string, part: 'recovery' | 'source'): string =>
    `{ id: ${name}, kind: simulated, folder: ${JSON.stringify(siteFolder(folder, name, part))} }`;
  const file = join(folder, 'muster.yaml');
  const sites = sitesInUse.map((name) => site(name, 'recovery')).join(', ');
  const sources = sitesInUse.map((name) => site(`${name}-source`, 'source')).join(', ');
  const told =
    webhook === undefined
      ? ''
      : `{ name: ${webhookName}, url: ${webhook.url}, secret: environment:${webhookVariable} }`;
  await writeFile(file, `sites: [${sites}]\nsources: [${sources}]\nwebhooks: [${told}]\n`);
  const [api, temporal, postgres] = [await freePort(), await freePort(), await freePort()];
  return {
    ...process.env,
    ...(webhook === undefined ? {} : { [webhookVariable]: webhook.secret }),
    MUSTER_CONFIG: file,
    MUSTER_DATA_FOLDER: join(folder, 'data'),
    MUSTER_EVIDENCE_FOLDER: join(folder, 'evidence'),
    MUSTER_API_PORT: String(api),
    MUSTER_TEMPORAL_PORT: String(temporal),
    MUSTER_POSTGRES_PORT: String(postgres),
  };
}

/** A data folder of its own for what it says of itself; everything else is the first one's. */
async function secondWorkersEnv(env: NodeJS.ProcessEnv, { configuration, folder }: PartsContext) {
  return {
    ...env,
    MUSTER_DATA_FOLDER: `${folder.root}-2`,
    // One address serves one worker's metrics: the first one's, where anybody wants them.
    MUSTER_METRICS_WORKER_ADDRESS: undefined,
    MUSTER_TEMPORAL_ADDRESS: configuration.temporal.address,
    MUSTER_POSTGRES_URL_FILE: folder.postgresUrlFile,
  };
}

async function contextOf(env: NodeJS.ProcessEnv): Promise<PartsContext> {
  const root = env['MUSTER_DATA_FOLDER']!;
  await openDataFolder(root);
  // Made once for each state of the code, not once for each stack.
  const shared = join(cacheFolder(), 'workflow-bundles');
  await mkdir(shared, { recursive: true });
  await symlink(shared, dataFolderAt(root).workflowBundles);
  // The URL file of the second worker is there once Postgres runs; what is read before is only where it is.
  if (env['MUSTER_POSTGRES_URL_FILE'] !== undefined)
    await writeFile(env['MUSTER_POSTGRES_URL_FILE'], placeholderUrl, { mode: 0o600 });
  return {
    configuration: loadConfiguration(env),
    folder: { ...dataFolderAt(root), postgresPrograms: join(cacheFolder(), 'postgres') },
    env,
    ownProcess: (name) => [process.execPath, '--require', 'tsx/cjs', entry, name],
  };
}

const placeholderUrl = 'postgres://muster@127.0.0.1:1/muster\n';

/** Processes whose command line or environment names the folder: what a stack in it has left running. */
export function processesOf(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => ({ pid, command: readProc(pid, 'cmdline'), env: readProc(pid, 'environ') }))
    .filter(({ command, env }) => command.includes(folder) || env.includes(folder))
    .map(({ pid, command }) => `${pid} ${command.replaceAll('\0', ' ').slice(0, 160)}`);
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
