/** How what is said of something that waits follows from the events at it. */
import { bothPeople } from './access';
import type { RunEvent } from './events';
import type { Approval, Standing } from './waiting';

/** What of the standing an event changes; nothing for events that are no act at it. */
export function foldStanding(before: Standing, event: RunEvent): Standing {
  const by = { id: event.by.actor.id, name: event.by.actor.name };
  switch (event.kind) {
    case 'claimed':
      return { claimedBy: by, claimedAt: event.at };
    case 'released':
      return { claimedBy: null, claimedAt: null };
    case 'approved': {
      const { reason, decision = 'approve', from = null, input = null } = event.data;
      const approval: Approval = { by, at: event.at, reason };
      if (before.gate != null && event.data.decision === undefined)
        return { approvals: [...(before.approvals ?? []), approval] };
      return { half: { ...approval, decision, from, input } };
    }
    case 'approval-withdrawn': {
      const whose = event.data.of?.id ?? by.id;
      const approvals = before.approvals?.filter((one) => one.by.id !== whose);
      const half = before.half?.by.id === whose ? null : before.half;
      return { ...(approvals === undefined ? {} : { approvals }), ...(half === undefined ? {} : { half }) };
    }
    case 'escalated': {
      const gate = before.gate ?? null;
      return gate === null
        ? {}
        : { gate: { ...gate, approvers: bothPeople(gate.approvers, event.data.to), until: null } };
    }
    default:
      return {};
  }
}
