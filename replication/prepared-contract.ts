/** Inoculations that were worked out ahead, kept beside the points they were made from and never inside one. */
import type { KeptPreparation, Preparation, PrepareResult } from '../disks/contract';
import type { PointId, PreparedView, TakenDisk } from '../model/replica';
import type { ServerId, ServerSpec } from '../model/server';
import type { CallOptions } from '../platforms/contract';

/** Where one preparation works: overlays of its own on a point, thrown away afterwards. */
export interface PreparationGround {
  readonly id: string;
  readonly pointId: PointId;
  readonly takenAt: string;
  /** With their signatures; no target server holds them. */
  readonly disks: readonly TakenDisk[];
  /** An empty folder for what is prepared. */
  readonly folder: string;
}

export interface PreparedEntry extends PreparedView {
  /** When it was last compared with a point; as `at` until then. */
  readonly checkedAt: string;
  /** Null where the state is `failed`. */
  readonly preparation: Preparation | null;
}

/** As Replicas: each method may be called twice with the effect of once; a crash at any moment leaves what was kept. */
export interface Preparations {
  /**
   * Overlays on the newest point; what an interrupted preparation left is cleared first. While they are there no point
   * is merged. The caller holds the lease on the replica; `end` needs none. Null: a run holds the replica, it has no
   * complete point, or a merge has to be finished first.
   */
  begin(server: ServerSpec, options?: CallOptions): Promise<PreparationGround | null>;
  /** Removes what a preparation that lost its worker left: it would keep points from being merged. */
  clear(serverId: ServerId): Promise<void>;
  /** Absent: already so. */
  end(serverId: ServerId, id: string): Promise<void>;
  /** Keeps what was worked out: all of it or nothing, fsynced. What could not be prepared is kept as that. */
  keep(serverId: ServerId, ground: PreparationGround, results: readonly PrepareResult[]): Promise<void>;
  /** The source shows another state than the one that it was made from. Not kept: already so. */
  markOutdated(serverId: ServerId, hardwareIds: readonly string[], because: string): Promise<void>;
  entries(serverId: ServerId): Promise<PreparedEntry[]>;
  /** What an inoculation for this hardware may use, or why there is nothing. Never throws for what is damaged. */
  find(serverId: ServerId, hardwareId: string): Promise<KeptPreparation | { because: string }>;
}
