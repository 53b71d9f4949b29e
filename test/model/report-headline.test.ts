/** The headline of a run whose boot could only be seen from outside. */
import { reportModel } from '../../model/report';
import type { RunEvent } from '../../model/events';
import { pushButtonDeclaration } from '../../workflows/push-button-recovery.steps';
import { succeededStory } from '../support/stories';

const context = { generatedAt: '2026-03-14T05:00:00.000Z', headHash: null, versions: {} };

/** The same run with other rungs in its proof. */
function withRungs(rungs: readonly { name: string; ok: boolean }[]): readonly RunEvent[] {
  return succeededStory().events.map((event) => {
    if (event.step !== 'prove-boot' || event.kind !== 'step-done') return event;
    const shown = rungs.map((rung) => ({ ...rung, detail: '', evidence: [] }));
    return { ...event, data: { result: { provenAt: event.at, rungs: shown } } };
  });
}
const reportOf = (rungs: readonly { name: string; ok: boolean }[]) =>
  reportModel(withRungs(rungs), pushButtonDeclaration, context);

const seen = [
  { name: 'powered-on', ok: true },
  { name: 'console', ok: true },
  { name: 'stable', ok: true },
];

test('a boot that was only seen from outside is not called proven, and what was not shown is named once', () => {
  const { headline, objectives } = reportOf([
    ...seen,
    { name: 'heartbeat', ok: false },
    { name: 'service', ok: false },
    { name: 'service', ok: false },
  ]);
  expect(headline).toMatchObject({ tone: 'warning', title: 'Recovered, boot seen from outside' });
  expect(headline.sentence).toContain('nothing could be asked inside: heartbeat and service not shown');
  expect(headline.sentence).not.toContain('proven');
  expect(objectives.rto.because).toBe('From the button to the boot as it was seen from outside.');
});

test('a missing picture alone takes nothing from a proof', () => {
  const { headline } = reportOf([...seen, { name: 'service', ok: true }, { name: 'screenshot', ok: false }]);
  expect(headline.title).toBe('Recovered and proven');
});
