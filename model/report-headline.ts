/** The result of a run in words that cannot be misread: a recovery without a proof of boot is never called proven. */
import { assertNever } from './errors';
import { formatDuration } from './durations';
import type { Headline, ReportException } from './report';
import { readProof, rungsNotShown, type ProofFacts } from './results';
import type { RunView } from './run-view';
import { provingStep } from './steps';

export function headlineOf(run: RunView, exceptions: readonly ReportException[]): Headline {
  const { state } = run;
  switch (state) {
    case 'succeeded':
    case 'succeeded-with-exceptions':
      return successOf(run, exceptions);
    case 'aborted':
      return undoneOf(run, exceptions, 'Aborted');
    case 'failed':
      return run.lost ? lostOf(run) : undoneOf(run, exceptions, 'Failed');
    case 'stuck':
      return open(run, 'Stuck: waits for a decision', 'bad');
    case 'waiting':
      return open(run, 'Waiting for a decision', 'warning');
    case 'held':
      return open(run, 'Held by a person', 'warning');
    case 'undoing':
      return open(run, 'Being undone', 'warning');
    case 'running':
      return open(run, 'Still running', 'open');
    default:
      return assertNever(state);
  }
}

function successOf(run: RunView, exceptions: readonly ReportException[]): Headline {
  const { name } = run.order.server;
  if (run.order.cleansUp !== undefined) return cleanedUp(run, exceptions);
  // A step that was done by a program in its place shows nothing.
  const proven = run.steps.some(({ id, state }) => id === provingStep && state === 'done') && proofOf(run) !== null;
  const rehearsal = run.order.mode === 'rehearsal';
  const verb = rehearsal ? 'Rehearsed' : 'Recovered';
  const took = `in ${formatDuration(run.clocks.elapsedMs)}`;
  const missed = missedOf(run);
  if (!proven) {
    const sentence = `${name} was ${verb.toLowerCase()} ${took}, but nothing in this record proves that it works.${missed}`;
    return { tone: 'bad', title: `${verb}, not proven`, sentence };
  }
  const notShown = [...new Set(rungsNotShown(proofOf(run)).map((rung) => rung.name))];
  if (notShown.length > 0) {
    const also = exceptions.length === 0 ? '' : ` Not every step was done: ${count(exceptions.length, 'exception')}.`;
    return {
      tone: 'warning',
      title: `${verb}, boot seen from outside`,
      sentence: `${name} was ${verb.toLowerCase()} ${took} and was seen to boot, but nothing could be asked inside: ${notShown.join(' and ')} not shown. Whether its service works is for a person to say.${also}${missed}`,
    };
  }
  if (exceptions.length === 0) {
    return {
      tone: missed === '' ? 'good' : 'warning',
      title: `${verb} and proven`,
      sentence: `${name} was ${verb.toLowerCase()} ${took} and its boot was proven. No step was skipped.${cleanWords(run)}${missed}`,
    };
  }
  return {
    tone: 'warning',
    title: `${verb} and proven, with ${count(exceptions.length, 'exception')}`,
    sentence: `${name} was ${verb.toLowerCase()} ${took} and its boot was proven, but not every step was done.${missed}`,
  };
}

function cleanedUp(run: RunView, exceptions: readonly ReportException[]): Headline {
  const of = `rehearsal ${run.order.cleansUp} of ${run.order.server.name}`;
  if (exceptions.length === 0) return { tone: 'good', title: 'Cleaned up', sentence: `Nothing is left of ${of}.` };
  const title = `Cleaned up, with ${count(exceptions.length, 'exception')}`;
  return { tone: 'warning', title, sentence: `Something may be left of ${of}: not every step was done.` };
}

const cleanWords = (run: RunView): string =>
  run.steps.some(({ id, state }) => id === 'prove-clean' && state === 'done')
    ? ' Afterwards nothing was left at the site.'
    : '';

const proofOf = (run: RunView): ProofFacts | null =>
  readProof(run.steps.find((step) => step.id === provingStep)?.result);

function missedOf({ objectives }: RunView): string {
  const by = ({ marginMs }: { marginMs: number | null }): string =>
    marginMs === null ? '' : ` by ${formatDuration(-marginMs)}`;
  const misses = [
    objectives.rpo.verdict === 'missed' ? ` The recovery point objective was missed${by(objectives.rpo)}.` : '',
    objectives.rto.verdict === 'missed' ? ` The recovery time objective was missed${by(objectives.rto)}.` : '',
  ];
  return misses.join('');
}

function undoneOf(run: RunView, exceptions: readonly ReportException[], title: string): Headline {
  const left = exceptions.filter(({ kind }) => kind === 'left-behind');
  const because = run.undoBecause === null ? '' : ` Reason: ${run.undoBecause}`;
  const outcome =
    left.length === 0
      ? 'What the run had done was undone.'
      : `The undo of ${count(left.length, 'step')} was skipped by decision: what it made may still be there.`;
  const aim = run.order.mode === 'rehearsal' ? 'rehearsed to the end' : 'recovered';
  const sentence = `${run.order.server.name} was not ${aim}. ${outcome}${because}`;
  return { tone: 'bad', title: left.length === 0 ? `${title} and undone` : `${title}, not wholly undone`, sentence };
}

/** Of a run or plan whose record a person closed: nobody knows how far it came after the last that stands in it. */
export function lostOf({ summary }: Pick<RunView, 'summary'>): Headline {
  const left = 'Nothing was undone: what it had made is where it was, and somebody has to look at it.';
  return { tone: 'bad', title: 'Lost, and closed by a person', sentence: `${left} ${summary ?? ''}`.trimEnd() };
}

function open(run: RunView, title: string, tone: Headline['tone']): Headline {
  const step = run.steps.find(({ id }) => id === run.currentStep);
  const where = step === undefined ? '' : ` It is at step ${step.position} of ${run.steps.length}: ${step.title}.`;
  return { tone, title, sentence: `This report was made before the run had ended.${where}` };
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
