/** The evacuation of plan-parts-story.ts, recovered with a step skipped two runbooks deep; and rehearsed, with something left behind. */
import type { RunEvent } from '../../model/events';
import { event } from './plan-story';
import { closed, evacuation, itemDone, partsStory, proven, skipped, type PartsStory } from './plan-parts-story';

const ended = closed(510, 'succeeded');
const odd = closed(510, 'succeeded-with-exceptions');
const own = [...itemDone('include', 'network', 100), ...itemDone('include', 'office', 200)];

export const sampleEvacuation: PartsStory = partsStory(
  {
    ...{ network: ended, office: odd, labs: odd },
    'db-dns01': [...proven(60), ...ended],
    mail01: [...proven(62), ...ended],
    files01: [...proven(66), ...ended],
    lab01: [...proven(80), ...skipped('inoculate', 90, 'It has the drivers already.'), ...odd],
  },
  [...own, ...closed(520, 'succeeded-with-exceptions')],
);

const isolated = (second: number): RunEvent[] => [
  event(
    'step-done',
    second,
    { result: { nics: [{ macAddress: '52:54:00:00:00:01', network: 'muster-lab', isolatedBy: 'made for this run' }] } },
    { step: 'prove-isolation' },
  ),
];

const comparison = { step: 'prove-clean', attempt: 1 };
const clean = (second: number): RunEvent[] => {
  const rows = Array.from({ length: 12 }, (_one, at) => ({ kind: 'file', name: `f${at}`, verdict: 'same' }));
  return [event('attempt-succeeded', second, { token: 9, undo: false, result: { rows }, durationMs: 1 }, comparison)];
};
const left = (second: number): RunEvent[] => {
  const row = { kind: 'network', name: 'muster-lab', before: null, after: 'active', verdict: 'left behind' };
  const failure = {
    ...{ family: 'OperatorError', remedy: null, detail: JSON.stringify([row], null, 2) },
    message: 'The rehearsal of mail01 is not cleaned up: 1 thing is not as before',
  };
  return [event('attempt-failed', second, { token: 9, undo: false, failure, nextDelayMs: null }, comparison)];
};

const networks = (step: string, second: number, result: object): RunEvent[] => [
  event('attempt-succeeded', second, { token: second, undo: false, result: [result], durationMs: 1 }, { step }),
  event('step-done', second, { result: [result] }, { step }),
];

/** Its networks are made and gone; mail01 was skipped with something left; lab01 never got so far. */
export const sampleRehearsal: PartsStory = partsStory(
  {
    ...{ network: ended, office: odd, labs: odd },
    'db-dns01': [...proven(60), ...isolated(61), ...clean(300), ...ended],
    mail01: [
      ...[...proven(62), ...isolated(63), ...left(300)],
      ...[...skipped('prove-clean', 400, 'The network team keeps it.'), ...odd],
    ],
    files01: [...proven(66), ...isolated(67), ...clean(310), ...ended],
    lab01: closed(90, 'failed'),
  },
  [
    ...networks('make-networks', 2, { networks: ['muster-lab'] }),
    ...own,
    ...networks('remove-networks', 515, {
      ...{ siteId: 'frankfurt', gone: ['muster-lab'], lookedAt: '2026-03-14T02:19:42.412Z' },
    }),
    ...closed(520, 'succeeded-with-exceptions'),
  ],
  evacuation('rehearsal'),
);
