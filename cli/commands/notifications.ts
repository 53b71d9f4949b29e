import { Option, type Command } from 'commander';
import type { NotificationsDocument } from '../../api/schemas/notifications';
import { formatTime } from '../../model/durations';
import { action, type Context } from '../context';
import { CliError } from '../exit-codes';
import { paragraph, table } from '../output';
import { parseWhole } from '../parse';
import { findRunId } from '../run-id';
import { shortId } from '../../model/ids';

const states = ['due', 'sent', 'failed', 'settled'] as const;

interface ListOptions {
  readonly state?: string;
  readonly run?: string;
  readonly limit?: number;
}

export function notificationCommands(program: Command): void {
  program
    .command('notifications')
    .description('list what people were told, and what could not be delivered, newest first')
    .addOption(new Option('--state <state>', 'only those in this state').choices(states))
    .option('--run <run>', 'only of this run: its id, a part of it, or "last"')
    .option('--limit <number>', 'at most so many (default: 50)', parseWhole)
    .action(action(list));
  program
    .command('notify')
    .description('try how people are told')
    .command('test')
    .description('send a test message now, and say whether it was taken')
    .option('--mail <address>', 'to this address')
    .option('--webhook <name>', 'to this webhook of the configuration')
    .action(action(test));
}

async function list({ client, out }: Context, { state, run, limit }: ListOptions): Promise<void> {
  const query = new URLSearchParams();
  if (state !== undefined) query.set('state', state);
  if (run !== undefined) query.set('run', await findRunId(client, run));
  if (limit !== undefined) query.set('limit', String(limit));
  const { items } = await client.get<NotificationsDocument>(`/notifications?${query}`);
  if (out.json) return out.document(items);
  if (items.length === 0) return out.line('Nobody was told anything.');
  const columns = [
    { title: 'made', width: 16 },
    { title: 'state', width: 8 },
    { title: 'occasion', width: 10 },
    { title: 'about', width: 12, grows: true },
    { title: 'to', width: 18, grows: true },
  ];
  const rows = items.map((one) => [
    formatTime(one.madeAt).slice(0, 16),
    one.state,
    one.stage > 0 ? `${one.occasion} +` : one.occasion,
    one.runId === null ? one.name : `${one.name} …${shortId(one.runId)}`,
    one.to,
  ]);
  out.line(table(out, columns, rows));
  const errors = new Map(items.flatMap(({ error, to }) => (error === null ? [] : [[error, to] as const])));
  for (const [error, to] of errors) out.line(paragraph(out, to, error));
}

async function test({ client, out }: Context, options: { mail?: string; webhook?: string }): Promise<void> {
  const { mail, webhook } = options;
  if ((mail === undefined) === (webhook === undefined)) {
    throw new CliError('usage', 'Say one of them: --mail ADDRESS or --webhook NAME');
  }
  const body = mail === undefined ? { webhook } : { mail };
  await client.call('POST', '/notifications/test', { body });
  if (out.json) return out.document({ sent: true, ...body });
  out.line(`Sent to ${mail ?? webhook}: it was taken. Look whether it arrives.`);
}
