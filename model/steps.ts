/** Steps, items and attempts: the closed sets and what a procedure declares of itself. */
import type { CorrectableField } from './order';

export const stepStates = [
  'pending',
  'running',
  'waiting',
  'stuck',
  'done',
  'not-applicable',
  'skipped',
  'failed',
  'undone',
] as const;
export type StepState = (typeof stepStates)[number];

export const runStates = [
  'running',
  'waiting',
  'held',
  'stuck',
  'undoing',
  'succeeded',
  'succeeded-with-exceptions',
  'aborted',
  'failed',
] as const;
export type RunState = (typeof runStates)[number];

export const closedRunStates = ['succeeded', 'succeeded-with-exceptions', 'aborted', 'failed'] as const;

export const isClosedRun = (state: RunState): boolean => (closedRunStates as readonly RunState[]).includes(state);

/** The step that proves a server; what people skip of it is never called proven. */
export const provingStep = 'prove-boot';

export const decisionKinds = [
  'retry',
  'skip',
  'provide',
  'approve',
  'withdraw',
  'hold',
  'go-on',
  'claim',
  'release',
  'commit',
  'roll-back',
  'abort',
] as const;
export type DecisionKind = (typeof decisionKinds)[number];

/** A step as its procedure declares it; feeds preview, console, report and docs. */
export interface StepDeclaration {
  readonly id: string;
  readonly title: string;
  readonly why: string;
  /** What to do when it is stuck, for any cause that brings no remedy of its own. */
  readonly remedy: string;
  /** What undoing it does; null where there is nothing to undo. */
  readonly undo: string | null;
  /** One item per disk. */
  readonly perDisk: boolean;
  /** Whether a person may skip it; where false the reason is in `why`. */
  readonly skippable: boolean;
  /** The fields of the order that `provide` may correct here. */
  readonly provides: readonly CorrectableField[];
}

export interface ProcedureDeclaration {
  readonly name: string;
  readonly title: string;
  readonly summary: string;
  readonly steps: readonly StepDeclaration[];
}

/** Names one attempt of one effect: everything done to the world carries it (design: law 2). */
export interface Effect {
  readonly tenantId: string;
  readonly coreId: string;
  readonly runId: string;
  readonly step: string;
  /** Disk id for a step per disk, else null. */
  readonly item: string | null;
  /** Counts tries of this item, from 1; undo has its own count. */
  readonly attempt: number;
  /** Fencing token: rises with every attempt of the run, whatever the step. A holder of a lower one is too late. */
  readonly token: number;
  readonly undo: boolean;
}

/** Progress of something long, as heartbeats carry it. */
export interface Progress {
  readonly label: string;
  readonly done: number;
  readonly total: number | null;
  readonly unit: 'bytes' | 'items' | 'percent';
  readonly ratePerSecond: number | null;
  readonly timeLeftMs: number | null;
}
