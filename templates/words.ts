/** What closed sets are called in front of people. A state that is not here does not compile. */
import type { DecisionKind, RunState, StepState } from '../model/steps';
import type { Tone } from '../model/report';
import type { Verdict } from '../model/objectives';

export interface Chip {
  readonly text: string;
  readonly tone: Tone | 'quiet';
}

export const stepChips: Readonly<Record<StepState, Chip>> = {
  pending: { text: 'not reached', tone: 'quiet' },
  running: { text: 'running', tone: 'open' },
  waiting: { text: 'waits for a decision', tone: 'warning' },
  stuck: { text: 'stuck', tone: 'bad' },
  done: { text: 'done', tone: 'good' },
  'not-applicable': { text: 'not applicable', tone: 'quiet' },
  skipped: { text: 'skipped', tone: 'bad' },
  failed: { text: 'failed', tone: 'bad' },
  undone: { text: 'undone', tone: 'quiet' },
};

export const verdictChips: Readonly<Record<Verdict, Chip>> = {
  met: { text: 'met', tone: 'good' },
  missed: { text: 'missed', tone: 'bad' },
  unknown: { text: 'not known', tone: 'quiet' },
};

export const runWords: Readonly<Record<RunState, string>> = {
  running: 'running',
  waiting: 'waiting',
  held: 'held',
  stuck: 'stuck',
  undoing: 'being undone',
  succeeded: 'succeeded',
  'succeeded-with-exceptions': 'succeeded with exceptions',
  aborted: 'aborted',
  failed: 'failed',
};

export const decisionWords: Readonly<Record<DecisionKind, string>> = {
  retry: 'Retry',
  skip: 'Skip',
  provide: 'Provide',
  approve: 'Approve',
  withdraw: 'Withdraw',
  hold: 'Hold',
  'go-on': 'Go on',
  claim: 'Claim',
  release: 'Release',
  commit: 'Commit',
  'roll-back': 'Roll back',
  abort: 'Abort',
};

export const optionWords = {
  destructive: 'Destructive: the machine takes the replica itself',
  'backup-and-recover': 'Backup and recover: a clone on the sealed point',
  'copy-and-recover': 'Copy and recover: a copy of the point that stands by itself',
} as const;
