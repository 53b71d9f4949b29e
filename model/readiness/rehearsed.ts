/**
 * What a rehearsal has shown, computed from its events and nothing else: one entry for the run of the runbook and one for each of
 * its servers' runs. Batches of any size give the same entry, and so does the whole history a second time.
 */
import type { EventKind, RunEvent } from '../events';
import type { RunState } from '../steps';
import { shapeOf, type ServerShape } from './shape';

export interface RehearsedRun {
  readonly runId: string;
  readonly openedAt: string;
  readonly closedAt: string | null;
  readonly state: RunState;
  /** The runbook, in the entry of its run; null in a server's. */
  readonly runbook: {
    readonly name: string;
    readonly version: number;
    readonly sha256: string;
    readonly parts: readonly { readonly name: string; readonly runId: string; readonly sha256: string }[];
    readonly servers: readonly string[];
  } | null;
  /** The server, in the entry of its run; null in a runbook's. */
  readonly server: ServerShape | null;
  /** Steps that people skipped: what they would have shown, is not shown. */
  readonly skipped: readonly string[];
  /** Steps that were stuck on the way. */
  readonly stuck: readonly string[];
}

/** The only kinds of events that change an entry. */
export const telling: readonly EventKind[] = ['plan-opened', 'run-opened', 'step-skipped', 'parked', 'run-closed'];

/** Folds events in; undefined for what is no rehearsal of a runbook, or of one of its servers. */
export function projectRehearsal(
  before: RehearsedRun | undefined,
  events: readonly RunEvent[],
): RehearsedRun | undefined {
  return events.reduce(next, before);
}

function next(before: RehearsedRun | undefined, event: RunEvent): RehearsedRun | undefined {
  if (event.kind === 'plan-opened' || event.kind === 'run-opened') return opened(event) ?? before;
  if (before === undefined || before.closedAt !== null) return before;
  switch (event.kind) {
    case 'step-skipped':
      return { ...before, skipped: withPlace(before.skipped, event) };
    case 'parked':
      return { ...before, stuck: withPlace(before.stuck, event) };
    case 'run-closed':
      return { ...before, closedAt: event.at, state: event.data.state };
    default:
      return before;
  }
}

function opened(event: Extract<RunEvent, { kind: 'plan-opened' | 'run-opened' }>): RehearsedRun | undefined {
  if (event.data.order.mode !== 'rehearsal') return undefined;
  const { runId } = event.data.order;
  const fresh = { runId, openedAt: event.at, closedAt: null, state: 'running', skipped: [], stuck: [] } as const;
  if (event.kind === 'run-opened') {
    const { server, target, partOf } = event.data.order;
    return partOf === undefined ? undefined : { ...fresh, runbook: null, server: shapeOf(server, target.hardware) };
  }
  const { order } = event.data;
  const { name, version, sha256 } = order.runbook;
  const parts = order.parts.map((part) => ({ name: part.name, runId: part.runId, sha256: part.sha256 }));
  const servers = order.servers.map((server) => server.name);
  return { ...fresh, runbook: { name, version, sha256, parts, servers }, server: null };
}

function withPlace(places: readonly string[], { step, item }: RunEvent): readonly string[] {
  const place = [step ?? 'a step', ...(item === null ? [] : [`(${item})`])].join(' ');
  return places.includes(place) ? places : [...places, place];
}
