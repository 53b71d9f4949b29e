import { Option, type Command } from 'commander';
import type { ReplicaDocument, ReplicasDocument } from '../../api/schemas/servers';
import { preparedOverall, type PreparedState } from '../../model/replica';
import { formatDuration, formatSize, formatTime } from '../../model/durations';
import { action, requireReason, type Context } from '../context';
import { exitCodeOf } from '../exit-codes';
import { paragraph, table, type Output } from '../output';
import { shortId } from '../../model/ids';

interface ProtectOptions {
  readonly pause?: boolean;
  readonly resume?: boolean;
  readonly remove?: boolean;
  readonly reverse?: boolean;
  readonly reason?: string;
}

interface ProtectionState {
  readonly pending: boolean;
  readonly requestId: string;
  readonly session: {
    readonly state: string;
    readonly heldBy: string | null;
    readonly lastError: string | null;
  } | null;
}

export function protectionCommands(program: Command): void {
  program
    .command('protect')
    .description("start or change a server's replication")
    .argument('<name>', 'server, by name or id')
    .addOption(new Option('--pause', 'pause replication').conflicts(['resume', 'remove', 'reverse']))
    .addOption(new Option('--resume', 'go on after a pause').conflicts(['remove', 'reverse']))
    .addOption(new Option('--remove', 'end protection and delete the replica').conflicts('reverse'))
    .option('--reverse', 'protect a recovered server the other way: before a failback, and after it')
    .option('--reason <text>', 'why; needed for a change')
    .action(action(protect));
  program
    .command('replicas')
    .description('show replicas: lag, points, state')
    .argument('[name]', 'one server: its points')
    .action(action(replicas));
}

interface ReversedState extends ProtectionState {
  readonly source: { readonly siteId: string; readonly machineName: string };
  readonly recoverySiteId: string;
}

async function reverse({ client, out }: Context, { reason }: ProtectOptions, name: string): Promise<void> {
  const path = `/servers/${encodeURIComponent(name)}/protection/reverse`;
  const needed = { reason: requireReason(reason, `you protect ${name} the other way`) };
  const { body, status } = await client.call<ReversedState>('POST', path, { body: needed });
  if (out.json) return out.document(body);
  const { source, recoverySiteId, session } = body;
  const direction = `from ${source.machineName} at ${source.siteId} to ${recoverySiteId}`;
  out.line(`${name}: protected ${direction}${status === 200 ? ' already' : ''}; ${session?.state ?? 'starting'}.`);
}

async function protect(context: Context, options: ProtectOptions, name: string): Promise<void> {
  if (options.reverse) return reverse(context, options, name);
  const { client, out } = context;
  const change = options.pause ? 'pause' : options.resume ? 'resume' : options.remove ? 'remove' : null;
  const path = `/servers/${encodeURIComponent(name)}/protection`;
  const answer =
    change === null
      ? await client.call<ProtectionState>('POST', path)
      : await client.call<ProtectionState>('POST', `${path}/${change}`, {
          body: { reason: requireReason(options.reason, `you ${change} the protection of ${name}`) },
        });
  const { pending, session, requestId } = answer.body;
  if (pending) process.exitCode = exitCodeOf('pending');
  if (out.json) return out.document(answer.body);
  const state = session === null ? 'no worker has answered yet' : session.state;
  if (pending)
    return out.line(`Asked for (request ${requestId}); now: ${state}. \`muster replicas ${name}\` shows it.`);
  const done = { pause: 'paused', resume: 'resumed', remove: 'no longer protected' } as const;
  const said = change === null ? (answer.status === 201 ? 'protected' : 'protected already') : done[change];
  out.line(`${name}: ${said}; ${state}.`);
  if (session?.lastError) out.line(paragraph(out, 'last error', session.lastError));
}

async function replicas({ client, out }: Context, _options: object, name: string | undefined): Promise<void> {
  if (name !== undefined) return oneReplica({ client, out }, name);
  const { items, unavailable } = await client.get<ReplicasDocument>('/replicas');
  if (unavailable.length > 0) process.exitCode = exitCodeOf('unreachable');
  if (out.json) return out.document({ items, unavailable });
  const columns = [
    { title: 'server', width: 12, grows: true },
    { title: 'state', width: 11 },
    { title: 'lag', width: 9, right: true },
    { title: 'points', width: 6, right: true },
    { title: 'size', width: 8, right: true },
    { title: 'prepared', width: 12 },
    { title: 'held by', width: 9 },
  ];
  const rows = items.map((replica) => [
    replica.serverName,
    replica.state,
    replica.lagMs === null ? '–' : formatDuration(replica.lagMs),
    String(replica.points.length),
    formatSize(replica.storedBytes),
    preparedWord(preparedOverall(replica.prepared)),
    replica.heldBy === null ? '' : `…${shortId(replica.heldBy)}`,
  ]);
  out.line(
    items.length === 0 ? 'No replicas. Protect a server with `muster protect NAME`.' : table(out, columns, rows),
  );
  for (const { serverName, lastError } of items) {
    if (lastError !== null) out.line(paragraph(out, serverName, lastError, serverName.length + 2));
  }
  for (const { siteId, because } of unavailable) out.error(`muster: site ${siteId} is not shown: ${because}`);
}

async function oneReplica({ client, out }: Pick<Context, 'client' | 'out'>, name: string): Promise<void> {
  const replica = await client.get<ReplicaDocument>(`/servers/${encodeURIComponent(name)}/replica`);
  if (out.json) return out.document(replica);
  const lag = replica.lagMs === null ? 'no complete point' : `lag ${formatDuration(replica.lagMs)}`;
  out.line(`${replica.serverName}: ${replica.state}, ${lag}, ${formatSize(replica.storedBytes)}`);
  if (replica.heldBy !== null) out.line(`Held by run ${replica.heldBy}`);
  if (replica.lastError !== null) out.line(paragraph(out, 'last error', replica.lastError));
  const columns = [
    { title: 'point', width: 36, grows: true },
    { title: 'taken at', width: 27 },
    { title: 'consistency', width: 11 },
  ];
  const rows = replica.points.map((point) => [point.pointId, formatTime(point.takenAt), point.consistency]);
  if (rows.length > 0) out.line(table(out, columns, rows));
  showPrepared(out, replica);
  const orphans = replica.orphans ?? [];
  if (orphans.length === 0) return;
  const bytes = orphans.reduce((sum, orphan) => sum + orphan.storedBytes, 0);
  out.line(`Not usable (${formatSize(bytes)}; kept, and removed with the replica):`);
  for (const { file, because } of orphans) out.line(paragraph(out, '', `${file}: ${because}`, 2));
}

/** Inoculation worked out ahead, by hardware profile. */
function showPrepared(out: Output, { prepared = [] }: ReplicaDocument): void {
  if (prepared.length === 0) return out.line('Inoculation: not prepared');
  out.line('Inoculation, by hardware profile:');
  for (const { hardwareId, state, at, because } of prepared) {
    const since = at === null ? '' : `, ${formatTime(at)}`;
    const why = because === null ? '' : `: ${because}`;
    const said = state === 'failed' ? `${preparedWord(state)}${why}${since}` : `${preparedWord(state)}${since}${why}`;
    out.line(paragraph(out, `  ${hardwareId}`, said, 18));
  }
}

/** That something cannot be prepared is no failure of anybody's: a run inoculates all the same. */
const preparedWord = (state: PreparedState): string => (state === 'failed' ? 'not prepared' : state);
