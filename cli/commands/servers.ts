import type { Command } from 'commander';
import type { NewServerInput, ServerDocument } from '../../api/schemas/servers';
import { formatDuration, formatSize } from '../../model/durations';
import { action, type Context } from '../context';
import { paragraph, table, type Output } from '../output';
import { collectProbe, collectReference, parseDuration, parseWhole, type Probe } from '../parse';

interface AddOptions {
  readonly machine?: string;
  readonly sourceSite: string;
  readonly site: string;
  readonly rpo: number;
  readonly rto: number;
  readonly tier?: number;
  readonly pointEvery?: number;
  readonly freezeEvery?: number;
  readonly keep?: number;
  readonly probe?: Probe[];
  readonly probeOutput?: string;
  readonly unlockKey?: string[];
  readonly prepareFor?: string[];
}

export function serverCommands(program: Command): void {
  const servers = program.command('servers').description('list, add, show and remove servers').action(action(list));
  servers
    .command('add')
    .description('add a server; disks and network cards are read from the running machine')
    .argument('<name>', 'what people call it')
    .requiredOption('--source-site <site>', 'where it runs')
    .requiredOption('--site <site>', 'where it is recovered')
    .requiredOption('--rpo <duration>', 'recovery point objective: how much may be lost, as time', parseDuration)
    .requiredOption('--rto <duration>', 'recovery time objective: how long it may be down', parseDuration)
    .option('--machine <name>', "the machine's name at the source site (default: the server's name)")
    .option('--tier <number>', 'importance, 0 to 9, 0 first; objectives of runbooks go by it (default: 1)', parseWhole)
    .option('--point-every <duration>', 'from one recovery point to the next', parseDuration)
    .option('--freeze-every <duration>', 'how often with filesystems frozen; 0s: never', parseDuration)
    .option('--keep <points>', 'recovery points kept', parseWhole)
    .option('--probe <name=command>', 'program run in the guest to prove its service; repeatable', collectProbe)
    .option('--probe-output <regexp>', "what the probes' standard output must match")
    .option('--unlock-key <reference>', 'where a key of encrypted volumes is: file:NAME; repeatable', collectReference)
    .option(
      '--prepare-for <hardware...>',
      "hardware profiles that inoculation is prepared for, or none (default: all of the recovery site's)",
    )
    .action(action(add));
  servers.command('show').description('show one server').argument('<name>', 'name or id').action(action(show));
  servers
    .command('remove')
    .description('remove a server that is not protected')
    .argument('<name>', 'name or id')
    .action(action(remove));
}

async function list({ client, out }: Context): Promise<void> {
  const { items } = await client.get<{ items: ServerDocument[] }>('/servers');
  if (out.json) return out.document(items);
  if (items.length === 0) return out.line('No servers. Add one with `muster servers add`.');
  const columns = [
    { title: 'server', width: 14, grows: true },
    { title: 'runs at', width: 14, grows: true },
    { title: 'recovers to', width: 12 },
    { title: 'disks', width: 8, right: true },
    { title: 'RPO', width: 11, right: true },
    { title: 'RTO', width: 12, right: true },
  ];
  const rows = items.map((server) => [
    server.name,
    server.source.siteId + (server.source.machineName === server.name ? '' : `/${server.source.machineName}`),
    server.recoverySiteId,
    formatSize(server.disks.reduce((sum, disk) => sum + disk.sizeBytes, 0)),
    formatDuration(server.objectives.rpoMs),
    formatDuration(server.objectives.rtoMs),
  ]);
  out.line(table(out, columns, rows));
}

async function add({ client, out }: Context, options: AddOptions, name: string): Promise<void> {
  const expectOutput = options.probeOutput === undefined ? {} : { expectOutput: options.probeOutput };
  const body: NewServerInput = {
    name,
    source: { siteId: options.sourceSite, machineName: options.machine ?? name },
    recoverySiteId: options.site,
    objectives: { rpoMs: options.rpo, rtoMs: options.rto },
    ...(options.tier === undefined ? {} : { tier: options.tier }),
    cadence: {
      ...(options.pointEvery === undefined ? {} : { pointEveryMs: options.pointEvery }),
      ...(options.freezeEvery === undefined ? {} : { freezeEveryMs: options.freezeEvery }),
      ...(options.keep === undefined ? {} : { keepPoints: options.keep }),
    },
    ...(options.unlockKey === undefined ? {} : { unlockKeys: options.unlockKey }),
    ...(options.prepareFor === undefined ? {} : { prepareFor: options.prepareFor.filter((id) => id !== 'none') }),
    probes: (options.probe ?? []).map((probe) => ({ ...probe, ...expectOutput })),
  };
  const { body: server } = await client.call<ServerDocument>('POST', '/servers', { body });
  if (out.json) return out.document(server);
  out.line(`Added ${server.name}:`);
  describe(out, server);
  out.line(`Next: muster protect ${server.name}`);
}

async function show({ client, out }: Context, _options: object, name: string): Promise<void> {
  const server = await client.get<ServerDocument>(`/servers/${encodeURIComponent(name)}`);
  if (out.json) return out.document(server);
  out.line(server.name);
  describe(out, server);
}

function describe(out: Output, server: ServerDocument): void {
  const { os, source, cadence } = server;
  const line = (label: string, text: string): void => out.line(paragraph(out, `  ${label}`, text, 14));
  line('id', server.id);
  line('runs at', `${source.machineName} at site ${source.siteId}; recovers to site ${server.recoverySiteId}`);
  line(
    'system',
    `${os.prettyName ?? os.family}, ${server.firmware}, ${server.cpuCount === 1 ? '1 CPU' : `${server.cpuCount} CPUs`}, ${formatSize(server.memoryBytes)}`,
  );
  line('disks', server.disks.map((disk) => `${disk.id} ${formatSize(disk.sizeBytes)} (${disk.controller})`).join(', '));
  line('networks', server.nics.map((nic) => `${nic.network} (${nic.macAddress}, ${nic.model})`).join(', ') || 'none');
  line('objectives', `RPO ${formatDuration(server.objectives.rpoMs)}, RTO ${formatDuration(server.objectives.rtoMs)}`);
  line('points', `every ${formatDuration(cadence.pointEveryMs)}, ${cadence.keepPoints} kept`);
  if (server.prepareFor !== undefined) line('prepared', `for ${server.prepareFor.join(', ') || 'nothing'}`);
  if (server.unlockKeys !== undefined) line('keys', server.unlockKeys.join(', ') || 'none');
  for (const probe of server.probes) line('probe', `${probe.name}: ${probe.command.join(' ')}`);
}

async function remove({ client, out }: Context, _options: object, name: string): Promise<void> {
  await client.call('DELETE', `/servers/${encodeURIComponent(name)}`);
  if (out.json) return out.document({ removed: name });
  out.line(`Removed ${name}.`);
}
