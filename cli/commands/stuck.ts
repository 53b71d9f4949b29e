/** The stuck list: what waits for people, of all runs, most urgent first. */
import { Option, type Command } from 'commander';
import type { StuckDocument } from '../../api/schemas/stuck';
import { formatDuration } from '../../model/durations';
import { modes, type Mode } from '../../model/order';
import { action, type Context } from '../context';
import { commandLines, paragraph, type Output } from '../output';
import { parseWhole } from '../parse';
import { commandFor, standingLines } from '../show-run';
import { shortId } from '../../model/ids';

interface StuckOptions {
  readonly site?: string;
  readonly runbook?: string;
  readonly mode?: Mode;
  readonly mine?: boolean;
  readonly unclaimed?: boolean;
  readonly limit?: number;
  readonly after?: string;
}

type Item = StuckDocument['items'][number];

export function stuckCommands(program: Command): void {
  program
    .command('stuck')
    .description('what waits for people, of all runs, most urgent first')
    .option('--site <site>', 'only at this recovery site')
    .option('--runbook <name>', 'only of runs of this runbook')
    .addOption(new Option('--mode <mode>', 'only of this mode').choices(modes))
    .option('--mine', 'only what you have claimed')
    .option('--unclaimed', 'only what nobody has claimed')
    .option('--limit <number>', 'at most so many (default: 50)', parseWhole)
    .option('--after <next>', 'the page after this one')
    .action(action(stuck));
}

async function stuck({ client, out }: Context, options: StuckOptions): Promise<void> {
  const { site, runbook, mode, mine, unclaimed, limit, after } = options;
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ site, runbook, mode, mine, unclaimed, limit, after })) {
    if (value !== undefined) query.set(name, String(value));
  }
  const page = await client.get<StuckDocument>(`/stuck?${query}`);
  if (out.json) return out.document(page);
  if (page.notice !== null) out.line(paragraph(out, 'note', page.notice));
  if (page.items.length === 0) return out.line('Nothing waits for people.');
  const pages = page.items.length < page.total ? `, ${page.items.length} shown` : '';
  out.line(`${page.total} ${page.total === 1 ? 'waits' : 'wait'} for people${pages}, most urgent first.`);
  for (const item of page.items) {
    out.line();
    for (const line of linesOf(out, item, page.source === 'live')) out.line(line);
  }
  if (page.next !== undefined) out.line(`\nMore: muster stuck --after ${page.next}`);
}

const kindWords: Readonly<Record<Item['kind'], string>> = {
  stuck: 'STUCK',
  gate: 'waits for a decision',
  'second-eyes': 'waits for a second person',
};

/** `whole`: with Postgres away no list of runs is there that a part of an id could be looked up in. */
function linesOf(out: Output, item: Item, whole: boolean): string[] {
  const { runId, serverName, mode, tier, kind, step, waitingMs, told } = item;
  const place = step === null ? 'the run' : `${step}${item.item === null ? '' : `/${item.item}`}`;
  const run = shortId(runId);
  const where = [...item.runbooks.map((name) => `runbook ${name}`), ...item.sites.map((name) => `site ${name}`)];
  const undoing = item.undo ? ' while undoing' : '';
  const heading = `${serverName}  ${mode}, tier ${tier}  ${kindWords[kind]}${undoing} at ${place} for ${formatDuration(waitingMs)}  run …${run}`;
  return [
    paragraph(out, '', heading, 0),
    ...(where.length === 0 ? [] : [paragraph(out, '  where', where.join(', '))]),
    paragraph(out, '  cause', item.cause),
    paragraph(out, '  do', item.remedy),
    ...standingLines(out, item),
    paragraph(out, '  told', told.length === 0 ? 'nobody' : told.map(({ to }) => to).join(', ')),
    ...commandsOf(item, whole ? runId : run).map((command, index) =>
      commandLines(out, index === 0 ? '  decide' : '', command),
    ),
  ];
}

function commandsOf(item: Item, run: string): string[] {
  if (item.step !== null) return (['claim', ...item.allowed] as const).map((one) => commandFor(one, run, item));
  return [commandFor('abort', run), `muster withdraw ${run} --abort --reason '…'`];
}
