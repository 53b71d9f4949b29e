/** What happens in a run, as lines of the worker's log; the record is the journal. Nothing is written again in a replay. */
import { log } from '@temporalio/workflow';
import type { EventKind, RunEvent } from '../../model/events';

/** What an on-call engineer looks for; the rest is for those who ask for more. */
const important: readonly EventKind[] = [
  'run-opened',
  'parked',
  'gate-opened',
  'decided',
  'step-skipped',
  'rewound',
  'undo-started',
  'run-closed',
];

/** One line an event: its kind, run and place, and for what waits or was decided a few words more. */
export function logEvent(runId: string, event: RunEvent): void {
  const { kind, step, item, attempt } = event;
  // The SDK puts Temporal's own run id on every line; worker/runtime.ts tells the two apart.
  const fields = { musterRunId: runId, step, item, attempt, ...wordsOf(event) };
  if (important.includes(kind)) log.info(kind, fields);
  else log.debug(kind, fields);
}

function wordsOf(event: RunEvent): Record<string, unknown> {
  switch (event.kind) {
    case 'parked':
      return { family: event.data.failure.family, cause: event.data.failure.message, remedy: event.data.remedy };
    case 'gate-opened':
      return { cause: event.data.because };
    case 'decided':
      return { decision: event.data.decision, actor: event.by.actor.name };
    case 'run-opened':
      return { server: event.data.order.server.name, mode: event.data.order.mode };
    case 'run-closed':
      return { state: event.data.state };
    default:
      return {};
  }
}
