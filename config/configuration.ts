/** The one typed configuration that every process of Muster starts from. Paths are absolute; nothing in it is a secret. */
import type { NotificationsConfig } from './notifications';
import type { MachineConfig, NetworkConfig, RecoverySiteConfig, SourceSiteConfig } from './sites';

export type { MachineConfig, NetworkConfig, RecoverySiteConfig, SourceSiteConfig };

export interface Configuration {
  readonly dataFolder: string;
  /** The YAML file that was read, if any. */
  readonly file: string | null;
  readonly tenantId: string;
  readonly coreId: string;
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug';
  readonly evidenceFolder: string;
  /** Files that `file:` references of orders name. */
  readonly secretsFolder: string;
  /** Programs that runbooks may have run; null: none. */
  readonly scriptsFolder: string | null;
  readonly api: { readonly enabled: boolean; readonly host: string; readonly port: number };
  readonly temporal: {
    /** true: `muster up` runs the server itself, at `address`. */
    readonly embedded: boolean;
    readonly address: string;
    readonly namespace: string;
    readonly port: number;
    readonly uiPort: number | null;
    readonly retentionDays: number;
  };
  readonly postgres: {
    /** true: `muster up` runs the server itself and writes its URL into `url.file`. */
    readonly embedded: boolean;
    readonly port: number;
    readonly url: PostgresUrl;
  };
  readonly worker: {
    readonly enabled: boolean;
    /** Ids of the recovery sites that this worker works at. */
    readonly sites: readonly string[];
    readonly graceMs: number;
    readonly siteSlots: number;
    readonly cachedWorkflows: number;
  };
  readonly notifications: NotificationsConfig;
  readonly readiness: { readonly everyMs: number; readonly dueMs: number; readonly certificateMs: number };
  /** host:port that a worker serves metrics on: its own, and those of Temporal's SDK. null: not served. */
  readonly metrics: { readonly workerAddress: string | null; readonly temporalAddress: string | null };
  readonly sites: readonly RecoverySiteConfig[];
  readonly sources: readonly (SourceSiteConfig & { readonly folder?: string })[];
  /** Variables that look like Muster's and are not: probably misspelt. Not an error: another version may know them. */
  readonly unknownVariables: readonly string[];
}

/** The URL itself holds a password as a rule, so the configuration carries only where it is (postgres-url.ts reads it). */
export type PostgresUrl = { readonly file: string } | { readonly text: string };
