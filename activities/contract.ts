/**
 * What a procedure may do to the world, as its workflow sees it. Types only: workflows import this file and nothing else
 * of activities/. Every function is one attempt (design: law 3); `effect` names it.
 */
import type { RecoveryOrder } from '../model/order';
import type { EvidenceRef, Failure, RunEvent } from '../model/events';
import type { Person } from '../model/people';
import type { DiskId, ServerSpec } from '../model/server';
import type { MachineHolding, MachineRelease } from '../model/machine-holding';
import type { DiscoveredServer } from '../replication/contract';
import type { ReadinessAnswer, ReadinessQuestion } from '../model/readiness/site-readiness';
import type { PreparedRehearsal, PrepareRehearsal, SkippedRehearsal } from '../model/scheduled-rehearsal';
import type { PointId, PointManifest, ReplicaView, TakenDisk, VolumeSignature } from '../model/replica';
import type { InoculationReport, RegistryReport, VolumeFound } from '../disks/contract';
import type { SiteView } from '../model/site-view';
import type { Script } from '../model/runbook/runbook';
import type { Effect } from '../model/steps';
import type { RehearsalActivities } from './rehearsal-contract';

/** What every effect on a recovery gets: who it is for and the order with all corrections applied. */
export interface EffectInput {
  readonly effect: Effect;
  readonly order: RecoveryOrder;
}

export interface PreflightReport {
  readonly pointId: PointId;
  readonly pointAgeMs: number;
  readonly checks: readonly {
    readonly name: string;
    readonly ok: boolean;
    /** A warning is shown and recorded and stops nothing. */
    readonly severity: 'problem' | 'warning';
    readonly found: string;
    readonly needed: string;
  }[];
}

export interface Frozen {
  readonly point: Omit<PointManifest, 'disks'> & {
    readonly disks: readonly { readonly diskId: DiskId; readonly signatures: readonly VolumeSignature[] }[];
  };
  readonly finalCycle: 'done' | 'not-wanted' | 'source-unreachable';
  /** How much of the point's layers was compared with its digests; readBytes 0: nothing. */
  readonly verified?: { readonly readBytes: number; readonly totalBytes: number };
  /** planned: the source was stopped by us. */
  readonly sourceStopped: boolean;
}

export interface ProofRung {
  readonly name: 'powered-on' | 'console' | 'heartbeat' | 'stable' | 'service' | 'screenshot';
  /** false: it could not be shown here; what is needed and fails throws instead. */
  readonly ok: boolean;
  readonly detail: string;
  readonly evidence: readonly EvidenceRef[];
}

/** `waitedForPlaceMs`: until fewer machines than the site's limit were booting; no part of what this machine takes. */
export interface PoweredOn {
  readonly waitedForPlaceMs: number;
}

export interface BootProof {
  readonly rungs: readonly ProofRung[];
  readonly provenAt: string;
}

/** One attempt of a runbook's script. */
export interface ScriptInput extends EffectInput {
  readonly script: Script;
  /** Of a wave: no server is meant, `order` is the one of the wave's first server. */
  readonly wave: string | null;
}

export interface ScriptResult {
  readonly exitCode: number;
  readonly meaning: 'done' | 'warning';
}

/** Effects of push-button recovery; they run on the queue of the recovery site. */
export interface RecoveryActivities extends RehearsalActivities {
  preflight(input: EffectInput): Promise<PreflightReport>;
  freezeReplica(input: EffectInput): Promise<Frozen>;
  /** Undo of freeze: replication goes on; a source that we stopped is started again when it can be reached. */
  thawReplica(input: EffectInput): Promise<void>;
  takeDisks(input: EffectInput & { pointId: PointId }): Promise<TakenDisk[]>;
  /** After the copies were taken: replication goes on. */
  letReplicaGo(input: EffectInput): Promise<void>;
  dropDisks(input: EffectInput): Promise<void>;
  applySignature(input: EffectInput & { disk: TakenDisk }): Promise<VolumeFound[]>;
  removeSignature(input: EffectInput & { disk: TakenDisk }): Promise<void>;
  inoculateDisks(input: EffectInput & { disks: readonly TakenDisk[] }): Promise<InoculationReport>;
  /** Windows only; Linux has no registry. */
  updateRegistry(input: EffectInput & { disks: readonly TakenDisk[] }): Promise<RegistryReport>;
  /** destructive: suspended until commit. Otherwise only noted: copies let it go on; else frozen, and resumed at the end. */
  suspendReplication(input: EffectInput): Promise<{ state: 'suspended' | 'frozen' | 'replicating' }>;
  /** Undo of suspend: frozen again, as it was before. */
  unsuspendReplication(input: EffectInput): Promise<void>;
  createMachine(input: EffectInput): Promise<{ name: string; uuid: string }>;
  removeMachine(input: EffectInput): Promise<void>;
  handOverDisk(input: EffectInput & { disk: TakenDisk }): Promise<TakenDisk>;
  takeBackDisk(input: EffectInput & { disk: TakenDisk }): Promise<void>;
  registerDisk(input: EffectInput & { disk: TakenDisk }): Promise<{ sizeBytes: number; format: string }>;
  unregisterDisk(input: EffectInput & { disk: TakenDisk }): Promise<void>;
  releaseDisk(input: EffectInput & { disk: TakenDisk }): Promise<{ restarted: boolean }>;
  /** Why power-on needs a person, or null: the source answers, or isolation of a rehearsal is not given (OperatorError). */
  judgePowerOn(input: EffectInput): Promise<{ because: string | null; question?: string }>;
  powerOnMachine(input: EffectInput): Promise<PoweredOn>;
  powerOffMachine(input: EffectInput): Promise<void>;
  proveBoot(input: EffectInput): Promise<BootProof>;
  /**
   * Runs a script to its end; what it printed is evidence, without secrets. By its exit code: done or warning, TransientError
   * (tried again while attempts last), OperatorError. Not allowed or not there: OperatorError, and nothing has run.
   */
  runScript(input: ScriptInput): Promise<ScriptResult>;
  resumeReplication(input: EffectInput): Promise<{ state: 'replicating' | 'suspended' | 'source-unreachable' }>;
  /** Undo of resumeReplication, for a run that stopped its source: the undo of the freeze starts it again. */
  rememberSource(input: EffectInput): Promise<void>;
  /** Merges the run's overlays into the base and removes the session: a destructive recovery becomes final. */
  commitReplica(input: EffectInput): Promise<void>;
}

/** Record-keeping; on the queue `journal`, retried by Temporal without limit (design: laws 3 and 5). */
export interface JournalActivities {
  /** Numbers and stores the batch; the same (run, flush) again changes nothing. Returns the chain's head. */
  appendJournal(batch: {
    tenantId: string;
    coreId: string;
    runId: string;
    parentRunId: string | null;
    flush: number;
    events: readonly RunEvent[];
  }): Promise<{ lastSequence: number; lastHash: string }>;
}

/** A person as the store knows them now. */
export interface PersonNow extends Person {
  /** Has a token that is good, or one that merely ran out: nobody took it away. */
  readonly mayEnter: boolean;
}

/** Beside the journal's, on its queue: who people are now. Short, and given up rather than waited for. */
export interface PeopleActivities {
  /** Those of these ids that are known. */
  readPeople(input: { ids: readonly string[] }): Promise<PersonNow[]>;
}

/** Short questions about runs, on the queue `journal`. */
export interface HolderActivities {
  /** The run that holds a lock (a workflow id) now; null: none, or none of Muster's. */
  findHolder(input: { workflowId: string }): Promise<RunHolder | null>;
  /** False: ended, however it was, or never there. */
  isRunning(input: { workflowId: string }): Promise<boolean>;
}

export interface RunHolder {
  readonly runId: string;
  readonly requestedBy: string;
  readonly since: string;
}

/** What a schedule's workflow needs of Postgres; on the queue `journal`, retried by Temporal. */
export interface ScheduleActivities {
  /** The order of the rehearsal, or why there is none. */
  prepareRehearsal(input: PrepareRehearsal): Promise<PreparedRehearsal>;
  /** Recorded in the installation's own chain, and told, once. */
  skipRehearsal(input: SkippedRehearsal): Promise<void>;
}

/** What an activity throws reaches the workflow as ApplicationFailure: type = family, details[0] = FailureDetails. */
export interface FailureDetails extends Failure {
  /** When the effect ended, by the worker's clock. */
  readonly at: string;
  readonly durationMs: number;
  /** Identity of the worker process. */
  readonly worker: string;
  /** Evidence gathered on the way to the failure (console text, screenshot). */
  readonly evidence: readonly { readonly what: string; readonly evidence: EvidenceRef }[];
}

/** What an activity returns to the runner beside its result. */
export interface Outcome<T> {
  readonly result: T;
  readonly at: string;
  readonly durationMs: number;
  readonly worker: string;
  readonly evidence: readonly { readonly what: string; readonly evidence: EvidenceRef }[];
}

/** An activity group as it is registered: every result comes with its time, its worker and its evidence. */
export type Recorded<A> = {
  [K in keyof A]: A[K] extends (input: infer I) => Promise<infer R> ? (input: I) => Promise<Outcome<R>> : never;
};

export interface ReplicateInput extends SessionInput {
  /** Ends after the first point: the session shows an error, and is to know that it is over. */
  readonly untilFirstPoint?: boolean;
}

export interface SessionInput {
  readonly tenantId: string;
  readonly coreId: string;
  readonly server: ServerSpec;
}

/** Why a stretch of cycles ended without an error. */
export interface CyclesEnded {
  readonly because: 'held' | 'stretch-over' | 'first-point' | 'gone';
  /** The run that holds the replica. */
  readonly heldBy: string | null;
  readonly cycles: number;
}

/** The long activities of a replication session; one at a time per server, on the recovery site's queue. */
export interface SessionActivities {
  prepareReplica(input: SessionInput): Promise<void>;
  /** Cycles at the server's cadence until a run holds the replica, or for a stretch of time; heartbeats carry progress. */
  replicate(input: ReplicateInput): Promise<CyclesEnded>;
  /** Waits until no run holds the replica; `gone`: a commit has taken it away. */
  awaitLetGo(input: SessionInput): Promise<{ gone: boolean }>;
  removeReplica(input: SessionInput): Promise<void>;
}

/** Short questions to a site, asked by the API through workflows of one activity. */
export interface SiteActivities {
  discoverServer(input: {
    recoverySiteId: string;
    sourceSiteId: string;
    machineName: string;
  }): Promise<DiscoveredServer>;
  viewReplicas(input: { siteId: string }): Promise<ReplicaView[]>;
  /** What would keep these orders from being carried out; nothing is changed. */
  examineReadiness(input: ReadinessQuestion): Promise<ReadinessAnswer>;
  /** Its networks and hardware, asked from the platform at this moment. */
  viewSite(input: { siteId: string }): Promise<SiteView>;
  /** The site's physical machines with what holds each; none where it has none. */
  viewMachines(input: { siteId: string }): Promise<MachineHolding[]>;
  /** Ends the hold of a run that is lost on the replica; its disks stay. Not held by it: already so. */
  endHold(input: { siteId: string; serverId: string; runId: string }): Promise<void>;
  /** Gives up the claim of `owner` on the machine; free already: `released` is false. */
  releaseMachine(input: MachineRelease): Promise<{ released: boolean }>;
}
