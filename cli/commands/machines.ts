/** Physical machines: `muster machines` and `muster machines release`. */
import type { Command } from 'commander';
import type { MachineDocument, MachinesDocument, ReleasedDocument, ReleaseInput } from '../../api/schemas/machines';
import { formatTime } from '../../model/durations';
import { action, requireReason, type Context } from '../context';
import { exitCodeOf } from '../exit-codes';
import { table } from '../output';
import { shortId } from '../../model/ids';

interface ReleaseOptions {
  readonly reason?: string;
  readonly site?: string;
  readonly switchedOff?: boolean;
}

export function machineCommands(program: Command): void {
  const machines = program
    .command('machines')
    .description('list physical machines with what holds each, and give one up')
    .action(action(list));
  machines
    .command('release')
    .description('give a physical machine up that no live run uses; its disks stay as they are')
    .argument('<machine>', 'its name in the configuration')
    .option('--reason <text>', 'why; stands in the record (needed)')
    .option('--site <site>', 'which site, where several have a machine of that name')
    .option('--switched-off', 'your word that it is off, for a machine that no program can ask')
    .action(action(release));
}

async function list({ client, out }: Context): Promise<void> {
  const { items, unavailable } = await client.get<MachinesDocument>('/machines');
  if (unavailable.length > 0) process.exitCode = exitCodeOf('unreachable');
  if (out.json) return out.document({ items, unavailable });
  const columns = [
    { title: 'machine', width: 12 },
    { title: 'site', width: 10 },
    { title: 'hardware', width: 13 },
    { title: 'power', width: 7 },
    { title: 'held by', width: 20, grows: true },
  ];
  const rows = items.map((machine) => [
    machine.name,
    machine.siteId,
    machine.hardware ?? 'not configured',
    machine.power ?? 'unknown',
    holderOf(machine),
  ]);
  if (items.length > 0) out.line(table(out, columns, rows));
  else if (unavailable.length === 0) out.line('No physical machines. docs/physical.md says how to configure them.');
  for (const { siteId, because } of unavailable) out.error(`muster: site ${siteId} is not shown: ${because}`);
}

function holderOf({ heldBy }: MachineDocument): string {
  if (heldBy === null) return 'free';
  const { runId, serverName, live, runState, since } = heldBy;
  const state = live === true ? 'goes on' : live === null ? 'not known now' : (runState ?? 'not known here');
  const server = serverName === null ? '' : ` of ${serverName}`;
  return `run …${shortId(runId)}${server} (${state}), since ${formatTime(since).slice(0, 16)}`;
}

async function release({ client, out }: Context, options: ReleaseOptions, name: string): Promise<void> {
  const body: ReleaseInput = {
    reason: requireReason(options.reason, `you release ${name}`),
    ...(options.site === undefined ? {} : { siteId: options.site }),
    ...(options.switchedOff === true ? { switchedOff: true } : {}),
  };
  const path = `/machines/${encodeURIComponent(name)}/release`;
  const { body: answer } = await client.call<ReleasedDocument>('POST', path, { body });
  if (out.json) return out.document(answer);
  if (!answer.released) return out.line(`${name} is free already.`);
  out.line(`${name} is free; run ${answer.runId} had it. Its disks are as they were: an order has to name them.`);
}
