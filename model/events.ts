/**
 * What happens in a run, in the order in which it happened. The workflow emits these; the journal keeps them (row format
 * 1, design section 7). Clocks, run state, step states and the report are all computed from this list and nothing else.
 */
import type { CorrectableInput, Provenance, RecoveryOrder } from './order';
import type { HoldPlace, PlanHeader } from './plan';
import type { DecisionKind, RunState } from './steps';
import type { Occasion, People } from './runbook/runbook';
import type { GateStanding, Who } from './waiting';
import type { ErrorFamily } from './errors';

export interface Failure {
  /** Beside the three families: the worker was lost in mid-attempt; a person aborted or rewound in mid-attempt. */
  readonly family: ErrorFamily | 'LostWorker' | 'Cancelled';
  readonly message: string;
  readonly remedy: string | null;
  readonly detail: string | null;
}

/** A file that proves something, kept under its SHA-256. */
export interface EvidenceRef {
  readonly sha256: string;
  readonly name: string;
  readonly mediaType: string;
  readonly sizeBytes: number;
}

/** Where a server runs, and where it is protected to. */
interface Direction {
  readonly siteId: string;
  readonly machineName: string;
  readonly recoverySiteId: string;
}

/** kind -> data. Everything in `data` is plain JSON. */
export interface EventData {
  'run-opened': { order: RecoveryOrder; declaration: string; versions: Record<string, string> };
  'plan-opened': { order: PlanHeader; declaration: string; versions: Record<string, string> };
  'step-announced': { title: string };
  'attempt-started': { token: number; undo: boolean };
  /** `durationMs` is the activity's own measure; the workflow's clock runs late after a lost worker. */
  'attempt-succeeded': { token: number; undo: boolean; result: unknown; durationMs: number | null };
  'attempt-failed': { token: number; undo: boolean; failure: Failure; nextDelayMs: number | null };
  'step-done': { result: unknown };
  'step-not-applicable': { because: string };
  'step-skipped': { reason: string };
  'step-undone': Record<string, never>;
  parked: { epoch: number; undo: boolean; failure: Failure; allowed: DecisionKind[]; remedy: string };
  /** A gate: the run waits for people though nothing failed. */
  'gate-opened': {
    epoch: number;
    question: string;
    allowed: DecisionKind[];
    because: string;
    /** Absent where no runbook names the gate. */
    gate?: GateStanding;
  };
  /** People were waited for as long as the order allows; it is undone now. Of a plan, epoch 0: the run of this server or runbook gave up. */
  'gave-up': { epoch: number; afterMs: number };
  reminded: { epoch: number; waitingMs: number };
  /**
   * One of the approvals that a gate needs, or the first pair of eyes on a decision that needs four; with the last one it is
   * `decided`, too. Epoch 0: on the run itself.
   */
  approved: {
    epoch: number;
    reason: string;
    approvals: number;
    needed: number;
    /** Absent: approve. */
    decision?: DecisionKind;
    from?: string | null;
    input?: CorrectableInput | null;
  };
  /** `of`: whose it was, where it was not theirs to take back: a role withdrawn, another decision in its place. */
  'approval-withdrawn': { epoch: number; reason: string; approvals: number; needed: number; of?: Who };
  /** The gate's time is over, and these may approve from now on, too. */
  escalated: { epoch: number; afterMs: number; to: People };
  claimed: { epoch: number };
  released: { epoch: number };
  /** Of a plan: something of this server's run waits for people; `item` is its name. What it is stands in that run's record. */
  'child-waits': { runId: string; step: string; kind: string; cause: string };
  /** Nothing of it does any more. */
  'child-goes-on': { runId: string };
  /** Nothing new is started there until people let it go on; what runs, runs to its end. */
  held: { of: HoldPlace; reason: string };
  'let-go-on': { of: HoldPlace; reason: string };
  /** What was sent to whom; `failed` with the reason for each. */
  told: {
    epoch: number | null;
    occasion: Occasion;
    to: string[];
    failed: { to: string; because: string }[];
    /** In the installation's own chain: of which parkings of which runs (epoch 0: the run itself), and of what else. */
    of?: { runId: string; epoch: number }[];
    about?: string[];
  };
  decided: {
    epoch: number;
    decision: DecisionKind;
    reason: string;
    from: string | null;
    input: CorrectableInput | null;
  };
  'decision-refused': { decision: string; because: string };
  /** Of no run: in the installation's own chain, before it is done; `ofRun` held the machine. */
  'release-decided': { siteId: string; machine: string; ofRun: string; reason: string };
  /** Of no run, as above: from here on the server is copied from where a run recovered it to where it was before. */
  'protection-reversed': { server: string; from: Direction; to: Direction; afterRun: string; reason: string };
  rewound: { from: string; to: string };
  evidence: { evidence: EvidenceRef; what: string };
  measured: { name: string; value: number; unit: 'ms' | 'bytes' | 'count' };
  noted: { message: string };
  'undo-started': { because: string };
  /** `lost`: nothing ran it any more, and a person closed its record; what it had made is where it was. */
  'run-closed': { state: RunState; summary: string; childHashes: Record<string, string>; lost?: true };
}

export type EventKind = keyof EventData;

/** One event as the workflow emits it. The activity that stores it numbers it. */
export type RunEvent = {
  [K in EventKind]: {
    readonly kind: K;
    /** UTC with milliseconds. */
    readonly at: string;
    readonly by: Provenance;
    readonly step: string | null;
    readonly item: string | null;
    readonly attempt: number | null;
    readonly data: EventData[K];
  };
}[EventKind];
