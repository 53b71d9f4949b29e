/** The report as text: what is wrong in full, the rest counted. */
import pico from 'picocolors';
import type { Checked, CheckState, Report } from './report';

/** Lines for people: what is wrong in full, what is right in one line each, or only counted. */
export function describeReport(report: Report, all: boolean, colored: boolean): string[] {
  const { host, user, version, counts, checks, notAsked } = report;
  const shown = all ? checks : checks.filter(({ state }) => state !== 'ok');
  return [
    `Muster ${version} on ${host}, as ${user}`,
    '',
    ...shown.flatMap((check) => describeCheck(check, colored)),
    ...(shown.length === 0 ? [] : ['']),
    ...(notAsked.length === 0 ? [] : [`Not asked, because nobody answers: ${notAsked.join(', ')}`, '']),
    `${counts.ok} ok, ${counts.warning} ${plural(counts.warning, 'warning')}, ${counts.problem} ${plural(counts.problem, 'problem')}${all ? '' : '. `muster doctor --all` shows every check.'}`,
  ];
}

function describeCheck({ id, title, state, found, needed, remedy }: Checked, colored: boolean): string[] {
  const head = `${mark(state, colored)} ${title} [${id}]`;
  if (state === 'ok') return [`${head}${found === '' ? '' : `: ${found}`}`];
  const line = (label: string, text: string): string[] => (text === '' ? [] : [`           ${label.padEnd(8)}${text}`]);
  return [head, ...line('found', found), ...line('needed', needed), ...line('remedy', remedy)];
}

function mark(state: CheckState, colored: boolean): string {
  const colors = pico.createColors(colored);
  const paint = { ok: colors.green, warning: colors.yellow, problem: colors.red }[state];
  return paint(state.padEnd(8));
}

const plural = (count: number, word: string): string => (count === 1 ? word : `${word}s`);
