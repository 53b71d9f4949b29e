import { writeFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import { formatTime } from '../../model/durations';
import { isUuid, shortId } from '../../model/ids';
import { printableJson } from '../../model/names';
import { runStates, type RunState } from '../../model/steps';
import { action, type Context } from '../context';
import type { RunDetail, RunsDocument } from '../documents';
import { CliError } from '../exit-codes';
import { paragraph, table } from '../output';
import { parseWhole } from '../parse';
import { findRunId } from '../run-id';
import { showPlan } from '../show-plan';
import { showRun } from '../show-run';
import { watchRun } from '../watch/watch';

interface ListOptions {
  readonly state?: RunState;
  readonly server?: string;
  readonly runbook?: string;
  readonly of?: string;
  readonly all?: boolean;
  readonly limit?: number;
  readonly after?: string;
}

export function runCommands(program: Command): void {
  program
    .command('runs')
    .description('list runs, newest first')
    .addOption(new Option('--state <state>', 'only runs in this state').choices(runStates))
    .option('--server <name>', 'only runs of this server')
    .option('--runbook <name>', 'only runs of this runbook')
    .option('--of <run>', 'only what belongs to this plan: run id, a part of it, or "last"')
    .option('--all', 'also what belongs to plans (default: it is counted with its plan)')
    .option('--limit <number>', 'at most so many (default: 50)', parseWhole)
    .option('--after <next>', 'the page after this one')
    .action(action(list));
  program
    .command('show')
    .description('show one run: steps, clocks, what waits for you')
    .argument('<run>', 'run id, a part of it, or "last"')
    .action(action(show));
  program
    .command('watch')
    .description('watch a run to its end, live')
    .argument('<run>', 'run id, a part of it, or "last"')
    .option('--stop-when-waiting', 'end with code 8 as soon as the run waits for people')
    .option('--after <sequence>', 'only what happened after this event of the journal', parseWhole)
    .action(
      action(async (context, options: { stopWhenWaiting?: boolean; after?: number }, run: string) =>
        watchRun(context, await findRunId(context.client, run), options),
      ),
    );
  program
    .command('report')
    .description('write the report of a run: one HTML file, or JSON with --json')
    .argument('<run>', 'run id, a part of it, or "last"')
    .option('--output <file>', 'where to; "-" is standard output (default: muster-report-….html)')
    .action(action(report));
}

async function list({ client, out }: Context, options: ListOptions): Promise<void> {
  const { state, server, runbook, limit, after } = options;
  const parent = options.of === undefined ? undefined : await findRunId(client, options.of);
  const top = options.all || parent !== undefined || server !== undefined ? undefined : 'true';
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ state, server, runbook, parent, top, limit, after })) {
    if (value !== undefined) query.set(name, String(value));
  }
  const page = await client.get<RunsDocument>(`/runs?${query}`);
  if (out.json) return out.document(page);
  if (page.items.length === 0) return out.line('No runs. Start one with `muster recover`.');
  const columns = [
    { title: 'run', width: 9 },
    { title: 'of', width: 10, grows: true },
    { title: 'mode', width: 9 },
    { title: 'state', width: 11 },
    { title: 'step', width: 14 },
    { title: 'started', width: 16 },
  ];
  const rows = page.items.map((run) => [
    `…${shortId(run.runId)}`,
    run.children === null ? run.serverName : `${run.serverName}: ${childWords(run.children)}`,
    run.mode,
    run.state === 'succeeded-with-exceptions' ? 'succeeded with exceptions' : run.state,
    run.currentStep ?? '',
    formatTime(run.startedAt).slice(0, 16),
  ]);
  out.line(table(out, columns, rows));
  for (const { runId, notice } of page.items) {
    if (notice !== null) out.line(paragraph(out, `…${shortId(runId)}`, notice));
  }
  if (page.next !== undefined) out.line(`More: muster runs --after ${page.next}`);
}

/** `2 succeeded, 1 stuck` of a plan's runs. */
const childWords = (children: NonNullable<RunsDocument['items'][number]['children']>): string =>
  Object.entries(children)
    .map(([state, count]) => `${count} ${state.replaceAll('-', ' ')}`)
    .join(', ') || 'nothing begun';

async function show({ client, out }: Context, _options: object, run: string): Promise<void> {
  const detail = await client.get<RunDetail>(`/runs/${await findRunId(client, run)}`);
  if (out.json) return out.document(detail);
  // Who gave the whole id gets commands with it: with Postgres away nothing else is found.
  const called = isUuid(run.trim()) ? detail.runId : shortId(detail.runId);
  if (detail.kind === 'plan') showPlan(out, detail, called);
  else showRun(out, detail, called);
}

async function report({ client, out }: Context, options: { output?: string }, run: string): Promise<void> {
  const runId = await findRunId(client, run);
  const format = out.json ? 'json' : 'html';
  const response = await client.open(`/runs/${runId}/report?format=${format}`);
  const answered = await response.text();
  const text = out.json ? printableJson(answered) : answered;
  const toOutput = options.output === '-' || (out.json && options.output === undefined);
  if (toOutput) return void process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
  const file = options.output ?? `muster-report-${shortId(runId)}.${format}`;
  await writeFile(file, text).catch((error: Error) => {
    throw new CliError('usage', `The report cannot be written: ${error.message}. Choose another place with --output`);
  });
  out.error(`Wrote ${file}`);
}
