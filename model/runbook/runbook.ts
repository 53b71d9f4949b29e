/**
 * A runbook as data: a coordinator's plan for many servers. The closed set of its keys is model/schema/runbook.ts; what a file
 * leaves out has its default here already, durations are milliseconds and names are checked to exist (check.ts).
 */
import type { RecoveryOption } from '../replica';
import type { ServiceProbe } from '../server';
import type { Mode, ProofOrder } from '../order';
import type { Role } from '../people';

export const runbookFormat = 1;

export interface Runbook {
  readonly format: typeof runbookFormat;
  readonly name: string;
  readonly title: string;
  readonly summary: string;
  /** failback: the reverse way, source stopped, re-protected first (docs/failback.md). */
  readonly direction: 'recovery' | 'failback';
  /** Evacuation runs a site's runbooks in this order; 1 first. */
  readonly tier: number;
  /** The site that it leaves with everything (evacuation.ts); null: none. */
  readonly evacuates: string | null;
  readonly objectives: PlanObjectives;
  readonly waves: readonly Wave[];
  readonly servers: readonly PlannedServer[];
  readonly includes: readonly Inclusion[];
  readonly networks: Readonly<Record<Mode, NetworkMap>>;
  readonly limits: Limits;
  readonly gates: Readonly<Record<string, Gate>>;
  readonly scripts: readonly Script[];
  readonly notify: readonly NotificationRule[];
  readonly access: Access;
  readonly rehearsal: RehearsalRules;
  readonly commit: CommitPolicy;
}

/** For the whole and by tier; a server's own stand with the server. Absent: none. */
export interface PlanObjectives {
  readonly rpoMs: number | null;
  readonly rtoMs: number | null;
  readonly tiers: Readonly<Record<string, { readonly rpoMs: number | null; readonly rtoMs: number | null }>>;
}

/** Servers that start together, once what the wave comes after is done and its gate has let it pass. */
export interface Wave {
  readonly name: string;
  readonly title: string;
  /** Names of waves, servers and included runbooks. */
  readonly after: readonly string[];
  /** Name of a gate before its first server. */
  readonly gate: string | null;
}

export interface PlannedServer {
  readonly name: string;
  readonly wave: string;
  /** Beside what its wave comes after: names of waves, servers and included runbooks. */
  readonly after: readonly string[];
  readonly option: RecoveryOption;
  readonly target: {
    readonly siteId: string | null;
    readonly hardware: string | null;
    readonly machineName: string | null;
    readonly cpuCount: number | null;
    readonly memoryBytes: number | null;
    readonly datastore: string | null;
  };
  /** In place of the runbook's own, network by network. */
  readonly networks: Readonly<Record<Mode, NetworkMap>>;
  readonly addresses: readonly Readdressing[];
  readonly powerOn: 'automatic' | 'decision';
  readonly inoculate: boolean;
  /** What it says other than the installation. */
  readonly proof: Partial<Pick<ProofOrder, 'heartbeatTimeoutMs' | 'stableForMs'>>;
  readonly probes: readonly ServiceProbe[];
  readonly objectives: { readonly rpoMs: number; readonly rtoMs: number } | null;
  readonly failure: FailureRule;
}

/**
 * critical: stuck means that its wave waits for a decision. optional: stuck longer than this, it is undone, counts as failed,
 * and what comes after goes on.
 */
export type FailureRule = { readonly kind: 'critical' } | { readonly kind: 'optional'; readonly giveUpAfterMs: number };

/** Network at the source -> network at the recovery site; in a rehearsal `isolated` is one made for the run. */
export type NetworkMap = Readonly<Record<string, string>>;
export const isolatedNetwork = 'isolated';

/** A card's new address, by mode; absent for a mode: as it was. */
export interface Readdressing {
  readonly nic: number;
  readonly address: Readonly<Partial<Record<Mode, IpSettings>>>;
}

export interface IpSettings {
  /** Address with prefix length, `10.8.0.12/24` or `fd00::12/64`. */
  readonly ip: string;
  readonly gateway: string | null;
  readonly dns: readonly string[];
}

/** Another runbook as a part of this one. Its latest imported version when the plan is made; pinned from then on. */
export interface Inclusion {
  readonly runbook: string;
  readonly after: readonly string[];
}

/** How many servers at once; null: no limit of its own. */
export interface Limits {
  readonly atOnce: number | null;
  readonly sites: Readonly<Record<string, number>>;
  readonly datastores: Readonly<Record<string, number>>;
  /** How many machines of a site boot at the same time: a small host boots one after the other. */
  readonly boots: Readonly<Record<string, number>>;
}

export interface Gate {
  readonly title: string;
  readonly question: string;
  readonly approvers: People;
  readonly approvals: number;
  /** How long it waits; null: until somebody decides. */
  readonly withinMs: number | null;
  readonly otherwise: 'wait' | 'escalate' | 'abort' | 'go-on';
  /** Who may approve, too, once it has escalated. */
  readonly escalateTo: People;
  readonly in: readonly Mode[];
}

/** Anybody with one of the roles, and these people by name. */
export interface People {
  readonly roles: readonly Role[];
  readonly people: readonly string[];
}

export const fourEyesActs = ['skip', 'abort', 'power-on', 'commit'] as const;
export type FourEyesAct = (typeof fourEyesActs)[number];

export interface Access {
  readonly start: People;
  readonly decide: People;
  readonly fourEyes: readonly FourEyesAct[];
}

export const scriptMoments = ['before', 'after', 'instead'] as const;
export const scriptOccasions = ['recovery', 'rehearsal', 'clean-up', 'failback'] as const;

/** A program, by argument list; never a shell. */
export interface Script {
  readonly name: string;
  readonly when: (typeof scriptMoments)[number];
  /** A step of the procedure, for each of `servers`; or a wave's start and end. */
  readonly at: { readonly kind: 'step'; readonly step: string } | { readonly kind: 'wave'; readonly wave: string };
  readonly servers: readonly string[] | 'all';
  readonly in: readonly (typeof scriptOccasions)[number][];
  /** worker: a program of the folder that the administrator allows, by name. guest: a whole path in the guest. */
  readonly run: { readonly on: 'worker' | 'guest'; readonly program: string; readonly args: readonly string[] };
  /** Values, or references to secrets. */
  readonly environment: Readonly<Record<string, string | { readonly secret: string }>>;
  readonly timeoutMs: number;
  readonly attempts: number;
  /** What is not named fails; 0 succeeds unless it is named. */
  readonly exitCodes: Readonly<Record<string, 'done' | 'warning' | 'retry' | 'fail'>>;
}

export const occasions = [
  'started',
  'stuck',
  'gate',
  'finished',
  'objective-at-risk',
  'rehearsal-due',
  'risk',
] as const;
export type Occasion = (typeof occasions)[number];

export interface NotificationRule {
  readonly on: readonly Occasion[];
  readonly mail: readonly string[];
  /** Names of webhooks in the installation's configuration. */
  readonly webhooks: readonly string[];
}

export interface RehearsalRules {
  readonly schedule: Schedule | null;
  /** Gate for people to try the application before it is cleaned up. */
  readonly tryOut: string | null;
  /** A rehearsal that has waited for people for so long is undone and cleaned up, and has failed. */
  readonly giveUpAfterMs: number;
  /** How long a rehearsal verifies the runbook. */
  readonly verifiedForMs: number;
}

export interface Schedule {
  /** Five fields, as crontab(5) has them. */
  readonly cron: string;
  /** IANA name. */
  readonly timezone: string;
  /** Days without a rehearsal, YYYY-MM-DD in that zone. */
  readonly except: readonly string[];
  /** How late a missed one may still start. */
  readonly catchUpMs: number;
}

/** What becomes of a proven recovery of the destructive option. */
export type CommitPolicy =
  | { readonly kind: 'decision' }
  | { readonly kind: 'automatic'; readonly act: 'commit' | 'roll-back'; readonly afterMs: number };
