/** What is said of something that waits for people: who has taken it, who has agreed, whose second pair of eyes it needs. */
import type { CorrectableInput } from './order';
import type { People } from './runbook/runbook';
import type { DecisionKind } from './steps';

export interface Who {
  readonly id: string;
  readonly name: string;
}

export interface Approval {
  readonly by: Who;
  readonly at: string;
  readonly reason: string;
}

/** A decision that needs four eyes, given by one person so far: the same by another one takes effect. */
export interface HalfDecision extends Approval {
  readonly decision: DecisionKind;
  readonly from: string | null;
  readonly input: CorrectableInput | null;
  /** The second has come: whether the first still may is being looked up. */
  readonly checking?: true;
}

/** What a gate of a runbook adds to what waits. */
export interface GateStanding {
  readonly name: string;
  readonly approvers: People;
  readonly needed: number;
  /** When its time is over; null: it waits until somebody decides, or has escalated. */
  readonly until: string | null;
  readonly otherwise: 'wait' | 'escalate' | 'abort' | 'go-on';
  readonly escalateTo: People;
}

/** Of everything that waits; absent in what earlier versions answer. */
export interface Standing {
  readonly claimedBy?: Who | null;
  readonly claimedAt?: string | null;
  readonly gate?: GateStanding | null;
  /** Of the gate; nobody stands in it twice. */
  readonly approvals?: readonly Approval[];
  readonly half?: HalfDecision | null;
}
