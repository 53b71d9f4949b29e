import { Option, type Command } from 'commander';
import type { NewRecoveryInput, StartedCleanUp } from '../../api/schemas/recoveries';
import { recoveryOptions } from '../../model/replica';
import { hardwareProfiles } from '../../model/server';
import { action, requireReason, type Context } from '../context';
import { collectPair, parseDuration } from '../parse';
import { findRunId } from '../run-id';
import {
  addMachineOptions,
  addProofOptions,
  addStartOptions,
  proofOf,
  startRecovery,
  tellStarted,
  type MachineOptions,
  type ProofOptions,
  type StartOptions,
} from '../start-recovery';
import { tellInTurn } from '../watch/in-turn';

/** The others take the replica itself. */
const options = recoveryOptions.filter((one) => one !== 'destructive');

interface RehearseOptions extends MachineOptions, ProofOptions, StartOptions {
  readonly hardware: string;
  readonly option?: (typeof options)[number];
  readonly point?: string;
  readonly as?: string;
  readonly network?: Record<string, string>;
  readonly tryOut?: string;
  readonly giveUpAfter?: number;
  readonly reason?: string;
}

export function rehearseCommands(program: Command): void {
  const command = program
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
    );
  addMachineOptions(command)
    .option('--try-out <question>', 'ask people to try the application before it is cleaned up')
    .option(
      '--give-up-after <duration>',
      'how long it waits for people before it is cleaned up (default: 4h)',
      parseDuration,
    );
  addStartOptions(addProofOptions(command)).action(action(rehearse));

  program
    .command('rehearsal')
    .description('what is left of a rehearsal')
    .command('clean-up')
    .description(
      'remove what an ended rehearsal left behind, and prove that nothing is left; harmless where nothing is',
    )
    .argument('<run>', 'the rehearsal, of a server or of a runbook: its id, a part of it, or "last"')
    .option('--reason <text>', 'why; stands in the record (needed)')
    .option('--watch', 'watch the clean-up to its end')
    .action(action(cleanUp));
}

async function rehearse(context: Context, options: RehearseOptions, name: string): Promise<void> {
  const body = rehearsalOf(name, options, requireReason(options.reason, `you rehearse ${name}`));
  await startRecovery(context, body, options, 'rehearses');
}

async function cleanUp(
  context: Context,
  { reason, watch }: { readonly reason?: string; readonly watch?: boolean },
  run: string,
): Promise<void> {
  const { client } = context;
  const body = { reason: requireReason(reason, 'you clean up') };
  const runId = await findRunId(client, run);
  const path = `/rehearsals/${runId}/clean-up`;
  const { body: started } = await client.call<StartedCleanUp>('POST', path, { body });
  const { runs } = started;
  if (runs !== undefined) return tellInTurn(context, { ...started, runs }, watch);
  await tellStarted(context, started, watch, [
    `Run ${started.runId} cleans up rehearsal ${runId} of ${started.serverName}.`,
  ]);
}

function rehearsalOf(server: string, options: RehearseOptions, reason: string): NewRecoveryInput {
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
  return { server, reason, mode: 'rehearsal', hardware, inoculate, proof: proofOf(options), ...wanted };
}
