/** Starting the run of one server, a recovery or a rehearsal: the options that both have, and what is said of the run. */
import type { Command } from 'commander';
import { v7 as uuidv7 } from 'uuid';
import type { NewRecoveryInput, StartedRecovery } from '../api/schemas/recoveries';
import type { Context } from './context';
import { parseDuration, parseSize, parseWhole } from './parse';
import { watchRun } from './watch/watch';

export interface MachineOptions {
  readonly cpus?: number;
  readonly memory?: number;
  readonly inoculation: boolean;
}

export const addMachineOptions = (command: Command): Command =>
  command
    .option('--cpus <number>', 'processors (default: as the source)', parseWhole)
    .option('--memory <size>', 'memory, such as 4G (default: as the source)', parseSize)
    .option('--no-inoculation', 'do not touch the operating system: for hardware it knows already');

export interface ProofOptions {
  readonly stableFor?: number;
  readonly heartbeatTimeout?: number;
}

export const addProofOptions = (command: Command): Command =>
  command
    .option('--stable-for <duration>', 'how long it must stay up before the boot counts', parseDuration)
    .option('--heartbeat-timeout <duration>', 'longest wait for its first sign of life', parseDuration);

export const proofOf = ({ stableFor, heartbeatTimeout }: ProofOptions): NewRecoveryInput['proof'] => ({
  ...(stableFor === undefined ? {} : { stableForMs: stableFor }),
  ...(heartbeatTimeout === undefined ? {} : { heartbeatTimeoutMs: heartbeatTimeout }),
});

export interface StartOptions {
  readonly key?: string;
  readonly watch?: boolean;
}

/** Also of runbooks. */
export const addStartOptions = (command: Command): Command =>
  command
    .option('--key <text>', 'idempotency key: the same one returns the same run (default: a new one)')
    .option('--watch', 'watch the run to its end');

export const startHeaders = ({ key }: StartOptions) => ({ 'idempotency-key': key ?? uuidv7() });

/** `verb`: what the run does, as in "recovers app01 as app01-new". */
export async function startRecovery(
  context: Context,
  body: NewRecoveryInput,
  options: StartOptions,
  verb: 'recovers' | 'rehearses',
): Promise<void> {
  const headers = startHeaders(options);
  const { body: started } = await context.client.call<StartedRecovery>('POST', '/recoveries', { body, headers });
  const { runId, serverName, machineName, seenBefore } = started;
  await tellStarted(context, started, options.watch, [
    startedLine(runId, seenBefore),
    `${verb} ${serverName} as ${machineName}.`,
  ]);
}

export const startedLine = (runId: string, seenBefore: boolean): string =>
  `Run ${runId}${seenBefore ? ' (started before, under the same key)' : ''}`;

/** Says the lines, then watches the run or says how to; as JSON what the API answered, unless it is watched. */
export async function tellStarted(
  context: Context,
  started: { readonly runId: string },
  watch: boolean | undefined,
  lines: readonly string[],
): Promise<void> {
  const { out } = context;
  if (out.json && watch !== true) return out.document(started);
  if (!out.json) for (const line of lines) out.line(line);
  if (watch === true) return watchRun(context, started.runId, {});
  out.line(`Watch it: muster watch ${started.runId}`);
}
