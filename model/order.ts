/** What a run is asked to do, complete: with Postgres gone, this is all a recovery needs (design: law 5). */
import type { RecoveryOption, PointId } from './replica';
import type { AccessScope } from './people';
import type { Access, Readdressing, Script } from './runbook/runbook';
import { parseSecretRef } from './secrets';
import type { HardwareProfile, ServerSpec, SiteId, Firmware } from './server';

export const modes = ['recovery', 'rehearsal'] as const;
export type Mode = (typeof modes)[number];

export const intents = ['disaster', 'planned'] as const;
export type Intent = (typeof intents)[number];

/**
 * Whether the point's layers are read and compared with their digests before the run stands on them. auto: always in a
 * rehearsal and in a planned recovery; in a disaster only up to `verifyLimitBytes`, because the hour counts more.
 */
export const verifications = ['auto', 'always', 'never'] as const;
export type Verification = (typeof verifications)[number];
export const verifyLimitBytes = 8 * 1024 ** 3;

/** Who acts: a named person behind a token, or a process. */
export interface Actor {
  readonly kind: 'person' | 'worker' | 'workflow';
  readonly id: string;
  readonly name: string;
  readonly role?: string;
  /** Where the role holds; absent: everywhere. */
  readonly scopes?: readonly AccessScope[];
}

/** The door through which an act came; recorded with it. */
export interface Provenance {
  readonly actor: Actor;
  readonly authMethod: string;
  readonly requestId: string;
  readonly address: string;
}

export interface ProofOrder {
  readonly heartbeatTimeoutMs: number;
  /** How long the guest must stay up, without a reboot, before the boot counts. */
  readonly stableForMs: number;
  readonly screenshot: boolean;
}

export interface RetryPolicy {
  /** Automatic attempts of one step or item before it is parked. */
  readonly maxAttempts: number;
  readonly firstDelayMs: number;
  readonly factor: number;
  readonly maxDelayMs: number;
}

/**
 * Where a rehearsal's machines are plugged in: networks without a way out, made for the run and removed with it. The servers of a
 * plan share the plan's, so that they reach each other and nobody else.
 */
export interface Isolation {
  /** Whose networks they are: the run itself, or the plan that makes and removes them. */
  readonly ownerRunId: string;
  /** Name of each network, of those in `target.networks` that are to be made at the recovery site. */
  readonly networks: readonly string[];
  readonly siteId: SiteId;
}

/** The plan that a run belongs to. */
export interface PartOf {
  readonly runId: string;
  readonly workflowId: string;
  /** The runbooks that it is part of, the outermost first: people's roles may hold at them alone. Absent: of earlier versions. */
  readonly runbooks?: readonly string[];
}

export interface RecoveryOrder {
  readonly runId: string;
  readonly tenantId: string;
  readonly coreId: string;
  readonly procedure: 'push-button-recovery' | 'rehearsal-clean-up';
  readonly mode: Mode;
  readonly intent: Intent;
  readonly option: RecoveryOption;
  readonly server: ServerSpec;
  readonly point: 'latest' | PointId;
  readonly finalCycle: 'auto' | 'never';
  /** Absent in orders of earlier versions: never. */
  readonly verify?: Verification;
  /** Longest wait for anything at the source site. */
  readonly sourceDeadlineMs: number;
  readonly target: {
    readonly siteId: SiteId;
    readonly machineName: string;
    readonly hardware: HardwareProfile;
    readonly firmware: Firmware;
    readonly cpuCount: number;
    readonly memoryBytes: number;
    /** Source network name -> network at the recovery site. */
    readonly networks: Readonly<Record<string, string>>;
    /** Disks of a physical machine, by device, that may be overwritten whatever they hold. */
    readonly overwriteDisks?: readonly string[];
  };
  readonly inoculate: boolean;
  readonly powerOn: 'automatic' | 'decision';
  readonly proof: ProofOrder;
  readonly retry: RetryPolicy;
  /** How often people are reminded of a stuck step. */
  readonly reminderMs: number;
  /** Set when it is part of a plan: whom it tells that it is proven, and whose verdict it waits for. */
  readonly partOf?: PartOf;
  /** Stuck for longer than this, it undoes itself and has failed; absent: it waits for a person without end. */
  readonly giveUpAfterMs?: number;
  /** Who may decide and which acts need four eyes; absent: whoever the door lets in. */
  readonly access?: Pick<Access, 'decide' | 'fourEyes'>;
  /** Rehearsals only. */
  readonly isolation?: Isolation;
  /** Rehearsals: a person is asked this before everything is cleaned up; absent: nobody is. */
  readonly tryOut?: { readonly title: string; readonly question: string };
  /** Of a clean-up that was started alone: the rehearsal's run, whose tag is looked for. */
  readonly cleansUp?: string;
  /** Of such a clean-up: the plan of that rehearsal. The clean-up is of its runbooks, for people, but no run of the plan, which is over. */
  readonly rehearsedIn?: Pick<PartOf, 'runId' | 'runbooks'>;
  /** How many machines boot at the same time at the recovery site; absent: no limit. */
  readonly bootsAtOnce?: number;
  /** Programs at this server's steps, in the order in which the runbook names them. */
  readonly scripts?: readonly Script[];
  /** New addresses of its cards in this mode, by card. */
  readonly addresses?: readonly Readdressing[];
  /** When the server was lost, if somebody knows; the RPO is measured from it. */
  readonly lostAt: string | null;
  /** When the button was pushed. */
  readonly requestedAt: string;
  readonly requestedBy: Provenance;
  readonly reason: string;
}

/** The fields that a decision may correct while a step is stuck, by `provide` or `retry` with input. */
export interface CorrectableInput {
  readonly machineName?: string;
  readonly memoryBytes?: number;
  readonly cpuCount?: number;
  readonly networks?: Readonly<Record<string, string>>;
  readonly point?: PointId | 'latest';
  readonly inoculate?: boolean;
  readonly heartbeatTimeoutMs?: number;
  readonly overwriteDisks?: readonly string[];
  readonly verify?: Verification;
  /** References as people write them: `file:NAME`. */
  readonly unlockKeys?: readonly string[];
}

export const correctableFields = [
  'machineName',
  'memoryBytes',
  'cpuCount',
  'networks',
  'point',
  'inoculate',
  'heartbeatTimeoutMs',
  'overwriteDisks',
  'verify',
  'unlockKeys',
] as const satisfies readonly (keyof CorrectableInput)[];
export type CorrectableField = (typeof correctableFields)[number];

/** Why a corrected value cannot be taken, or null. The door checks shapes; this is asked again where it takes effect. */
export function correctionProblem(field: CorrectableField, value: unknown): string | null {
  const wholeAbove = (minimum: number): string | null =>
    Number.isSafeInteger(value) && (value as number) >= minimum
      ? null
      : `${field}: found ${JSON.stringify(value)}, needed a whole number of at least ${minimum}`;
  switch (field) {
    case 'machineName':
    case 'point':
      return typeof value === 'string' && value.trim() !== '' ? null : `${field}: needed a name`;
    case 'memoryBytes':
      return wholeAbove(64 * 1024 * 1024);
    case 'cpuCount':
    case 'heartbeatTimeoutMs':
      return wholeAbove(1);
    case 'inoculate':
      return typeof value === 'boolean' ? null : `${field}: found ${JSON.stringify(value)}, needed true or false`;
    case 'verify':
      return verifications.some((one) => one === value) ? null : `verify: needed one of ${verifications.join(', ')}`;
    case 'overwriteDisks': {
      const isList = Array.isArray(value) && value.every((one) => typeof one === 'string' && one.startsWith('/'));
      return isList ? null : `${field}: needed a list of devices, each by its whole path`;
    }
    case 'unlockKeys': {
      const isList =
        Array.isArray(value) && value.every((one) => typeof one === 'string' && parseSecretRef(one) !== null);
      return isList ? null : `${field}: needed a list of references, file:NAME or environment:MUSTER_SECRET_NAME`;
    }
    case 'networks': {
      const isMap =
        typeof value === 'object' && value !== null && Object.values(value).every((v) => typeof v === 'string');
      return isMap ? null : `${field}: needed a map from source network to network at the recovery site`;
    }
  }
}

/** Whether the correction takes a step out of the order that is in it: as good as a skip. */
export const waivesStep = (order: Pick<Partial<RecoveryOrder>, 'inoculate'>, input: CorrectableInput | null): boolean =>
  order.inoculate === true && input?.inoculate === false;

/** The order with a decision's corrections in it. */
export function correctOrder(order: RecoveryOrder, input: CorrectableInput): RecoveryOrder {
  const { point, inoculate, heartbeatTimeoutMs, verify, unlockKeys, ...target } = input;
  const keys = unlockKeys?.flatMap((text) => parseSecretRef(text) ?? []);
  return {
    ...order,
    ...(point === undefined ? {} : { point }),
    ...(inoculate === undefined ? {} : { inoculate }),
    ...(verify === undefined ? {} : { verify }),
    ...(keys === undefined ? {} : { server: { ...order.server, unlockKeys: keys } }),
    target: { ...order.target, ...target },
    proof: { ...order.proof, ...(heartbeatTimeoutMs === undefined ? {} : { heartbeatTimeoutMs }) },
  };
}
