/** Who was told of a run, for the reports of servers and of plans (shared/told.hbs). */
import { formatTime } from '../model/durations';
import type { ToldView } from '../model/told';
import type { Chip } from './words';

const toldChips: Readonly<Record<ToldView['state'], Chip>> = {
  sent: { text: 'sent', tone: 'good' },
  failed: { text: 'could not be delivered', tone: 'bad' },
  due: { text: 'not sent yet', tone: 'warning' },
  settled: { text: 'not needed any more', tone: 'quiet' },
};

/** undefined: nobody asked for it, and nothing is shown. */
export function toldSection(told: readonly ToldView[] | null | undefined) {
  return {
    given: told !== undefined,
    known: told !== null,
    rows: (told ?? []).map(({ occasion, stage, about, channel, to, state, madeAt, endedAt, error }) => ({
      at: formatTime(endedAt ?? madeAt),
      what: [
        `${occasion.replaceAll('-', ' ')}${stage > 0 ? ', again' : ''}`,
        ...(about === null ? [] : [about]),
      ].join(': '),
      to: channel === 'webhook' ? `webhook ${to}` : to,
      chip: toldChips[state],
      error: state === 'sent' ? '' : (error ?? ''),
    })),
  };
}
