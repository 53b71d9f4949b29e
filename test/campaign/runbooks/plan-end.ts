/** What the run of a runbook left as a whole: its own end, its order, its servers' records. Each finding is a sentence. */
import type { RunEvent } from '../../../model/events';
import { verifyChildren } from '../../../record/children';
import { eventOfRow, type JournalRow } from '../../../record/row';
import { beforeIt, type ServerOfText } from './text';
import type { PlanView } from '../../../model/plan-view/plan-view';

export interface PlanEnd {
  readonly run: string;
  /** Step -> its state, and the states that its items have. */
  readonly steps: Readonly<Record<string, string>>;
  /** Effect of the plan's own -> how often. */
  readonly effects: Readonly<Record<string, number>>;
}

export function planEnd({ state, steps }: PlanView, effects: Readonly<Record<string, number>>): PlanEnd {
  const words = steps.map((step): [string, string] => {
    const items = [...new Set(step.items.map((item) => item.state))].sort();
    return [step.id, [step.state, ...items].join(', ')];
  });
  return { run: state, steps: Object.fromEntries(words), effects };
}

/** Every server once, and none before what it waits for is proven. */
export function orderFindings(events: readonly RunEvent[], servers: readonly ServerOfText[]): string[] {
  const ofServers = (kind: RunEvent['kind']): Map<string, number[]> => {
    const at = new Map<string, number[]>();
    for (const [index, event] of events.entries()) {
      const isUndo = 'undo' in event.data && event.data.undo;
      if (event.kind !== kind || event.step !== 'recover' || event.item === null || isUndo) continue;
      at.set(event.item, [...(at.get(event.item) ?? []), index]);
    }
    return at;
  };
  const [began, proven] = [ofServers('attempt-started'), ofServers('attempt-succeeded')];
  return servers.flatMap((server) => {
    const starts = began.get(server.name) ?? [];
    if (starts.length !== 1) return [`${server.name} was started ${starts.length} times`];
    const early = beforeIt(server, servers).filter((name) => !((proven.get(name)?.[0] ?? Infinity) < starts[0]!));
    return early.map((name) => `${server.name} was started before ${name} was proven`);
  });
}

/** `heads`: run -> the last hash of its record, as it is found now. */
export function childFindings(rows: readonly JournalRow[], heads: ReadonlyMap<string, string>): string[] {
  const closing = rows.at(-1);
  const event = closing === undefined ? undefined : eventOfRow(closing);
  if (event?.kind !== 'run-closed') return [`the plan's record ends with ${closing?.kind ?? 'nothing'}`];
  const named = Object.keys(event.data.childHashes);
  const missing = [...heads.keys()].filter((runId) => !named.includes(runId));
  return [
    ...verifyChildren(closing!, heads),
    ...missing.map((runId) => `the plan does not name the record of run ${runId}`),
  ];
}

export function planDifferences(calm: PlanEnd, storm: PlanEnd): string[] {
  return (['run', 'steps', 'effects'] as const).flatMap((part) => {
    const [wanted, found] = [JSON.stringify(calm[part]), JSON.stringify(storm[part])];
    return wanted === found ? [] : [`${part} of the plan differ: undisturbed ${wanted}, disturbed ${found}`];
  });
}
