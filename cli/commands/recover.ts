import { Option, type Command } from 'commander';
import type { NewRecoveryInput } from '../../api/schemas/recoveries';
import { hardwareProfiles } from '../../model/server';
import { intents, modes, verifications, type Intent, type Mode, type Verification } from '../../model/order';
import { recoveryOptions, type RecoveryOption } from '../../model/replica';
import { action, requireReason, type Context } from '../context';
import { collectPair, parseTime } from '../parse';
import {
  addMachineOptions,
  addProofOptions,
  addStartOptions,
  proofOf,
  startRecovery,
  type MachineOptions,
  type ProofOptions,
  type StartOptions,
} from '../start-recovery';

interface RecoverOptions extends MachineOptions, ProofOptions, StartOptions {
  readonly hardware: string;
  readonly option?: RecoveryOption;
  readonly mode?: Mode;
  readonly intent?: Intent;
  readonly point?: string;
  readonly as?: string;
  readonly overwriteDisk?: string[];
  readonly network?: Record<string, string>;
  readonly finalCycle: boolean;
  readonly verify?: Verification;
  readonly powerOn?: 'automatic' | 'decision';
  readonly lostAt?: string;
  readonly reason?: string;
}

export function recoverCommand(program: Command): void {
  const command = program
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
    .option('--network <from=to>', 'network of the source=network at the site; repeatable', collectPair);
  addMachineOptions(command)
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
    .option('--lost-at <time>', 'when the server was lost (UTC); the RPO is measured from it', parseTime);
  addStartOptions(addProofOptions(command)).action(action(recover));
}

async function recover(context: Context, options: RecoverOptions, name: string): Promise<void> {
  const body = recoveryOf(name, options, requireReason(options.reason, `you recover ${name}`));
  await startRecovery(context, body, options, 'recovers');
}

function recoveryOf(server: string, options: RecoverOptions, reason: string): NewRecoveryInput {
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
  const { hardware, inoculation: inoculate } = options;
  return { server, reason, hardware, inoculate, proof: proofOf(options), ...wanted };
}
