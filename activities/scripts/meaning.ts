/** What the end of a script means for its step, by what the runbook says of its exit codes. */
import { formatDuration } from '../../model/durations';
import { OperatorError, TransientError, assertNever } from '../../model/errors';
import { printable } from '../../model/names';
import type { Script } from '../../model/runbook/runbook';
import type { GroupEnd } from '../../programs/group';
import type { ScriptResult } from '../contract';

export interface ScriptEnd extends Omit<GroupEnd, 'wasStill'> {
  /** Whoever ran it kept less than it printed. */
  readonly truncated?: boolean;
}

export function meaningOf(exitCode: number | null, { exitCodes }: Pick<Script, 'exitCodes'>): Meaning {
  if (exitCode === null) return 'fail';
  return exitCodes[String(exitCode)] ?? (exitCode === 0 ? 'done' : 'fail');
}
type Meaning = Script['exitCodes'][string];

/**
 * @param lastWords what it printed last, without secrets
 * @throws TransientError for a code that means retry and after its time-out; OperatorError for one that means fail.
 */
export function resultOf(script: Script, end: ScriptEnd, lastWords: string): ScriptResult {
  if (end.timedOut) throw tooLong(script, lastWords);
  const meaning = meaningOf(end.exitCode, script);
  switch (meaning) {
    case 'done':
    case 'warning':
      return { exitCode: end.exitCode!, meaning };
    case 'retry':
    case 'fail': {
      const how = end.exitCode === null ? `ended by ${end.signal ?? 'a signal'}` : `exit code ${end.exitCode}`;
      const facts = {
        what: `script ${script.name} (${script.run.program}) failed`,
        found: `${how}${said(lastWords)}`,
        needed: `exit code ${goodCodes(script).join(' or ')}`,
        remedy: `Read its output in the evidence and mend what it names, then retry: it is run again from its start. Or do by hand what it would have done, and skip it with that reason.`,
      };
      throw meaning === 'retry' ? new TransientError(facts) : new OperatorError(facts);
    }
    default:
      return assertNever(meaning);
  }
}

const tooLong = (script: Script, lastWords: string) =>
  new TransientError({
    what: `script ${script.name} (${script.run.program}) was ended in the middle`,
    found: `not done after ${formatDuration(script.timeoutMs)}${said(lastWords)}`,
    needed: 'an end within its time-out',
    remedy:
      'It may have done a part of its work: look at what it changes. Retry runs it again from its start; a longer time-out stands in the runbook.',
  });

function goodCodes({ exitCodes }: Script): string[] {
  const named = Object.entries(exitCodes).filter(([, meaning]) => meaning === 'done' || meaning === 'warning');
  const codes = named.map(([code]) => code);
  return '0' in exitCodes ? codes : ['0', ...codes];
}

/** The last line, which is where programs say what went wrong. */
function said(lastWords: string): string {
  const last = lastWords.trim().split('\n').at(-1) ?? '';
  return last === '' ? '' : `: ${printable(last).slice(0, 300)}`;
}
