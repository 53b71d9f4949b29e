/** What one seed stands for: which server is recovered how, what its people decide, which faults and kills it meets. */
import type { ErrorFamily } from '../../model/errors';
import type { Intent, Mode } from '../../model/order';
import type { RecoveryOption } from '../../model/replica';
import type { PushButtonStep } from '../../workflows/push-button-recovery.steps';
import { drawFrom, type Draw } from './draw';

export const partNames = ['worker', 'second-worker', 'temporal', 'postgres', 'api'] as const;
export type PartName = (typeof partNames)[number];

/** How the run is to end; the same without any kill. */
export type Ending =
  | { readonly kind: 'through' }
  | { readonly kind: 'commit' }
  | { readonly kind: 'roll-back' }
  /** Answered at the gate before power-on. */
  | { readonly kind: 'abort-at-gate' }
  /** The step fails until somebody aborts. */
  | { readonly kind: 'abort-when-stuck'; readonly weakness: Weakness }
  /** As soon as the step is seen to have begun, wherever the run is by then; nobody ever approves its power-on. */
  | { readonly kind: 'abort-in-passing'; readonly step: PushButtonStep };

/** A call of a step's effect that its undo does not need, and by which argument it is told from other runs' calls. */
export interface Weakness {
  readonly step: PushButtonStep;
  readonly method: string;
  readonly about: 'server' | 'machine';
}

/** A fault of the platform, met with and without kills. */
export interface Fault {
  readonly method: string;
  readonly about: 'server' | 'machine' | 'anybody';
  readonly error: ErrorFamily;
  /** `after`: the effect is done, its answer is lost. */
  readonly when: 'before' | 'after';
}

export type Moment =
  /** After the button was first pushed. */
  | { readonly kind: 'start'; readonly afterMs: number }
  /** When the run has changed this much at the recovery site. */
  | { readonly kind: 'effects'; readonly count: number }
  /** After a person first sent a decision or an abort. */
  | { readonly kind: 'decision'; readonly afterMs: number }
  /** The worker that makes this call dies in it. */
  | {
      readonly kind: 'call';
      readonly method: string;
      readonly when: 'before' | 'after';
      readonly about: Fault['about'];
      /** Calls that pass first. Default: none. */
      readonly passing?: number;
    };

export interface Kill {
  readonly parts: readonly PartName[];
  readonly moment: Moment;
  /** From its death to its next start. */
  readonly downMs: number;
}

export interface Plan {
  readonly seed: number;
  readonly disks: number;
  readonly mode: Mode;
  readonly intent: Intent;
  readonly option: RecoveryOption;
  readonly finalCycle: 'auto' | 'never';
  /** `lost`: switched off before the button is pushed. */
  readonly source: 'lost' | 'running';
  readonly powerOn: 'automatic' | 'decision';
  readonly ending: Ending;
  /** The person presses twice, at once and under the same key. */
  readonly impatient: boolean;
  readonly faults: readonly Fault[];
  readonly kills: readonly Kill[];
}

export const weaknesses: readonly Weakness[] = [
  { step: 'preflight', method: 'points', about: 'server' },
  { step: 'freeze', method: 'hold', about: 'server' },
  { step: 'take-disks', method: 'take', about: 'server' },
  { step: 'create-machine', method: 'create', about: 'machine' },
  { step: 'hand-over', method: 'handOver', about: 'server' },
  { step: 'register-disks', method: 'registerDisk', about: 'machine' },
  { step: 'release-disks', method: 'release', about: 'server' },
  { step: 'prove-boot', method: 'runInGuest', about: 'machine' },
];

type Call = Pick<Fault, 'method' | 'about'>;

/** Calls of the effects themselves; the first two know no server, so they strike whoever comes first. */
const calls: readonly Call[] = [
  { method: 'applySignatures', about: 'anybody' },
  { method: 'inoculate', about: 'anybody' },
  { method: 'hold', about: 'server' },
  { method: 'take', about: 'server' },
  { method: 'create', about: 'machine' },
  { method: 'handOver', about: 'server' },
  { method: 'attachDisk', about: 'machine' },
  { method: 'registerDisk', about: 'machine' },
  { method: 'release', about: 'server' },
  { method: 'power', about: 'machine' },
  { method: 'letGo', about: 'server' },
];

const undoCalls: readonly Call[] = [
  { method: 'drop', about: 'server' },
  { method: 'takeBack', about: 'server' },
  { method: 'detachDisk', about: 'machine' },
  { method: 'unregisterDisk', about: 'machine' },
  { method: 'remove', about: 'machine' },
  { method: 'letGo', about: 'server' },
];

const commitCalls: readonly Call[] = [
  { method: 'beginCommit', about: 'server' },
  { method: 'mergeDisk', about: 'machine' },
  { method: 'unregisterDisk', about: 'machine' },
  { method: 'finishCommit', about: 'server' },
];

const passingSteps: readonly PushButtonStep[] = [
  'preflight',
  'freeze',
  'take-disks',
  'apply-signature',
  'inoculate',
  'create-machine',
  'hand-over',
  'register-disks',
  'release-disks',
];

/** The plan of a seed; always the same one. */
export function planOf(seed: number): Plan {
  const draw = drawFrom(seed);
  const drawn = draw.weighted<RecoveryOption>([
    [40, 'backup-and-recover'],
    [25, 'copy-and-recover'],
    [35, 'destructive'],
  ]);
  const kind = draw.weighted<'lost' | 'running' | 'planned' | 'rehearsal'>([
    [55, 'lost'],
    [10, 'running'],
    [15, 'planned'],
    [20, 'rehearsal'],
  ]);
  // A rehearsal never takes the replica itself.
  const option = kind === 'rehearsal' && drawn === 'destructive' ? 'backup-and-recover' : drawn;
  const ending = drawEnding(draw, option);
  const gated = ending.kind === 'abort-at-gate' || ending.kind === 'abort-in-passing';
  return {
    seed,
    disks: draw.number(1, 2),
    mode: kind === 'rehearsal' ? 'rehearsal' : 'recovery',
    intent: kind === 'planned' ? 'planned' : 'disaster',
    option,
    finalCycle: kind === 'planned' || draw.chance(50) ? 'auto' : 'never',
    source: kind === 'lost' ? 'lost' : 'running',
    powerOn: gated || draw.chance(20) ? 'decision' : 'automatic',
    ending,
    impatient: draw.chance(40),
    faults: Array.from(
      {
        length: draw.weighted([
          [50, 0],
          [35, 1],
          [15, 2],
        ]),
      },
      () => drawFault(draw),
    ),
    kills: Array.from(
      {
        length: draw.weighted([
          [55, 1],
          [35, 2],
          [10, 3],
        ]),
      },
      () => drawKill(draw, ending),
    ),
  };
}

function drawEnding(draw: Draw, option: RecoveryOption): Ending {
  const straight: Ending =
    option === 'destructive' ? { kind: draw.chance(65) ? 'commit' : 'roll-back' } : { kind: 'through' };
  return draw.weighted<() => Ending>([
    [60, () => straight],
    [10, () => ({ kind: 'abort-at-gate' })],
    [15, () => ({ kind: 'abort-when-stuck', weakness: draw.one(weaknesses) })],
    [15, () => ({ kind: 'abort-in-passing', step: draw.one(passingSteps) })],
  ])();
}

function drawFault(draw: Draw): Fault {
  const error = draw.weighted<ErrorFamily>([
    [70, 'TransientError'],
    [15, 'PermanentError'],
    [15, 'OperatorError'],
  ]);
  return { ...draw.one(calls), error, when: draw.chance(50) ? 'before' : 'after' };
}

function drawKill(draw: Draw, ending: Ending): Kill {
  const parts = draw.weighted<readonly PartName[]>([
    [30, ['worker']],
    [10, ['second-worker']],
    [10, ['worker', 'second-worker']],
    [16, ['temporal']],
    [14, ['postgres']],
    [10, ['api']],
    [5, ['temporal', 'worker', 'second-worker']],
    [5, ['postgres', 'api']],
  ]);
  const downMs = draw.chance(6) ? draw.number(8_000, 12_000) : draw.number(0, 1_500);
  const workersOnly = parts.every((part) => part.endsWith('worker'));
  if (workersOnly && draw.chance(50)) {
    const reached =
      ending.kind === 'through' ? calls : ending.kind === 'commit' ? [...calls, ...commitCalls] : undoCalls;
    return {
      parts: ['worker'],
      moment: { kind: 'call', ...draw.one(reached), when: draw.chance(40) ? 'before' : 'after' },
      downMs,
    };
  }
  const moment = draw.weighted<() => Moment>([
    [45, () => ({ kind: 'effects', count: draw.number(1, 14) })],
    [30, () => ({ kind: 'start', afterMs: draw.number(0, 6_000) })],
    [25, () => ({ kind: 'decision', afterMs: draw.number(0, 400) })],
  ])();
  return { parts, moment, downMs };
}
