/** `muster runbook plan`: a runbook as it would run now. */
import type { Command } from 'commander';
import type { PreviewDocument, RunbookPlanDocument } from '../../api/schemas/runbook-plan';
import { formatDuration } from '../../model/durations';
import { action, type Context } from '../context';
import { exitCodeOf } from '../exit-codes';
import { paragraph, table, type Output } from '../output';
import { countOf, looksLikeFile, readRunbookText, sayProblems } from '../runbook-file';

interface PlanOptions {
  readonly rehearsal?: boolean;
}

export function runbookPlanCommand(runbook: Command): void {
  runbook
    .command('plan')
    .description('show a runbook as it would run now: waves, expected times, who will be asked')
    .argument(
      '<runbook>',
      "a runbook's file (with a dot or slash in its name; - for standard input), or an imported one",
    )
    .option('--rehearsal', 'as a rehearsal')
    .action(action(plan));
}

async function plan({ client, out }: Context, { rehearsal }: PlanOptions, word: string): Promise<void> {
  const what = looksLikeFile(word) ? { text: (await readRunbookText(word)).text } : { name: word };
  const body = { ...what, mode: rehearsal === true ? 'rehearsal' : 'recovery' };
  const { body: planned } = await client.call<RunbookPlanDocument>('POST', '/runbooks/plan', { body });
  if (!planned.ok) process.exitCode = exitCodeOf('refused');
  if (out.json) return out.document(planned);
  sayProblems(out, word, planned);
  if (planned.plan === null) return out.line(`${planned.name ?? word}: ${countOf(planned.problems)}; no plan`);
  describe(out, planned.plan);
}

function describe(out: Output, plan: PreviewDocument): void {
  const [first] = plan.runbooks;
  if (first === undefined) return;
  const version = first.version === 0 ? 'not imported' : `version ${first.version}`;
  out.line(`${first.title} (${first.path[0]}, ${version}), as a ${plan.mode}`);
  const line = (label: string, text: string): void => out.line(paragraph(out, `  ${label}`, text, 13));
  if (plan.sure === null) line('takes', 'unknown: none of these servers ever ran here');
  else line('takes', `${amount(plan)} of machine time; people's answers come on top`);
  if (plan.sure !== null) line('sure', howSure(plan.sure, plan));
  for (const runbook of plan.runbooks) {
    out.line();
    if (runbook.path.length > 1) out.line(`${runbook.path.join(' > ')}, version ${runbook.version}`);
    if (runbook.waves.length > 0) out.line(table(out, columns, runbook.waves.flatMap(rowsOfWave)));
    else out.line('No servers of its own.');
  }
  out.line();
  sayLongestWay(out, plan);
  sayAsks(out, plan);
  sayObjectives(out, plan);
}

const columns = [
  { title: 'wave, server', width: 20, grows: true },
  { title: 'starts', width: 11, right: true },
  { title: 'ends', width: 11, right: true },
  { title: 'past runs', width: 24 },
];

type Wave = PreviewDocument['runbooks'][number]['waves'][number];

function rowsOfWave(wave: Wave): string[][] {
  const gate = wave.gate === null ? '' : `gate ${wave.gate}`;
  return [
    [wave.name, ...times(wave), gate],
    ...wave.servers.map((one) => [`\u00a0\u00a0${one.name}`, ...times(one), pastRuns(one)]),
  ];
}

/** A time that may be later carries a plus; where nothing is known there is none. */
function times({ startsMs, endsMs, atLeast }: { startsMs: number; endsMs: number; atLeast: boolean }): string[] {
  if (atLeast && endsMs === 0) return ['–', '–'];
  return [formatDuration(startsMs), `${formatDuration(endsMs)}${atLeast ? '+' : ''}`];
}

function pastRuns({ expected }: Wave['servers'][number]): string {
  if (expected === null) return 'unknown: never run here';
  const { runs, from, lowMs, highMs } = expected;
  const spread = runs === 1 ? '' : `, ${formatDuration(lowMs)} to ${formatDuration(highMs)}`;
  return `${runs} ${runs === 1 ? 'run' : 'runs'}${from === 'this server' ? '' : ' of similar servers'}${spread}`;
}

const amount = ({ endsMs, atLeast }: { endsMs: number; atLeast: boolean }): string =>
  atLeast && endsMs === 0 ? 'unknown' : `${atLeast ? 'at least ' : ''}${formatDuration(endsMs)}`;

function howSure(sure: NonNullable<PreviewDocument['sure']>, { unknown }: PreviewDocument): string {
  const words = {
    well: 'well: many runs that agree',
    fairly: 'fairly: some runs',
    hardly: 'hardly: few runs, or other servers only',
  };
  return `${words[sure]}${unknown.length === 0 ? '' : `; nothing is known of ${unknown.join(', ')}`}`;
}

function sayLongestWay(out: Output, { limitedBy, sure }: PreviewDocument): void {
  // Without a single time every way is as long as any other.
  if (sure === null) return;
  const kinds = { after: 'comes after', limit: 'waits for a place that is taken by', boot: 'may boot after' };
  const way = limitedBy.map(({ name, because }) =>
    because === null ? name : `${name} (${kinds[because.kind]} ${because.name})`,
  );
  if (way.length > 0) out.line(paragraph(out, 'longest way', way.join(', then '), 13));
}

function sayAsks(out: Output, { asks, runbooks, sure }: PreviewDocument): void {
  for (const ask of asks) {
    const people = [...ask.who.roles, ...ask.who.people].join(', ') || 'nobody';
    const count = ask.approvals === 1 ? 'one of' : `${ask.approvals} of`;
    const within =
      ask.withinMs === null ? '' : `; within ${formatDuration(ask.withinMs)}, otherwise ${ask.otherwise ?? 'it waits'}`;
    const of = ask.of === null ? '' : ask.kind === 'gate' ? ` before wave ${ask.of}` : ` of ${ask.of}`;
    const runbook = runbooks.length === 1 ? '' : ` (${ask.runbook})`;
    const when = sure === null ? '' : `, after ${formatDuration(ask.atMs)}`;
    const words = `${ask.kind}${of}${runbook}${when}: “${ask.question}” ${count} ${people}${within}`;
    out.line(paragraph(out, 'asks', words, 13));
  }
}

function sayObjectives(out: Output, { objectives }: PreviewDocument): void {
  for (const { objective, of, targetMs, expectedMs, atLeast, verdict } of objectives) {
    const what = of === null ? 'the whole' : `${of.kind} ${of.name}`;
    const expected = amount({ endsMs: expectedMs, atLeast });
    const judged = verdict === expected ? '' : `: ${verdict}`;
    const words = `${objective.toUpperCase()} of ${what}: ${formatDuration(targetMs)}; expected ${expected}${judged}`;
    out.line(paragraph(out, 'objective', words, 13));
  }
}
