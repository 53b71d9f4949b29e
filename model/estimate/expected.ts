/** What past runs let expect of the next, and how sure that is. Pure; where nothing ran, nothing is guessed. */
import type { RecoveryOption } from '../replica';
import { provingStep } from '../steps';
import { startingStep, type PastTimes } from './past';
import { quantile } from './quantile';

/** well: many runs of this very server that agree. hardly: one or two, or of other servers only. */
export const sureness = ['well', 'fairly', 'hardly'] as const;
export type Sureness = (typeof sureness)[number];

export interface Expected {
  readonly medianMs: number;
  /** Nine of ten runs took at least `lowMs`, and nine of ten at most `highMs`. */
  readonly lowMs: number;
  readonly highMs: number;
  /** How many runs stand behind it. */
  readonly runs: number;
  readonly from: 'this server' | 'servers of similar size';
  readonly sure: Sureness;
}

export interface ExpectedServer {
  readonly toProof: Expected;
  /** How old its recovery point will be; null: no run of this very server tells. */
  readonly rpo: Expected | null;
  /** By step id; steps that no run had are absent. */
  readonly steps: Readonly<Record<string, Expected>>;
}

export interface Wanted {
  readonly serverId: string;
  readonly siteId: string;
  readonly diskBytes: number;
  readonly option: RecoveryOption;
}

/** So many of the newest runs are looked at. */
export const runsLookedAt = 20;
/** Similar: at most so many times as large, or as small. */
const similar = 2;

/**
 * From the newest runs of this server in the same way; without any, from servers of this site with disks of similar size;
 * without those null: it never ran here. `past` newest first.
 */
export function expectedOf(wanted: Wanted, past: readonly PastTimes[]): ExpectedServer | null {
  const fitting = past.filter(({ option }) => isLike(option, wanted.option));
  const own = fitting.filter(({ serverId }) => serverId === wanted.serverId).slice(0, runsLookedAt);
  if (own.length > 0) return fold(own, 'this server');
  const others = fitting.filter((one) => one.siteId === wanted.siteId && isSimilar(one.diskBytes, wanted.diskBytes));
  return others.length === 0 ? null : fold(others.slice(0, runsLookedAt), 'servers of similar size');
}

/**
 * Disks that stand on the replica are there at once, whether the run writes above its points or into them; copies take their time. So what
 * a rehearsal takes, which is never destructive, is what the day will take.
 */
const isLike = (a: RecoveryOption, b: RecoveryOption): boolean =>
  (a === 'copy-and-recover') === (b === 'copy-and-recover');

const isSimilar = (a: number, b: number): boolean => a <= b * similar && b <= a * similar;

function fold(runs: readonly PastTimes[], from: Expected['from']): ExpectedServer {
  // Another server's points are taken at another pace.
  const rpos = from === 'this server' ? runs.flatMap(({ rpoMs }) => rpoMs ?? []) : [];
  const steps = new Set(runs.flatMap((run) => Object.keys(run.steps)));
  return {
    toProof: expected(
      runs.map(({ toProofMs }) => toProofMs),
      from,
    ),
    rpo: rpos.length === 0 ? null : expected(rpos, from),
    steps: Object.fromEntries(
      [...steps].map((step) => [
        step,
        expected(
          runs.flatMap((run) => run.steps[step] ?? []),
          from,
        ),
      ]),
    ),
  };
}

function expected(values: readonly number[], from: Expected['from']): Expected {
  const sorted = [...values].sort((a, b) => a - b);
  const [lowMs, medianMs, highMs] = [0.1, 0.5, 0.9].map((part) => quantile(sorted, part)) as [number, number, number];
  const spread = medianMs === 0 ? 0 : (highMs - lowMs) / medianMs;
  return { medianMs, lowMs, highMs, runs: sorted.length, from, sure: sureOf(sorted.length, spread, from) };
}

function sureOf(runs: number, spread: number, from: Expected['from']): Sureness {
  if (from === 'this server' && runs >= 10 && spread <= 0.5) return 'well';
  return runs >= (from === 'this server' ? 3 : 10) ? 'fairly' : 'hardly';
}

/** The least sure of several; null of none. */
export function leastSure(all: readonly Sureness[]): Sureness | null {
  return all.length === 0 ? null : sureness[Math.max(...all.map((one) => sureness.indexOf(one)))]!;
}

/** Steps in which the machine boots, which a site may allow a few at a time only. */
export const bootSteps: readonly string[] = [startingStep, provingStep];
