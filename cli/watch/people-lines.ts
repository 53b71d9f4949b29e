/** What people did at a run, and what of a plan's runs waits for them, each as one line. */
import { formatDuration } from '../../model/durations';
import type { RunEvent } from '../../model/events';
import { placeText } from '../../model/plan';
import type { People } from '../../model/runbook/runbook';
import { shortId } from '../../model/ids';

type OfPeople = Extract<
  RunEvent,
  {
    kind:
      | 'approved'
      | 'approval-withdrawn'
      | 'escalated'
      | 'claimed'
      | 'released'
      | 'held'
      | 'let-go-on'
      | 'told'
      | 'child-waits'
      | 'child-goes-on';
  }
>;

/** `place`: step and item as they are shown. */
export function peopleLine(event: OfPeople, place: string): string {
  const who = event.by.actor.name;
  switch (event.kind) {
    case 'approved':
      return `${who} approved ${place} (${event.data.approvals} of ${event.data.needed}): ${event.data.reason}`;
    case 'approval-withdrawn':
      return `${who} withdrew the approval of ${place} (${event.data.approvals} of ${event.data.needed}): ${event.data.reason}`;
    case 'escalated':
      return `${place} was not approved within ${formatDuration(event.data.afterMs)}: now ${peopleText(event.data.to)} may, too`;
    case 'claimed':
      return `${who} takes care of ${place}`;
    case 'released':
      return `${who} no longer takes care of ${place}`;
    case 'held':
      return `${who} holds ${placeText(event.data.of)}: ${event.data.reason}`;
    case 'let-go-on':
      return `${who} lets ${placeText(event.data.of)} go on: ${event.data.reason}`;
    case 'child-waits': {
      const { runId, step, kind, cause } = event.data;
      return `! ${event.item} ${kind} at ${step}: ${cause} (muster show ${shortId(runId)})`;
    }
    case 'child-goes-on':
      return `  ${event.item} goes on`;
    case 'told': {
      const { to, failed } = event.data;
      const unreached = failed.map((one) => `${one.to} (${one.because})`).join(', ');
      return `told ${to.join(', ') || 'nobody'}${unreached === '' ? '' : `; not reached: ${unreached}`}`;
    }
  }
}

function peopleText({ roles, people }: People): string {
  return [...roles.map((role) => `any ${role}`), ...people].join(', ');
}
