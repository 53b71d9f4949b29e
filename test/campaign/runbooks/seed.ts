/** What one seed of runbooks stands for: how the run of a runbook ends, and who is killed when meanwhile. */
import type { Mode } from '../../../model/order';
import { drawFrom, type Draw } from '../draw';
import type { Kill, Moment, PartName } from '../plan';

/** How a run of a runbook ends; the same without any kill. */
export type RunbookEnding = 'commit' | 'roll-back' | 'clean-up';

export interface RunbookSeed {
  readonly seed: number;
  readonly mode: Mode;
  readonly ending: RunbookEnding;
  /** The person presses twice, at once and under the same key. */
  readonly impatient: boolean;
  /** A worker, Temporal, Postgres and the API, each at a moment of its own. */
  readonly kills: readonly Kill[];
}

export const serversOfRunbook = 20;

/** Effects that twenty servers leave at the recovery site at the least: kills at later ones would never come. */
const effectsUntil: Readonly<Record<RunbookEnding, number>> = { commit: 230, 'roll-back': 380, 'clean-up': 300 };

/** Calls on the way forward and, in a rehearsal and after a roll-back, of undoing. */
const calls = [
  'hold',
  'take',
  'applySignatures',
  'inoculate',
  'create',
  'handOver',
  'registerDisk',
  'release',
  'power',
];
const undoCalls: Readonly<Record<RunbookEnding, readonly string[]>> = {
  commit: ['letGo'],
  'roll-back': ['detachDisk', 'unregisterDisk', 'takeBack', 'remove', 'drop'],
  'clean-up': ['createNetwork', 'unregisterDisk', 'remove', 'drop', 'removeNetwork'],
};
/** A runbook makes its networks once. */
const once: readonly string[] = ['createNetwork', 'removeNetwork'];

/** The seed's run; always the same one. */
export function runbookSeed(seed: number): RunbookSeed {
  const draw = drawFrom(seed);
  const ending = draw.weighted<RunbookEnding>([
    [50, 'commit'],
    [20, 'roll-back'],
    [30, 'clean-up'],
  ]);
  const kills: [PartName[], Moment][] = [
    [draw.one([['worker'], ['second-worker'], ['worker', 'second-worker']]), workersMoment(draw, ending)],
    [draw.chance(20) ? ['temporal', 'worker', 'second-worker'] : ['temporal'], moment(draw, ending)],
    [draw.chance(20) ? ['postgres', 'api'] : ['postgres'], moment(draw, ending)],
    [['api'], moment(draw, ending)],
  ];
  return {
    seed,
    mode: ending === 'clean-up' ? 'rehearsal' : 'recovery',
    ending,
    impatient: draw.chance(40),
    kills: kills.map(([parts, at]) => {
      // Calls kill the worker that makes them, whichever it is.
      const struck: readonly PartName[] = at.kind === 'call' ? ['worker'] : parts;
      return { parts: struck, moment: at, downMs: draw.chance(6) ? draw.number(8_000, 12_000) : draw.number(0, 1_500) };
    }),
  };
}

function moment(draw: Draw, ending: RunbookEnding): Moment {
  return draw.weighted<() => Moment>([
    [70, () => ({ kind: 'effects', count: draw.number(1, effectsUntil[ending]) })],
    [15, () => ({ kind: 'start', afterMs: draw.number(0, 6_000) })],
    [15, () => ({ kind: 'decision', afterMs: draw.number(0, 400) })],
  ])();
}

function workersMoment(draw: Draw, ending: RunbookEnding): Moment {
  if (draw.chance(50)) return moment(draw, ending);
  const method = draw.one([...calls, ...undoCalls[ending]]);
  return {
    ...{ kind: 'call', method, about: 'anybody', when: draw.chance(40) ? 'before' : 'after' },
    passing: once.includes(method) ? 0 : draw.number(0, serversOfRunbook - 1),
  };
}
