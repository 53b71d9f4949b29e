import { Option, type Command } from 'commander';
import { v7 as uuidv7 } from 'uuid';
import type { NewRecoveryInput, StartedRecovery } from '../../api/schemas/recoveries';
import { hardwareProfiles } from '../../model/server';
import { intents, modes, verifications, type Intent, type Mode, type Verification } from '../../model/order';
import { recoveryOptions, type RecoveryOption } from '../../model/replica';
import { action, requireReason, type Context } from '../context';
import { collectPair, parseDuration, parseSize, parseTime, parseWhole } from '../parse';
import { watchRun } from '../watch/watch';

interface RecoverOptions {
  readonly hardware: string;
  readonly option?: RecoveryOption;
  readonly mode?: Mode;
  readonly intent?: Intent;
  readonly point?: string;
  readonly as?: string;
  readonly overwriteDisk?: string[];
  readonly network?: Record<string, string>;
  readonly cpus?: number;
  readonly memory?: number;
  readonly inoculation: boolean;
  readonly finalCycle: boolean;
  readonly verify?: Verification;
  readonly powerOn?: 'automatic' | 'decision';
  readonly lostAt?: string;
  readonly stableFor?: number;
  readonly heartbeatTimeout?: number;
  readonly reason?: string;
  readonly key?: string;
  readonly watch?: boolean;
}

export function recoverCommand(program: Command): void {
  program
    .command('recover')
    .description('push the button: recover a server from its replica')
    .argument('<name>', 'server, by name or id')
    .addOption(
      new Option('--hardware <profile>', 'what it will wake up on')
        .choices(Object.keys(hardwareProfiles))
        .makeOptionMandatory(),
    )
    .option('--reason <text>', 'why; stands in the record and in the report (needed)')
    .addOption(
      new Option('--option <option>', 'how the replica is taken (default: backup-and-recover)').choices(
        recoveryOptions,
      ),
    )
    .addOption(new Option('--mode <mode>', 'recovery or rehearsal (default: recovery)').choices(modes))
    .addOption(
      new Option('--intent <intent>', 'disaster: the source is lost; planned: it is stopped first').choices(intents),
    )
    .option('--point <id>', 'recovery point (default: the latest)')
    .option('--as <name>', 'name of the new machine; for physical hardware, which machine of the site')
    .option(
      '--overwrite-disk <device>',
      'disk of a physical machine that may be overwritten whatever it holds; repeatable',
      (device, previous: string[] = []) => [...previous, device],
    )
    .option('--network <from=to>', 'network of the source=network at the site; repeatable', collectPair)
    .option('--cpus <number>', 'processors (default: as the source)', parseWhole)
    .option('--memory <size>', 'memory, such as 4G (default: as the source)', parseSize)
    .option('--no-inoculation', 'do not touch the operating system: for hardware it knows already')
    .option('--no-final-cycle', 'do not ask the source for its last changes')
    .addOption(
      new Option(
        '--verify <when>',
        'compare the point with its digests; auto: always, but in a disaster only up to 8 GiB (default: auto)',
      ).choices(verifications),
    )
    .addOption(
      new Option('--power-on <how>', 'power on by itself or after a decision').choices(['automatic', 'decision']),
    )
    .option('--lost-at <time>', 'when the server was lost (UTC); the RPO is measured from it', parseTime)
    .option('--stable-for <duration>', 'how long it must stay up before the boot counts', parseDuration)
    .option('--heartbeat-timeout <duration>', 'longest wait for its first sign of life', parseDuration)
    .option('--key <text>', 'idempotency key: the same one returns the same run (default: a new one)')
    .option('--watch', 'watch the run to its end')
    .action(action(recover));
}

async function recover(context: Context, options: RecoverOptions, name: string): Promise<void> {
  const { client, out } = context;
  const body = recoveryOf(name, options, requireReason(options.reason, `you recover ${name}`));
  const headers = { 'idempotency-key': options.key ?? uuidv7() };
  const { body: started } = await client.call<StartedRecovery>('POST', '/recoveries', { body, headers });
  if (out.json && !options.watch) return out.document(started);
  if (!out.json) {
    const again = started.seenBefore ? ' (started before, under the same key)' : '';
    out.line(`Run ${started.runId}${again}`);
    out.line(`recovers ${started.serverName} as ${started.machineName}.`);
  }
  if (options.watch) return watchRun(context, started.runId, {});
  out.line(`Watch it: muster watch ${started.runId}`);
}

function recoveryOf(server: string, options: RecoverOptions, reason: string): NewRecoveryInput {
  const proof = {
    ...(options.stableFor === undefined ? {} : { stableForMs: options.stableFor }),
    ...(options.heartbeatTimeout === undefined ? {} : { heartbeatTimeoutMs: options.heartbeatTimeout }),
  };
  const wanted = {
    option: options.option,
    mode: options.mode,
    intent: options.intent,
    point: options.point,
    machineName: options.as,
    overwriteDisks: options.overwriteDisk,
    networks: options.network,
    verify: options.verify,
    cpuCount: options.cpus,
    memoryBytes: options.memory,
    powerOn: options.powerOn,
    lostAt: options.lostAt,
    finalCycle: options.finalCycle ? undefined : ('never' as const),
  };
  return { server, reason, hardware: options.hardware, inoculate: options.inoculation, proof, ...wanted };
}
