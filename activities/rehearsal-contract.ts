/** What a rehearsal does beside a recovery: its networks, the proof of isolation, and the survey before and after. Types only. */
import type { EvidenceRef } from '../model/events';
import type { RecoveryOrder } from '../model/order';
import type { ReplicationRow, ReplicationSeen, Survey, SurveyRow } from '../model/survey';
import type { Effect } from '../model/steps';

interface Input {
  readonly effect: Effect;
  readonly order: RecoveryOrder;
}

/** Read from the platform itself; what is not isolated throws. */
export interface IsolationProof {
  readonly readAt: string;
  readonly machine: string;
  readonly nics: readonly { readonly macAddress: string; readonly network: string; readonly isolatedBy: string }[];
  readonly networks: readonly { readonly name: string; readonly plugged: readonly string[] }[];
  /** While the rehearsal stands. */
  readonly replication: ReplicationSeen;
}

/** The platform was asked again after their removal, and had none of them any more. */
export interface NetworksGone {
  readonly siteId: string;
  readonly gone: readonly string[];
  readonly lookedAt: string;
}

export interface CleanProof {
  readonly before: string | null;
  readonly after: string;
  /** Item by item; what others changed is among them and proves nothing. */
  readonly rows: readonly SurveyRow[];
  readonly others: Readonly<Record<string, number>>;
  readonly replication: readonly ReplicationRow[];
  readonly evidence: readonly EvidenceRef[];
  /** What is not as before, in words, where nobody is asked about it. Absent: nothing. */
  readonly noted?: string;
}

export interface RehearsalActivities {
  /** Everything at the site that a rehearsal could change, and replication of the server. Read only. */
  surveySite(input: Input): Promise<Survey>;
  /** The networks of `order.isolation`, in the name of their owner. */
  makeNetworks(input: Input): Promise<{ readonly networks: readonly string[] }>;
  /** Undo of makeNetworks. @throws OperatorError when the platform still has one of them afterwards. */
  removeNetworks(input: Input): Promise<NetworksGone>;
  /** @throws OperatorError when a card of the machine reaches anything but its like. */
  proveIsolation(input: Input): Promise<IsolationProof>;
  /** Every machine of the run, whatever its name is now. None: already so. */
  switchOffMachines(input: Input): Promise<void>;
  /** The platform's storage forgets the run's disks. Nothing known: already so. */
  forgetDisks(input: Input): Promise<void>;
  /**
   * Compares; @throws OperatorError that names what is left, each with its remedy. Replication that ran before and did not go on is
   * among it; it is looked at again for a moment. `gaveWay`: to a recovery. Then a replica that this run does not hold itself is
   * noted as it is: its source may be what was lost.
   */
  proveClean(
    input: Input & {
      readonly before: Survey | null;
      readonly during: ReplicationSeen | null;
      readonly gaveWay?: boolean;
    },
  ): Promise<CleanProof>;
}
