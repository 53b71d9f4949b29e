import { Option, type Command } from 'commander';
import { v7 as uuidv7 } from 'uuid';
import type { NewRecoveryInput, StartedRecovery } from '../../api/schemas/recoveries';
import { hardwareProfiles } from '../../model/server';
import { action, requireReason, type Context } from '../context';
import { collectPair, parseDuration, parseSize, parseWhole } from '../parse';
import { findRunId } from '../run-id';
import { watchRun } from '../watch/watch';

const options = ['backup-and-recover', 'copy-and-recover'] as const;

interface RehearseOptions {
  readonly hardware: string;
  readonly option?: (typeof options)[number];
  readonly point?: string;
  readonly as?: string;
  readonly network?: Record<string, string>;
  readonly cpus?: number;
  readonly memory?: number;
  readonly inoculation: boolean;
  readonly tryOut?: string;
  readonly giveUpAfter?: number;
  readonly stableFor?: number;
  readonly heartbeatTimeout?: number;
  readonly reason?: string;
  readonly key?: string;
  readonly watch?: boolean;
}

export function rehearseCommands(program: Command): void {
  program
    .command('rehearse')
    .description('recover a server into networks without a way out, prove it, clean up, and prove that nothing is left')
    .argument('<name>', 'server, by name or id')
    .addOption(
      new Option('--hardware <profile>', 'what it will wake up on')
        .choices(Object.keys(hardwareProfiles))
        .makeOptionMandatory(),
    )
    .option('--reason <text>', 'why; stands in the record and in the report (needed)')
    .addOption(
      new Option('--option <option>', 'how the replica is taken (default: backup-and-recover)').choices(options),
    )
    .option('--point <id>', 'recovery point (default: the latest)')
    .option('--as <name>', 'name of the machine; for physical hardware, which machine of the site')
    .option(
      '--network <from=to>',
      'network of the source=isolated network at the site (default: one made for the run); repeatable',
      collectPair,
    )
    .option('--cpus <number>', 'processors (default: as the source)', parseWhole)
    .option('--memory <size>', 'memory, such as 4G (default: as the source)', parseSize)
    .option('--no-inoculation', 'do not touch the operating system: for hardware it knows already')
    .option('--try-out <question>', 'ask people to try the application before it is cleaned up')
    .option(
      '--give-up-after <duration>',
      'how long it waits for people before it is cleaned up (default: 4h)',
      parseDuration,
    )
    .option('--stable-for <duration>', 'how long it must stay up before the boot counts', parseDuration)
    .option('--heartbeat-timeout <duration>', 'longest wait for its first sign of life', parseDuration)
    .option('--key <text>', 'idempotency key: the same one returns the same run (default: a new one)')
    .option('--watch', 'watch the run to its end')
    .action(action(rehearse));

  program
    .command('rehearsal')
    .description('what is left of a rehearsal')
    .command('clean-up')
    .description(
      'remove what an ended rehearsal left behind, and prove that nothing is left; harmless where nothing is',
    )
    .argument('<run>', 'the rehearsal: its id, a part of it, or "last"')
    .option('--reason <text>', 'why; stands in the record (needed)')
    .option('--watch', 'watch the clean-up to its end')
    .action(action(cleanUp));
}

async function rehearse(context: Context, options: RehearseOptions, name: string): Promise<void> {
  const { client, out } = context;
  const body = rehearsalOf(name, options, requireReason(options.reason, `you rehearse ${name}`));
  const headers = { 'idempotency-key': options.key ?? uuidv7() };
  const { body: started } = await client.call<StartedRecovery>('POST', '/recoveries', { body, headers });
  if (out.json && options.watch !== true) return out.document(started);
  const again = started.seenBefore ? ' (started before, under the same key)' : '';
  if (!out.json) {
    out.line(`Run ${started.runId}${again}`);
    out.line(`rehearses ${started.serverName} as ${started.machineName}.`);
  }
  await watchOrTell(context, started.runId, options.watch === true);
}

async function cleanUp(
  context: Context,
  { reason, watch }: { readonly reason?: string; readonly watch?: boolean },
  run: string,
): Promise<void> {
  const { client, out } = context;
  const body = { reason: requireReason(reason, 'you clean up') };
  const runId = await findRunId(client, run);
  const path = `/rehearsals/${runId}/clean-up`;
  const { body: started } = await client.call<StartedRecovery>('POST', path, { body });
  if (out.json && watch !== true) return out.document(started);
  if (!out.json) out.line(`Run ${started.runId} cleans up rehearsal ${runId} of ${started.serverName}.`);
  await watchOrTell(context, started.runId, watch === true);
}

async function watchOrTell(context: Context, runId: string, watch: boolean): Promise<void> {
  if (watch) return watchRun(context, runId, {});
  context.out.line(`Watch it: muster watch ${runId}`);
}

function rehearsalOf(server: string, options: RehearseOptions, reason: string): NewRecoveryInput {
  const proof = {
    ...(options.stableFor === undefined ? {} : { stableForMs: options.stableFor }),
    ...(options.heartbeatTimeout === undefined ? {} : { heartbeatTimeoutMs: options.heartbeatTimeout }),
  };
  const tryOut = options.tryOut === undefined ? undefined : { title: `Try ${server}`, question: options.tryOut };
  const wanted = {
    option: options.option,
    point: options.point,
    machineName: options.as,
    networks: options.network,
    cpuCount: options.cpus,
    memoryBytes: options.memory,
    giveUpAfterMs: options.giveUpAfter,
    tryOut,
  };
  const { hardware, inoculation: inoculate } = options;
  return { server, reason, mode: 'rehearsal', hardware, inoculate, proof, ...wanted };
}
