/** Runs of runbooks: started, held, let go on. */
import { Option, type Command } from 'commander';
import type { HoldInput, NewPlanRunInput, StartedPlan } from '../../api/schemas/plans';
import { intents, modes, type Intent, type Mode } from '../../model/order';
import { action, requireReason, type Context } from '../context';
import { CliError } from '../exit-codes';
import { collectPair, parseTime, parseWhole } from '../parse';
import { findRunId } from '../run-id';
import { looksLikeFile, readRunbookText } from '../runbook-file';
import { addStartOptions, startHeaders, startedLine, tellStarted, type StartOptions } from '../start-recovery';
import { act } from './decisions';

interface RunOptions extends StartOptions {
  readonly mode: Mode;
  readonly intent?: Intent;
  readonly version?: number;
  readonly point?: Record<string, string>;
  readonly lostAt?: string;
  readonly reason?: string;
}

interface HoldOptions {
  readonly wave?: string;
  readonly server?: string;
  readonly reason?: string;
  readonly requestId?: string;
}

export function planCommands(program: Command): void {
  const command = program
    .command('run')
    .description('run a runbook: recover or rehearse all that it names')
    .argument('<runbook>', 'an imported runbook by name, or a file (with a dot or slash); - for standard input')
    .addOption(
      new Option('--mode <mode>', 'recovery: for real; rehearsal: isolated, cleaned up')
        .choices(modes)
        .makeOptionMandatory(),
    )
    .option('--reason <text>', 'why; stands in the record and in the report (needed)')
    .addOption(
      new Option('--intent <intent>', 'disaster: the site is lost; planned: its servers are stopped first').choices(
        intents,
      ),
    )
    .option('--version <number>', 'which version (default: the newest)', parseWhole)
    .option('--point <server=id>', 'recovery point of a server (default: the latest); repeatable', collectPair)
    .option('--lost-at <time>', 'when the site was lost (UTC); the RPO is measured from it', parseTime);
  addStartOptions(command).action(action(run));
  for (const verb of ['hold', 'go-on'] as const) {
    program
      .command(verb)
      .description(
        verb === 'hold' ? 'hold a plan: nothing new is started there; what runs, runs on' : 'let what is held go on',
      )
      .argument('<run>', 'run id of the plan, a part of it, or "last"')
      .option('--wave <name>', 'only this wave')
      .option('--server <name>', 'only this server')
      .option('--reason <text>', 'why; stands in the record (needed)')
      .option('--request-id <id>', 'sent again under the same id it is the same act (default: a new one)')
      .action(action((context, options: HoldOptions, plan: string) => hold(context, verb, options, plan)));
  }
}

async function run(context: Context, options: RunOptions, runbook: string): Promise<void> {
  const { client } = context;
  const reason = requireReason(options.reason, `you run ${runbook}`);
  const { name, text } = await textOf(runbook);
  const body: NewPlanRunInput = {
    mode: options.mode,
    intent: options.intent,
    version: options.version,
    text,
    points: options.point,
    lostAt: options.lostAt,
    reason,
  };
  const headers = startHeaders(options);
  const { body: started } = await client.call<StartedPlan>('POST', `/runbooks/${name}/runs`, { body, headers });
  const { runId, runbook: pinned, servers, seenBefore, notices } = started;
  const version = pinned.version === 0 ? 'not imported' : `version ${pinned.version}`;
  await tellStarted(context, started, options.watch, [
    startedLine(runId, seenBefore),
    `${options.mode} by runbook ${pinned.name} (${version}), ${servers} servers.`,
    ...notices,
  ]);
}

/** A file is sent as it is, so that it can be run with Postgres down; its name is the one that stands in it. */
async function textOf(runbook: string): Promise<{ name: string; text?: string }> {
  if (!looksLikeFile(runbook)) return { name: runbook };
  const { text } = await readRunbookText(runbook);
  const name = /^name:[ \t]*["']?([a-z0-9-]+)["']?[ \t]*(?:#.*)?\r?$/m.exec(text)?.[1];
  if (name !== undefined) return { name, text };
  throw new CliError('usage', `${runbook} does not say \`name:\` in a line of its own: is it a runbook?`);
}

async function hold(context: Context, verb: 'hold' | 'go-on', options: HoldOptions, plan: string): Promise<void> {
  const reason = requireReason(options.reason, verb === 'hold' ? 'you hold it' : 'it may go on');
  const { wave, server } = options;
  const runId = await findRunId(context.client, plan);
  const body: HoldInput = {
    reason,
    ...(wave === undefined ? {} : { wave }),
    ...(server === undefined ? {} : { server }),
  };
  await act(context, `/runs/${runId}/${verb}`, body, options.requestId);
}
