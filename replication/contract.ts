/**
 * The recovery site's side of replication: replicas, the target server that holds them, and what a run takes from them.
 *
 * General rules, as for platforms: every method may be called twice with the effect of once; what is already so is
 * success; families of errors as in model/errors.ts; `signal` ends the wait and leaves a state that the next call can
 * continue from; no retry inside. The caller holds the lease on the server's replica (activities/lease.ts), so that two
 * effects never run at once, even when the older one's worker is thought to be dead.
 */
import type { CallOptions } from '../platforms/contract';
import type { PointId, PointManifest, ReplicaView, RecoveryOption, TakenDisk, SessionState } from '../model/replica';
import type { DiskId, ServerId, ServerSpec } from '../model/server';
import type { SurveyItem } from '../model/survey';

/** What a session's cycle reports, so that its workflow needs no history per cycle. */
export interface CycleReport {
  readonly manifest: PointManifest;
  readonly copiedBytes: number;
  readonly durationMs: number;
  readonly merged: PointId | null;
}

export type CycleOptions = CallOptions & {
  readonly freezeFilesystems?: boolean;
  /** See CopyRequest. */
  readonly ofStoppedMachine?: boolean;
  /** See CopyRequest. Default: copied at once. */
  readonly agentFirst?: boolean;
};

export interface HoldOptions {
  /** Of a rehearsal: a recovery takes it over. */
  readonly yields?: boolean;
}

/** What reading a point's layers has shown. */
export interface Examination {
  /** Length of all layers that the point stands on. */
  readonly totalBytes: number;
  /** 0: they are longer than the caller wanted to be read. */
  readonly readBytes: number;
  readonly damage: readonly LayerDamage[];
  /** The newest point that stands on no damaged layer; null: none is known. */
  readonly standing: PointId | null;
}

/** A layer whose bytes are not those that its manifest was written for. */
export interface LayerDamage {
  readonly diskId: DiskId;
  readonly file: string;
  readonly pointId: PointId;
  /** SHA-256. */
  readonly found: string;
  readonly needed: string;
}

export interface Replicas {
  /** Creates the replica's folder and starts its target server. Already there: adopted, also after kill -9 of anything. */
  prepare(server: ServerSpec, options?: CallOptions): Promise<void>;
  /**
   * One cycle: an increment of every disk (or the first full copy), signatures taken out, manifest written last; then at
   * most one merge of the oldest point when more than `keepPoints` stand and no clone is on them. A crash at any moment
   * costs this cycle only; the next call clears its leftovers.
   */
  cycle(server: ServerSpec, options?: CycleOptions): Promise<CycleReport>;
  /** Complete points, oldest first; found from the manifests, each checked for files and an unbroken chain. */
  points(serverId: ServerId): Promise<PointManifest[]>;
  /**
   * Reads the layers that the point stands on and compares their digests with their manifests, unless they hold more than
   * `limitBytes` (null: no limit). Only while the caller holds the replica.
   */
  examine(
    serverId: ServerId,
    point: PointId,
    options: CallOptions & { readonly limitBytes: number | null },
  ): Promise<Examination>;
  view(serverId: ServerId): Promise<ReplicaView | undefined>;
  views(): Promise<ReplicaView[]>;
  /**
   * Durable marker beside the manifests: while a run holds the replica, no cycle and no merge starts. Another run's hold:
   * OperatorError naming it; but one that yields, a rehearsal's, is taken over by one that does not.
   */
  hold(
    serverId: ServerId,
    runId: string,
    state: Extract<SessionState, 'frozen' | 'suspended'>,
    options?: HoldOptions,
  ): Promise<void>;
  /** Ends that run's hold. Not held by it: already so. */
  letGo(serverId: ServerId, runId: string): Promise<void>;
  /**
   * An overlay per disk on the point, held and exported for editing by the target server. copy-and-recover: a copy of each
   * disk instead, which stands by itself; from the return on the replica may be let go, and no point is needed any more.
   * A copy goes on in the target server when the caller dies or `signal` is aborted; the next call, also after kill -9 of
   * the target server, copies only what is missing.
   * @throws OperatorError when there is no room for the copies; what is copied is kept.
   */
  take(
    server: ServerSpec,
    point: PointId,
    option: RecoveryOption,
    runId: string,
    options?: CallOptions,
  ): Promise<TakenDisk[]>;
  /** Undo of take, also of one that is under way: what was taken is closed and deleted; the points are as before. */
  drop(serverId: ServerId, runId: string, options?: CallOptions): Promise<void>;
  /** The target server closes the export and the overlay of this disk, so that the new machine may open it. No bytes are copied. */
  handOver(serverId: ServerId, runId: string, diskId: DiskId, options?: CallOptions): Promise<TakenDisk>;
  /** Undo of handOver: the target server opens and exports the overlay again. */
  takeBack(serverId: ServerId, runId: string, diskId: DiskId, options?: CallOptions): Promise<TakenDisk>;
  /** Verifies from outside that nobody holds a lock on the overlay; restarts the target server when it does not let go. */
  release(serverId: ServerId, runId: string, diskId: DiskId, options?: CallOptions): Promise<{ restarted: boolean }>;
  /**
   * Ends a destructive recovery: the target server lets the chain go; returns for each disk the base file that the
   * machine's overlay is to be merged into (Platform.mergeDisk does that).
   */
  beginCommit(
    serverId: ServerId,
    runId: string,
    options?: CallOptions,
  ): Promise<{ diskId: DiskId; overlayPath: string; basePath: string }[]>;
  /** After the merge: the replica's points and manifests are removed; the base now belongs to the recovered machine. */
  finishCommit(serverId: ServerId, runId: string, options?: CallOptions): Promise<void>;
  /**
   * Runs whose disks stand on the replica, also of runs that are over: a machine may still run from them. Copies that are
   * whole do not.
   */
  runs(serverId: ServerId): Promise<string[]>;
  /**
   * Removes session, target server and every file of the replica but disks that were given away (bases by a commit, copies
   * by a hand-over). In use by a run: OperatorError. Absent: already so.
   */
  remove(serverId: ServerId, options?: CallOptions): Promise<void>;
  /** Bytes that copies of this point's disks take: what its chains hold, each area once. @throws OperatorError without that point. */
  copySizeBytes(serverId: ServerId, point: PointId, options?: CallOptions): Promise<number>;
  /**
   * What lies at the replica beside replication's own: markers, what runs took, exports of the target server, files that
   * nobody knows. Read only; a target server that is down is not started for it. No replica: nothing.
   */
  survey(serverId: ServerId): Promise<SurveyItem[]>;
  /** Bytes free where replicas are kept. */
  freeBytes(): Promise<number>;
}

/** Where points come from: the source side of a session, behind the source's platform. */
export interface ReplicationSource {
  /** What is to be protected, read from the running machine (disks, NICs, firmware, operating system). */
  discover(machineName: string, options?: CallOptions): Promise<DiscoveredServer>;
  /**
   * Copies every disk (`since` null) or what changed since that checkpoint into new files, all at one moment, and leaves
   * `checkpoint` behind. A copy under the same checkpoint name that was cut short is cleared first.
   * @throws OperatorError `CheckpointLost` (facts.what starts with it) when `since` no longer exists at the source; TransientError
   * `AgentToCome` as the request wants it.
   */
  copy(request: CopyRequest, options?: CallOptions): Promise<CopyResult>;
  /** Checkpoint names at the source, oldest first. */
  checkpoints(machineName: string, options?: CallOptions): Promise<string[]>;
  /** Absent: already so. */
  deleteCheckpoint(machineName: string, checkpoint: string, options?: CallOptions): Promise<void>;
}

export type DiscoveredServer = Pick<ServerSpec, 'os' | 'firmware' | 'cpuCount' | 'memoryBytes' | 'disks' | 'nics'>;

export interface CopyRequest {
  readonly machineName: string;
  readonly checkpoint: string;
  readonly since: string | null;
  readonly disks: readonly { readonly diskId: DiskId; readonly device: string; readonly file: string }[];
  readonly freezeFilesystems: boolean;
  /**
   * The machine was stopped on purpose and its last writes are wanted: copied although it is off, and its guest does not
   * run for it. Without this a machine that is off is TransientError, because nobody may touch a lost server's disks.
   */
  readonly ofStoppedMachine?: boolean;
  /**
   * The copy is refused as `AgentToCome` while the guest's agent has not come since its machine was started, because it would not be heard
   * any more (agent-to-come.ts); but not in the start of this name. Absent: copied at once.
   */
  readonly agentFirst?: { readonly exceptInStart: string | null } | undefined;
}

export interface CopyResult {
  readonly takenAt: string;
  readonly clockSkewMs: number | null;
  readonly consistency: PointManifest['consistency'];
  readonly copiedBytes: number;
  /** See PointManifest.origin. */
  readonly withoutAgentIn?: string | null;
}
