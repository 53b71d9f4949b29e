/** `muster schedule`: when rehearsals come by themselves, and acting on that. */
import type { Command } from 'commander';
import type { ScheduleActInput, ScheduleDocument, SchedulesDocument } from '../../api/schemas/schedules';
import { formatTime } from '../../model/durations';
import { action, requireReason, type Context } from '../context';
import { table } from '../output';

const descriptions: Readonly<Record<ScheduleActInput['act'], string>> = {
  pause: 'start no rehearsal of a runbook by itself until it is resumed',
  resume: 'let the scheduled rehearsals of a runbook come again',
  'run-now': 'start the rehearsal of a runbook now, in your name; skipped as a scheduled one is',
};

export function scheduleCommands(program: Command): void {
  const schedule = program.command('schedule').description('scheduled rehearsals: list, pause, resume, start');
  schedule.command('list').description('show when each comes next').action(action(list));
  for (const [act, description] of Object.entries(descriptions)) {
    schedule
      .command(act)
      .description(description)
      .argument('<runbook>', 'its name')
      .option('--reason <text>', 'why; stands in the record (needed)')
      .action(
        action((context: Context, options: { reason?: string }, runbook: string) =>
          actOn(context, act as ScheduleActInput['act'], runbook, options.reason),
        ),
      );
  }
}

async function list({ client, out }: Context): Promise<void> {
  const { items } = await client.get<SchedulesDocument>('/schedules');
  if (out.json) return out.document(items);
  if (items.length === 0) return out.line('No runbook has a schedule. docs/rehearsing.md says how to give it one.');
  const columns = [
    { title: 'runbook', width: 14, grows: true },
    { title: 'next', width: 16 },
    { title: 'last', width: 30, grows: true },
  ];
  out.line(table(out, columns, items.map(rowOf)));
}

const rowOf = (one: ScheduleDocument): string[] => [one.runbook, nextOf(one), lastOf(one)];
const nextOf = ({ paused, next }: ScheduleDocument): string =>
  paused ? 'paused' : next[0] === undefined ? 'never' : formatTime(next[0]).slice(0, 16);

function lastOf({ last }: ScheduleDocument): string {
  if (last === null) return 'none yet';
  const at = formatTime(last.at).slice(0, 16);
  if (last.skipped !== null) return `${at} skipped: ${last.skipped}`;
  return last.runId === null ? `${at} being decided` : `${at} run ${last.runId}`;
}

async function actOn(
  { client, out }: Context,
  act: ScheduleActInput['act'],
  runbook: string,
  reason: string | undefined,
): Promise<void> {
  const input: ScheduleActInput = { act, reason: requireReason(reason, `you ${act} the schedule of ${runbook}`) };
  const path = `/schedules/${encodeURIComponent(runbook)}/acts`;
  const { body } = await client.call<ScheduleDocument>('POST', path, { body: input });
  if (out.json) return out.document(body);
  out.line(
    act === 'run-now' ? `Started; muster schedule list shows what becomes of it.` : `${runbook}: ${nextOf(body)}.`,
  );
}
