/** What the API is made of; constructed by whoever serves it (stack/) and by tests. */
import type { Logger } from 'pino';
import type { ProofOrder, Provenance } from '../model/order';
import type { PhysicalMachineFacts } from '../model/orders/build-order';
import type { CertificateSeen } from '../model/readiness/plan-risks';
import type { Person, Store } from '../store/contract';
import { stickyTimeoutMs } from '../workflows/messages';
import type { TemporalGateway } from './temporal';

/** Evidence files by content. Absent files are undefined. */
export interface EvidenceReader {
  read(sha256: string): Promise<Buffer | undefined>;
}

export interface ApiConfig {
  readonly tenantId: string;
  readonly coreId: string;
  readonly version: string;
  /** Recovery sites that this installation knows; their queues are part of health. */
  readonly siteIds: readonly string[];
  /** How boots of runbooks' servers are proven. Default: as those of single servers (model/orders/defaults.ts). */
  readonly planProof?: Partial<ProofOrder>;
  /** Physical machines by recovery site, as configured: an order names one of them. */
  readonly physicalMachines?: Readonly<Record<string, readonly PhysicalMachineFacts[]>>;
  /** Names of the webhooks that are configured; a runbook's are checked against them. Absent: not known here. */
  readonly webhooks?: readonly string[];
  /** A verified token is taken as good without asking Postgres for this long; so long a revocation elsewhere may lag. */
  readonly tokenFreshMs: number;
  /** With Postgres down, a token that was good is still taken for this long since it was last verified (design: law 5). */
  readonly tokenStaleMs: number;
  readonly bodyLimitBytes: number;
  /** Longest wait for a worker to accept or refuse a person's act; then it is shown as pending. */
  readonly updateDeadlineMs: number;
  /** Longest wait for a running workflow's own answer; then the journal answers. */
  readonly queryDeadlineMs: number;
  /** Longest wait for Postgres before the API goes on without it. */
  readonly storeDeadlineMs: number;
  /** Longest wait for a run that has ended to write its record and give its server free. */
  readonly closingMs: number;
  /** Pause between two looks of an event stream. */
  readonly streamEveryMs: number;
  /** Default: readinessDefaults. */
  readonly readiness?: ReadinessConfig;
}

export interface ReadinessConfig {
  /** From one round of questions to the next. */
  readonly everyMs: number;
  /** So long before a runbook's verification ends, people are told. */
  readonly dueMs: number;
  /** So long before a certificate ends, it is a risk. */
  readonly certificateMs: number;
}

export const readinessDefaults: ReadinessConfig = {
  everyMs: 300_000,
  dueMs: 14 * 86_400_000,
  certificateMs: 30 * 86_400_000,
};

export const readinessOf = ({ readiness }: Pick<ApiConfig, 'readiness'>): ReadinessConfig =>
  readiness ?? readinessDefaults;

export const defaultApiConfig: Omit<ApiConfig, 'tenantId' | 'coreId' | 'version' | 'siteIds'> = {
  tokenFreshMs: 30_000,
  tokenStaleMs: 12 * 3_600_000,
  bodyLimitBytes: 256 * 1024,
  updateDeadlineMs: 5_000,
  queryDeadlineMs: stickyTimeoutMs - 500,
  storeDeadlineMs: 3_000,
  closingMs: 10_000,
  streamEveryMs: 500,
};

/** Sends one message past the outbox. @throws what the mail server or the receiver said. */
export interface Messenger {
  test(channel: 'mail' | 'webhook', to: string, by: string): Promise<void>;
}

export interface ApiDeps {
  readonly store: Store;
  readonly temporal: TemporalGateway;
  readonly evidence: EvidenceReader;
  /** Certificates of what the configuration names. Default: none are looked at. */
  readonly certificates?: () => Promise<readonly CertificateSeen[]>;
  readonly config: ApiConfig;
  readonly clock: () => Date;
  /** Goes on evenly, from anywhere, whatever is done to the clock. Default: the process' own. */
  readonly elapsedMs?: () => number;
  readonly log: Logger;
  /** Absent: this process sends nothing. */
  readonly messenger?: Messenger;
}

/** What the middleware leaves for the routes. */
export interface ApiEnv {
  Variables: {
    requestId: string;
    person: Person;
    by: Provenance;
  };
}
