/** Environment and YAML file -> one configuration, or every problem at once. The environment wins over the file. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import type { Configuration } from './configuration';
import { isPostgresUrl, readUrlFile } from './postgres-url';
import { ConfigurationError, showValue, type ConfigurationProblem } from './problems';
import { otherVariables, settings, type Setting, type SettingValues } from './settings';
import { readNotifications } from './notifications';
import { readSites, type Sites } from './read-sites';

type Tree = Readonly<Record<string, unknown>>;

/**
 * Reads the configuration.
 *
 * @throws ConfigurationError with all problems: variable or place in the file, value found, value needed, what to do.
 */
export function loadConfiguration(env: NodeJS.ProcessEnv = process.env): Configuration {
  const problems: ConfigurationProblem[] = [];
  const file = env['MUSTER_CONFIG'] ? resolve(env['MUSTER_CONFIG']) : null;
  const tree = file === null ? {} : readTree(file, problems);
  if (file !== null) problems.push(...unknownKeys(file, tree));
  const values = readSettings(env, file, tree, problems);
  const dataFolder = resolve(values.dataFolder ?? standardDataFolder());
  const sites = readSites(file, tree, dataFolder, problems);
  const notifications = readNotifications(file, tree, values, problems);
  problems.push(...crossChecks(values, sites));
  if (problems.length > 0) throw new ConfigurationError(problems);
  return assemble(values, sites, { notifications, file, dataFolder, unknownVariables: unknownVariables(env) });
}

function readTree(file: string, problems: ConfigurationProblem[]): Tree {
  const needed = 'a YAML file that can be read';
  try {
    const tree: unknown = parse(readFileSync(file, 'utf8')) ?? {};
    if (typeof tree === 'object' && !Array.isArray(tree)) return tree as Tree;
    problems.push({
      where: file,
      found: showValue(tree),
      needed: 'settings by name',
      remedy: 'See docs/configuration.md.',
    });
  } catch (error) {
    const found = error instanceof Error ? error.message.split('\n')[0]! : String(error);
    problems.push({ where: 'MUSTER_CONFIG', found, needed, remedy: `Correct ${file} or unset MUSTER_CONFIG.` });
  }
  return {};
}

function readSettings(
  env: NodeJS.ProcessEnv,
  file: string | null,
  tree: Tree,
  problems: ConfigurationProblem[],
): SettingValues {
  const values = Object.entries<Setting>(settings).map(([name, setting]) => {
    // An empty variable counts as unset: compose files and units can hardly express the difference.
    const fromEnv = env[setting.variable] || undefined;
    const raw = fromEnv ?? (setting.key === null ? undefined : valueAt(tree, setting.key));
    const where = fromEnv !== undefined || file === null ? setting.variable : `${file}: ${setting.key}`;
    const result = setting.schema.safeParse(raw ?? undefined);
    if (result.success) return [name, result.data];
    const found = showValue(raw, setting.secret);
    problems.push({ where, found, needed: setting.needed, remedy: `Correct or unset it: ${setting.meaning}.` });
    return [name, setting.schema.safeParse(undefined).data];
  });
  return Object.fromEntries(values) as SettingValues;
}

function valueAt(tree: Tree, key: string): unknown {
  return key
    .split('.')
    .reduce<unknown>(
      (value, part) => (typeof value === 'object' && value !== null ? (value as Tree)[part] : undefined),
      tree,
    );
}

/** What the file has beside settings. */
const lists: readonly string[] = ['sites', 'sources', 'notify', 'webhooks'];

/** A misspelt key would silently mean the default. */
function unknownKeys(file: string, tree: Tree): ConfigurationProblem[] {
  const known = Object.values<Setting>(settings).flatMap((setting) => (setting.key === null ? [] : [setting.key]));
  const groups = new Set(known.filter((key) => key.includes('.')).map((key) => key.split('.')[0]!));
  const written = Object.entries(tree).flatMap(([key, value]) => {
    if (!groups.has(key) || typeof value !== 'object' || value === null) return [key];
    return Object.keys(value).map((name) => `${key}.${name}`);
  });
  return written
    .filter((key) => !known.includes(key) && !groups.has(key) && !lists.includes(key))
    .map((key) => ({
      where: `${file}: ${key}`,
      found: 'a setting that does not exist',
      needed: 'one of docs/configuration.md',
      remedy: 'Correct its name or remove it.',
    }));
}

function unknownVariables(env: NodeJS.ProcessEnv): string[] {
  const known = new Set([...Object.values<Setting>(settings), ...otherVariables].map(({ variable }) => variable));
  return Object.keys(env)
    .filter((name) => name.startsWith('MUSTER_') && !/^MUSTER_(TEST|SECRET)_/.test(name) && !known.has(name))
    .sort();
}

/** Problems that only two values together have. */
function crossChecks(values: SettingValues, sites: Sites): ConfigurationProblem[] {
  const problems: ConfigurationProblem[] = [];
  const { postgresUrl, postgresUrlFile } = values;
  if (postgresUrl !== undefined && postgresUrlFile !== undefined) {
    const found = 'both MUSTER_POSTGRES_URL and MUSTER_POSTGRES_URL_FILE';
    problems.push({ where: 'MUSTER_POSTGRES_URL', found, needed: 'one of them', remedy: 'Unset one.' });
  } else if (postgresUrlFile !== undefined) {
    const { problem } = readUrlFile('MUSTER_POSTGRES_URL_FILE', resolve(postgresUrlFile));
    if (problem !== undefined) problems.push(problem);
  } else if (postgresUrl !== undefined && (!isPostgresUrl(postgresUrl) || new URL(postgresUrl).password !== '')) {
    problems.push({
      where: 'MUSTER_POSTGRES_URL',
      found: isPostgresUrl(postgresUrl)
        ? 'a URL with a password, which every program here could read'
        : 'no Postgres URL',
      needed: settings.postgresUrl.needed,
      remedy: 'Write the whole URL into a file of mode 0600 and name that in MUSTER_POSTGRES_URL_FILE.',
    });
  }
  problems.push(...portClashes(values));
  const known = sites.sites.map((site) => site.id);
  for (const id of values.workerSites ?? []) {
    if (known.includes(id)) continue;
    const needed = known.join(', ');
    problems.push({ where: 'MUSTER_WORKER_SITES', found: showValue(id), needed, remedy: 'Name sites of the file.' });
  }
  return problems;
}

function portClashes(values: SettingValues): ConfigurationProblem[] {
  const used = new Map<number, string>();
  const ports: readonly (readonly [string, number | undefined])[] = [
    ['MUSTER_API_PORT', values.apiPort],
    ['MUSTER_TEMPORAL_PORT', values.temporalAddress === undefined ? values.temporalPort : undefined],
    ['MUSTER_TEMPORAL_UI_PORT', values.temporalAddress === undefined ? values.temporalUiPort : undefined],
    ['MUSTER_POSTGRES_PORT', (values.postgresUrl ?? values.postgresUrlFile) ? undefined : values.postgresPort],
  ];
  return ports.flatMap(([where, port]) => {
    const other = port === undefined ? undefined : used.get(port);
    if (port !== undefined && other === undefined) used.set(port, where);
    if (other === undefined) return [];
    const found = `"${port}", which ${other} has too`;
    return [{ where, found, needed: 'a port of its own', remedy: 'Change one of them.' }];
  });
}

function assemble(
  values: SettingValues,
  sites: Sites,
  origin: Pick<Configuration, 'file' | 'dataFolder' | 'unknownVariables' | 'notifications'>,
): Configuration {
  const { dataFolder } = origin;
  const externalUrl =
    values.postgresUrlFile !== undefined
      ? { file: resolve(values.postgresUrlFile) }
      : values.postgresUrl !== undefined
        ? { text: values.postgresUrl }
        : undefined;
  return {
    ...origin,
    ...sites,
    tenantId: values.tenantId,
    coreId: values.coreId,
    logLevel: values.logLevel,
    evidenceFolder: resolve(values.evidenceFolder ?? join(dataFolder, 'evidence')),
    secretsFolder: resolve(values.secretsFolder ?? join(dataFolder, 'secrets')),
    scriptsFolder: values.scriptsFolder === undefined ? null : resolve(values.scriptsFolder),
    api: { enabled: values.apiEnabled, host: values.apiHost, port: values.apiPort },
    temporal: {
      embedded: values.temporalAddress === undefined,
      address: values.temporalAddress ?? `127.0.0.1:${values.temporalPort}`,
      namespace: values.temporalNamespace,
      port: values.temporalPort,
      uiPort: values.temporalUiPort ?? null,
      retentionDays: values.temporalRetentionDays,
    },
    postgres: {
      embedded: externalUrl === undefined,
      port: values.postgresPort,
      url: externalUrl ?? { file: join(dataFolder, 'postgres-url') },
    },
    metrics: {
      workerAddress: values.workerMetricsAddress ?? null,
      temporalAddress: values.temporalMetricsAddress ?? null,
    },
    readiness: {
      everyMs: values.readinessEverySeconds * 1000,
      dueMs: values.readinessRehearsalDueDays * 86_400_000,
      certificateMs: values.readinessCertificateDays * 86_400_000,
    },
    worker: {
      enabled: values.workerEnabled,
      sites: values.workerSites ?? sites.sites.map((site) => site.id),
      graceMs: values.workerGraceSeconds * 1000,
      siteSlots: values.workerSiteSlots,
      cachedWorkflows: values.workerCachedWorkflows,
    },
  };
}

function standardDataFolder(): string {
  return process.getuid?.() === 0 ? '/var/lib/muster' : join(homedir(), '.local', 'share', 'muster');
}
