/** What a recovery site is asked about its readiness, and what it answers: what is not as it should be, and figures to sum up. */
import type { RecoveryOrder } from '../order';
import type { ServerSpec } from '../server';
import type { CertificateSeen } from './plan-risks';

export interface ReadinessQuestion {
  readonly siteId: string;
  /** Servers that recover to this site: compared with what their sources are now. */
  readonly servers: readonly ServerSpec[];
  /** What runbooks would ask of this site for its servers; nothing of it is done. */
  readonly orders: readonly RecoveryOrder[];
  /** References, as people write them: `file:NAME`. */
  readonly secrets: readonly string[];
  /** Whether certificates are looked at; absent: no. */
  readonly certificates?: boolean;
}

export interface FailedCheck {
  readonly name: string;
  readonly severity: 'problem' | 'warning';
  readonly found: string;
  readonly needed: string;
}

export interface ReadinessAnswer {
  readonly freeBytes: number;
  readonly memoryFreeBytes: number;
  readonly networks: readonly { readonly name: string; readonly isolated: boolean }[];
  /** Programs and room on the worker's host; only what is not as needed. */
  readonly host: readonly (FailedCheck & { readonly remedy: string })[];
  /** By run id of the order; only failed checks. */
  readonly orders: readonly {
    readonly runId: string;
    readonly failed: readonly FailedCheck[];
    /** What its disks take there. */
    readonly neededBytes: number;
  }[];
  /** References that do not resolve; never a value. */
  readonly secrets: readonly { readonly ref: string; readonly because: string }[];
  readonly sources: readonly SourceSeen[];
  /** Of its machines' controllers; absent from workers that do not look yet. */
  readonly certificates?: readonly CertificateSeen[];
}

/** `now` null: it could not be seen, and why. */
export interface SourceSeen {
  readonly serverId: string;
  readonly now: Pick<ServerSpec, 'os' | 'firmware' | 'cpuCount' | 'memoryBytes' | 'disks' | 'nics'> | null;
  readonly because: string | null;
}
