/** What a mail tells its reader to type. */
import type { Notice } from '../../model/notify/notice';
import type { Occasion } from '../../model/runbook/runbook';
import { renderMail } from '../../templates/render-mail';

const since = '2026-01-01T00:00:00.000Z';
const about = (name: string) => ({ name, step: null, item: null, since, remedy: '', state: null, over: false });

const ofRun = (occasion: Occasion, name: string, cause: string): Notice => ({
  ...{ key: `run-of-${name}`, epoch: 1, occasion, stage: 0 },
  facts: {
    ...{ ...about(name), cause, allowed: ['retry', 'provide'] },
    run: { runId: `run-of-${name}`, parentRunId: null, procedure: 'push-button-recovery', mode: 'recovery' },
  },
});
const ofNoRun = (occasion: Occasion, name: string): Notice => ({
  ...{ key: name, epoch: 1, occasion, stage: 0 },
  facts: { ...about(name), cause: 'It lags.', allowed: [], run: null },
});

const commands = (...notices: Notice[]): string[] =>
  renderMail({ notices, publicUrl: null, now: since })
    .text.split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('muster '));

test('of one run: how to look at it, and each answer with all that it needs', () => {
  const [show, ...answers] = commands(ofRun('stuck', 'app01', 'no space'));
  expect(show).toMatch(/^muster show \S+$/);
  expect(answers).toEqual([
    expect.stringMatching(/^muster retry \S+ --reason '…'$/),
    expect.stringMatching(/^muster provide \S+ --set FIELD=VALUE --reason '…'$/),
  ]);
});

test('of many: the lists that have them all', () => {
  const many = ['app01', 'app02'].map((name) => ofRun('stuck', name, 'no space'));
  expect(commands(...many, ofRun('gate', 'web01', 'asks'))).toEqual(['muster stuck']);
  expect(commands(...many, ofNoRun('risk', 'db01'))).toEqual(['muster stuck', 'muster readiness']);
  expect(commands(ofNoRun('rehearsal-due', 'shop'))).toEqual(['muster readiness']);
});

test('foreign text is on one line, without what a terminal obeys', () => {
  const { subject, text } = renderMail({
    notices: [ofRun('stuck', 'app01\r\nBcc: eve@evil.example', 'a\u001b[2Jb\nc')],
    ...{ publicUrl: null, now: since },
  });
  for (const forbidden of ['\r', '\n', '\u001b']) expect(subject).not.toContain(forbidden);
  expect(text).not.toContain('\u001b');
  expect(text).not.toMatch(/^Bcc:/m);
});
