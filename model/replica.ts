/** Recovery points and what a run takes from them. The manifest is the truth; everything else is a projection. */
import type { DiskId, ServerId, SiteId } from './server';

export type PointId = string;

export const consistencies = ['application', 'file-system', 'crash'] as const;
export type Consistency = (typeof consistencies)[number];

export const sessionStates = ['starting', 'replicating', 'paused', 'frozen', 'suspended', 'removed'] as const;
export type SessionState = (typeof sessionStates)[number];

/** Bytes that make a volume recognisable, taken out of the replica and kept here. */
export interface VolumeSignature {
  /** Number of the partition, from 1; 0 for a volume on the bare disk. */
  readonly partition: number;
  readonly volumeOffsetBytes: number;
  readonly volumeSizeBytes: number;
  /** What blkid calls it: ext4, xfs, LVM2_member, crypto_LUKS, ntfs, btrfs, swap. */
  readonly type: string;
  readonly pieces: readonly SignaturePiece[];
}

export interface SignaturePiece {
  /** From the start of the disk. */
  readonly offsetBytes: number;
  readonly hex: string;
}

export interface PointDisk {
  readonly diskId: DiskId;
  /** File name of this point's layer, relative to the replica's folder. */
  readonly file: string;
  readonly virtualSizeBytes: number;
  readonly storedBytes: number;
  /** Length of the layer's file; absent in manifests of earlier versions. */
  readonly fileBytes?: number | undefined;
  readonly sha256: string;
  readonly signatures: readonly VolumeSignature[];
}

/** Written and fsynced once, after the layer of every disk. What is in no manifest does not exist. */
export interface PointManifest {
  readonly format: 1;
  readonly pointId: PointId;
  readonly serverId: ServerId;
  readonly sequence: number;
  readonly parentPointId: PointId | null;
  /** The moment in the source's life that this point holds; UTC, milliseconds. */
  readonly takenAt: string;
  readonly completedAt: string;
  /** Source clock minus recovery-site clock; null where the guest could not be asked. */
  readonly clockSkewMs: number | null;
  readonly consistency: Consistency;
  readonly origin: {
    readonly siteId: SiteId;
    readonly machineName: string;
    /** The platform's name for the machine's start in which it was copied although the guest's agent had not come; absent: it had, or there is none. */
    readonly withoutAgentIn?: string | undefined;
  };
  readonly codec: 'qcow2' | 'raw';
  readonly keyRef: string | null;
  readonly disks: readonly PointDisk[];
}

export const preparedStates = ['prepared', 'outdated', 'none', 'failed'] as const;
export type PreparedState = (typeof preparedStates)[number];

/** Whether the inoculation for one hardware profile is worked out ahead. */
export interface PreparedView {
  readonly hardwareId: string;
  /**
   * outdated: the source has changed since; kept, and used if it fits the point that is recovered. failed: it was tried
   * and cannot be prepared; a run goes the ordinary way.
   */
  readonly state: PreparedState;
  /** When it was made or tried; null: never. */
  readonly at: string | null;
  /** Why it is outdated or could not be made. */
  readonly because: string | null;
}

/** One word for all profiles: prepared only when each one is. */
export function preparedOverall(prepared: readonly Pick<PreparedView, 'state'>[] = []): PreparedState {
  const there = (state: PreparedState) => prepared.some((entry) => entry.state === state);
  if (prepared.length === 0) return 'none';
  return (['outdated', 'failed', 'none'] as const).find(there) ?? 'prepared';
}

export interface ReplicaView {
  readonly serverId: ServerId;
  readonly serverName: string;
  readonly state: SessionState;
  /** Run that holds the replica frozen or suspended. */
  readonly heldBy: string | null;
  /** It is a rehearsal, whose hold a recovery takes over. */
  readonly holdYields?: true;
  readonly points: readonly { pointId: PointId; takenAt: string; consistency: Consistency; storedBytes: number }[];
  readonly lagMs: number | null;
  readonly storedBytes: number;
  readonly lastError: string | null;
  /** One entry per hardware profile; none where nothing was prepared yet. */
  readonly prepared?: readonly PreparedView[];
  /** What lies there as a point and cannot be recovered from; it goes with the replica. Absent: none. */
  readonly orphans?: readonly OrphanView[];
}

export interface OrphanView {
  /** null where its manifest cannot be read. */
  readonly pointId: PointId | null;
  /** Name of its manifest's file. */
  readonly file: string;
  readonly because: string;
  readonly storedBytes: number;
}

export const recoveryOptions = ['destructive', 'backup-and-recover', 'copy-and-recover'] as const;
export type RecoveryOption = (typeof recoveryOptions)[number];

/** One disk of a run: an overlay on a point that the target server holds and that edits go to. */
export interface TakenDisk {
  readonly diskId: DiskId;
  readonly index: number;
  readonly pointId: PointId;
  readonly virtualSizeBytes: number;
  /** The overlay's file, absolute; what the new machine will open. */
  readonly path: string;
  readonly format: 'qcow2' | 'raw';
  /** Where edits go while the target server holds the disk (`nbd+unix:///name?socket=…` or `file:…`). */
  readonly editUri: string;
  readonly signatures: readonly VolumeSignature[];
}
