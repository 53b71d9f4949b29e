/**
 * What the model reads out of step results. Results are plain JSON of unknown shape in the record, perhaps written by
 * another version; what does not have the shape is taken as absent, never as a default.
 */
import type { EvidenceRef } from './events';
import type { Consistency } from './replica';

export interface PointFacts {
  readonly pointId: string;
  readonly takenAt: string;
  readonly consistency: Consistency | null;
  readonly clockSkewMs: number | null;
}

export interface ProofRungFacts {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly evidence: readonly EvidenceRef[];
}

export interface ProofFacts {
  readonly provenAt: string;
  readonly rungs: readonly ProofRungFacts[];
}

type Fields = Readonly<Record<string, unknown>>;

/** The point in the result of `freeze`. */
export function readPoint(result: unknown): PointFacts | null {
  const point = field(result, 'point');
  const pointId = field(point, 'pointId');
  const takenAt = readTime(field(point, 'takenAt'));
  if (typeof pointId !== 'string' || takenAt === null) return null;
  const skew = field(point, 'clockSkewMs');
  const consistency = field(point, 'consistency');
  return {
    pointId,
    takenAt,
    consistency: typeof consistency === 'string' ? (consistency as Consistency) : null,
    clockSkewMs: typeof skew === 'number' ? skew : null,
  };
}

/** The proof in the result of `prove-boot`: when it was given, and its rungs as they were found. */
export function readProof(result: unknown): ProofFacts | null {
  const provenAt = readTime(field(result, 'provenAt'));
  const rungs = field(result, 'rungs');
  if (provenAt === null || !Array.isArray(rungs)) return null;
  return { provenAt, rungs: rungs.map(readRung) };
}

/**
 * Rungs that the machine's platform could not climb: no agent, no console. The boot was seen, what runs inside was not.
 * A missing picture is not among them: it proves nothing that the others do not.
 */
export function rungsNotShown(proof: ProofFacts | null): ProofRungFacts[] {
  return (proof?.rungs ?? []).filter(({ name, ok }) => !ok && name !== 'screenshot');
}

function readRung(rung: unknown): ProofRungFacts {
  const evidence = field(rung, 'evidence');
  return {
    name: String(field(rung, 'name') ?? 'unnamed'),
    ok: field(rung, 'ok') === true,
    detail: String(field(rung, 'detail') ?? ''),
    evidence: Array.isArray(evidence) ? (evidence as EvidenceRef[]) : [],
  };
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Fields)[name] : undefined;
}

function readTime(value: unknown): string | null {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value)) ? value : null;
}

/** How long the result of `power-on` says that it waited for a place to boot, milliseconds; earlier versions did not. */
export function readWaitForPlace(result: unknown): number {
  const waited = typeof result === 'object' && result !== null ? (result as Fields)['waitedForPlaceMs'] : undefined;
  return typeof waited === 'number' && waited > 0 ? waited : 0;
}
