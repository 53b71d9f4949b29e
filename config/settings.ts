/**
 * Every setting: its environment variable, its place in the YAML file, its meaning and its default. The table in
 * docs/configuration.md is made from this list, so a setting cannot exist without being documented.
 */
import { z } from 'zod';
import { mailSettings } from './mail-settings';
import {
  flag,
  flagNeeded,
  hostAndPort,
  identifier,
  identifierNeeded,
  listOf,
  port,
  portNeeded,
  setting,
  text,
  wholeNumber,
} from './setting';

export { identifier, identifierNeeded, type Setting } from './setting';

export const settings = {
  configFile: setting('MUSTER_CONFIG', null, text.optional(), {
    meaning: 'YAML file with the same settings and the sites; the environment wins over it',
    needed: 'the path of a YAML file that can be read',
    standard: 'none',
  }),
  dataFolder: setting('MUSTER_DATA_FOLDER', 'dataFolder', text.optional(), {
    meaning: 'where everything of this installation is kept',
    needed: 'the path of a folder',
    standard: '`/var/lib/muster` as root, else `~/.local/share/muster`',
  }),
  tenantId: setting('MUSTER_TENANT_ID', 'tenantId', identifier.default('main'), {
    meaning: 'tenant that stands in every row, workflow id and path',
    needed: identifierNeeded,
    standard: '`main`',
  }),
  coreId: setting('MUSTER_CORE_ID', 'coreId', identifier.default('main'), {
    meaning: 'name of this installation; must differ between installations that share storage',
    needed: identifierNeeded,
    standard: '`main`',
  }),
  logLevel: setting('MUSTER_LOG_LEVEL', 'logLevel', z.enum(['error', 'warn', 'info', 'debug']).default('info'), {
    meaning: 'least important lines that the worker and the API write',
    needed: 'error, warn, info or debug',
    standard: '`info`',
  }),
  evidenceFolder: setting('MUSTER_EVIDENCE_FOLDER', 'evidenceFolder', text.optional(), {
    meaning: 'evidence files; shared storage when there are several workers',
    needed: 'the path of a folder',
    standard: '`evidence` in the data folder',
  }),
  secretsFolder: setting('MUSTER_SECRETS_FOLDER', 'secretsFolder', text.optional(), {
    meaning: 'files with secrets that orders refer to as `file:NAME`; none may be readable by others',
    needed: 'the path of a folder',
    standard: '`secrets` in the data folder',
  }),
  scriptsFolder: setting('MUSTER_SCRIPTS_FOLDER', 'scripts.folder', text.optional(), {
    meaning:
      'programs that runbooks may have run on a worker’s host; the folder and its files belong to root or the worker alone',
    needed: 'the path of a folder',
    standard: 'none: no program may be run',
  }),
  apiEnabled: setting('MUSTER_API_ENABLED', 'api.enabled', flag(true), {
    meaning: 'whether `muster up` starts the API',
    needed: flagNeeded,
    standard: '`true`',
  }),
  apiHost: setting('MUSTER_API_HOST', 'api.host', text.default('127.0.0.1'), {
    meaning: 'address that the API listens on',
    needed: 'a host name or address of this machine',
    standard: '`127.0.0.1`',
  }),
  apiPort: setting('MUSTER_API_PORT', 'api.port', port.default(7070), {
    meaning: 'port of the API',
    needed: portNeeded,
    standard: '`7070`',
  }),
  ...mailSettings,
  temporalAddress: setting('MUSTER_TEMPORAL_ADDRESS', 'temporal.address', hostAndPort.optional(), {
    meaning: 'a Temporal server that runs elsewhere; `muster up` then only checks it',
    needed: 'host:port',
    standard: 'none: the embedded server',
  }),
  temporalNamespace: setting('MUSTER_TEMPORAL_NAMESPACE', 'temporal.namespace', text.default('muster'), {
    meaning: 'Temporal namespace of all workflows',
    needed: 'a name',
    standard: '`muster`',
  }),
  temporalPort: setting('MUSTER_TEMPORAL_PORT', 'temporal.port', port.default(7071), {
    meaning: 'port of the embedded Temporal server',
    needed: portNeeded,
    standard: '`7071`',
  }),
  temporalUiPort: setting('MUSTER_TEMPORAL_UI_PORT', 'temporal.uiPort', port.optional(), {
    meaning: "port of the embedded server's own web pages, which ask for no password",
    needed: portNeeded,
    standard: 'none: no pages',
  }),
  temporalRetentionDays: setting(
    'MUSTER_TEMPORAL_RETENTION_DAYS',
    'temporal.retentionDays',
    wholeNumber(1, 3_650).default(90),
    {
      meaning: 'days for which the embedded server keeps the history of a finished run; the journal is kept for good',
      needed: 'a whole number from 1 to 3650',
      standard: '`90`',
    },
  ),
  postgresUrlFile: setting('MUSTER_POSTGRES_URL_FILE', 'postgres.urlFile', text.optional(), {
    meaning: 'file with the URL of a Postgres that runs elsewhere, password included; `muster up` then only checks it',
    needed: 'the path of a file whose text is postgres://user:password@host:port/database',
    standard: 'none: the embedded server',
  }),
  postgresUrl: setting('MUSTER_POSTGRES_URL', 'postgres.url', text.optional(), {
    meaning: 'the same as a value, for logins that need no password',
    needed: 'postgres://user@host:port/database without a password',
    standard: 'none',
    secret: true,
  }),
  postgresPort: setting('MUSTER_POSTGRES_PORT', 'postgres.port', port.default(7072), {
    meaning: 'port of the embedded Postgres',
    needed: portNeeded,
    standard: '`7072`',
  }),
  workerMetricsAddress: setting('MUSTER_METRICS_WORKER_ADDRESS', 'metrics.workerAddress', hostAndPort.optional(), {
    meaning:
      "where a worker serves its metrics, at /metrics, to everybody who reaches it; the API's are at /api/v1/metrics",
    needed: 'host:port',
    standard: 'none: not served',
  }),
  temporalMetricsAddress: setting(
    'MUSTER_METRICS_TEMPORAL_ADDRESS',
    'metrics.temporalAddress',
    hostAndPort.optional(),
    {
      meaning: "where a worker serves the metrics of Temporal's SDK, at /metrics",
      needed: 'host:port, another one than the worker’s own',
      standard: 'none: not served',
    },
  ),
  workerEnabled: setting('MUSTER_WORKER_ENABLED', 'worker.enabled', flag(true), {
    meaning: 'whether `muster up` starts a worker',
    needed: flagNeeded,
    standard: '`true`',
  }),
  workerSites: setting('MUSTER_WORKER_SITES', 'worker.sites', listOf(identifier).optional(), {
    meaning: 'recovery sites that this worker works at, separated by commas',
    needed: 'ids of configured sites',
    standard: 'all sites',
  }),
  workerGraceSeconds: setting('MUSTER_WORKER_GRACE_SECONDS', 'worker.graceSeconds', wholeNumber(0, 600).default(5), {
    meaning: 'how long a stopping worker lets running steps end before it gives them up',
    needed: 'a whole number from 0 to 600',
    standard: '`5`',
  }),
  workerSiteSlots: setting('MUSTER_WORKER_SITE_SLOTS', 'worker.siteSlots', wholeNumber(1, 1_000).default(50), {
    meaning: 'steps that run at one site at the same time; replication has slots of its own',
    needed: 'a whole number from 1 to 1000',
    standard: '`50`',
  }),
  workerCachedWorkflows: setting(
    'MUSTER_WORKER_CACHED_WORKFLOWS',
    'worker.cachedWorkflows',
    wholeNumber(10, 5_000).default(400),
    {
      meaning: 'workflows kept in memory; the cache counts runs, not bytes',
      needed: 'a whole number from 10 to 5000',
      standard: '`400`',
    },
  ),
  readinessEverySeconds: setting(
    'MUSTER_READINESS_EVERY_SECONDS',
    'readiness.everySeconds',
    wholeNumber(10, 86_400).default(300),
    {
      meaning: 'seconds from one round of readiness questions to the next; of several API processes one asks',
      needed: 'a whole number from 10 to 86400',
      standard: '`300`',
    },
  ),
  readinessRehearsalDueDays: setting(
    'MUSTER_READINESS_REHEARSAL_DUE_DAYS',
    'readiness.rehearsalDueDays',
    wholeNumber(0, 365).default(14),
    {
      meaning: 'so many days before the verification of a runbook ends, its next rehearsal is due',
      needed: 'a whole number from 0 to 365',
      standard: '`14`',
    },
  ),
  readinessCertificateDays: setting(
    'MUSTER_READINESS_CERTIFICATE_DAYS',
    'readiness.certificateDays',
    wholeNumber(1, 365).default(30),
    {
      meaning: 'so many days before a certificate ends, that is a risk',
      needed: 'a whole number from 1 to 365',
      standard: '`30`',
    },
  ),
} as const;

export type Settings = typeof settings;
export type SettingValues = { readonly [K in keyof Settings]: z.output<Settings[K]['schema']> };

/** Variables that other parts read by themselves; here so that they are documented and not reported as unknown. */
export const otherVariables: readonly { readonly variable: string; readonly meaning: string }[] = [
  {
    variable: 'MUSTER_CACHE',
    meaning: 'folder for what set-up downloads and builds; default `/var/cache/muster` as root, else `~/.cache/muster`',
  },
  { variable: 'MUSTER_TEMPORAL_BIN', meaning: 'path of the `temporal` program; default: PATH, then the cache' },
  {
    variable: 'MUSTER_URL',
    meaning: 'address of the API for the command line; default: the configured API of this machine',
  },
  {
    variable: 'MUSTER_TOKEN_FILE',
    meaning: 'file with the token for the command line; default: `admin-token` in the data folder',
  },
  {
    variable: 'MUSTER_SECRET_',
    meaning:
      'and a name: secrets of the worker that orders refer to as `environment:` and the whole name of the variable',
  },
  { variable: 'MUSTER_TOKEN', meaning: 'the token itself, where there can be no file' },
  {
    variable: 'MUSTER_DEBIAN_MIRROR',
    meaning: 'Debian mirror that the demo guest is built from; default `http://deb.debian.org/debian`',
  },
];
