/** What was sent to whom, as the installation's own chain has it: a run's chain is the workflow's alone. */
import type { RunEvent } from '../model/events';
import type { Provenance } from '../model/order';
import type { Parcel } from './notifications-contract';

/** `error`: why it was given up; null: it was sent. */
export function toldEvent(parcel: Parcel, by: Provenance, now: Date, error: string | null): RunEvent {
  const { notices, to } = parcel;
  const [first] = notices;
  const parkings = notices.flatMap(({ facts: { run }, epoch }) => (run === null ? [] : [{ runId: run.runId, epoch }]));
  const data = {
    epoch: notices.length === 1 && first!.epoch > 0 ? first!.epoch : null,
    occasion: first!.occasion,
    to: error === null ? [to] : [],
    failed: error === null ? [] : [{ to, because: error }],
    of: parkings,
    about: notices.filter(({ facts: { run } }) => run === null).map(({ key }) => key),
  };
  return { kind: 'told', data, at: now.toISOString(), by, step: null, item: null, attempt: null };
}
