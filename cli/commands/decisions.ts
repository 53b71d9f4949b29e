/** What a person answers to a run that waits: retry, skip, provide, approve, commit, roll back; and abort. */
import type { Command } from 'commander';
import { v7 as uuidv7 } from 'uuid';
import type { ClosedRuns, DecisionInput } from '../../api/schemas/runs';
import type { DecisionView } from '../../model/run-view';
import type { DecisionKind } from '../../model/steps';
import { action, requireReason, type Context } from '../context';
import type { ActDocument, RunDetail } from '../documents';
import { CliError, exitCodeOf } from '../exit-codes';
import { collectPair, parseWhole, readCorrections } from '../parse';
import { findRunId } from '../run-id';

interface DecideOptions {
  readonly step?: string;
  readonly item?: string;
  readonly epoch?: number;
  readonly from?: string;
  readonly set?: Record<string, string>;
  readonly reason?: string;
  readonly requestId?: string;
  readonly abort?: boolean;
}

const verbs = {
  retry: ['try the stuck step again', ['from', 'set']],
  skip: ['go on without the stuck step; the run can then end only with exceptions', []],
  provide: ['go on with a corrected input', ['from', 'set']],
  approve: ['say yes at a gate', []],
  withdraw: ['take back your approval, before it has taken effect', []],
  claim: ['say that you look after what waits; of somebody else, take it over', []],
  release: ['leave what you have claimed to others', []],
  commit: ['make a destructive recovery or a plan final', []],
  'roll-back': ['put everything back instead of committing', []],
} as const satisfies Partial<Record<DecisionKind, readonly [string, readonly ('from' | 'set')[]]>>;
type Verb = keyof typeof verbs;

export function decisionCommands(program: Command): void {
  for (const verb of Object.keys(verbs) as Verb[]) {
    const [description, extras] = verbs[verb];
    const command = program
      .command(verb)
      .description(description)
      .argument('<run>', 'run id, a part of it, or "last"')
      .option('--reason <text>', `why; stands in the record${verb in ownReasons ? '' : ' (needed)'}`)
      .option('--step <step>', 'which step, where several wait')
      .option('--item <disk>', 'which disk, where several wait');
    for (const extra of extras) {
      if (extra === 'from') command.option('--from <step>', 'go back to this earlier step and run from there');
      else command.option('--set <field=value>', 'correct a field of the order; repeatable', collectPair);
    }
    if (verb === 'withdraw') command.option('--abort', 'your abort of the run, while it waits for a second person');
    command
      .option('--epoch <number>', 'the waiting that is answered (default: the one now)', parseWhole)
      .option('--request-id <id>', 'sent again under the same id it is the same act (default: a new one)')
      .action(action((context, options: DecideOptions, run: string) => decide(context, verb, options, run)));
  }
  program
    .command('abort')
    .description('abort a run: it undoes what it did, in reverse')
    .argument('<run>', 'run id, a part of it, or "last"')
    .option('--reason <text>', 'why; stands in the record (needed)')
    .option('--request-id <id>', 'sent again under the same id it is the same act (default: a new one)')
    .action(action(abort));
  program
    .command('close')
    .description('close the record of a run that Temporal has lost; nothing is undone')
    .argument('<run>', 'run id, a part of it, or "last"')
    .option('--reason <text>', 'why, and what became of what it made; stands in the record (needed)')
    .action(action(close));
}

/** A claim explains itself. */
const ownReasons: Partial<Record<Verb, string>> = { claim: 'Looks after it.', release: 'Leaves it to others.' };

const reasonFor = (verb: Verb, reason: string | undefined): string =>
  requireReason(reason ?? ownReasons[verb], `you decide ${verb}`);

async function decide(context: Context, verb: Verb, options: DecideOptions, run: string): Promise<void> {
  const reason = reasonFor(verb, options.reason);
  const runId = await findRunId(context.client, run);
  if (options.abort === true) return act(context, `/runs/${runId}/abort/withdraw`, { reason }, options.requestId);
  const input = options.set === undefined ? null : readCorrections(options.set);
  const place = await placeOf(context, runId, verb, options);
  const body = { ...place, decision: verb, reason, from: options.from ?? null, input } as DecisionInput;
  await act(context, `/runs/${runId}/decisions`, body, options.requestId);
}

/** The step is asked for only where it is not clear which one is meant. */
async function placeOf(
  { client }: Context,
  runId: string,
  verb: Verb,
  { step, item, epoch }: DecideOptions,
): Promise<Pick<DecisionInput, 'step' | 'item' | 'epoch'>> {
  const given = { ...(item === undefined ? {} : { item }), ...(epoch === undefined ? {} : { epoch }) };
  if (step !== undefined) return { step, ...given };
  const { view } = await client.get<RunDetail>(`/runs/${runId}`);
  const open = view.parkings.filter(
    (parking) =>
      parking.until === null &&
      (item === undefined || parking.item === item) &&
      (epoch === undefined || parking.epoch === epoch),
  );
  const able = open.filter((parking) => parking.allowed.includes(verb));
  const fitting = able.length > 0 ? able : open;
  if (fitting.length === 1) return { step: fitting[0]!.step, item: fitting[0]!.item, epoch: fitting[0]!.epoch };
  if (fitting.length > 1) {
    throw new CliError(
      'usage',
      `Several wait: ${fitting.map(nameOf).join(', ')}. Say which one with --step (and --item)`,
    );
  }
  const found = view.closedAt === null ? `it is ${view.state}` : `it ended as ${view.state}`;
  throw new CliError('refused', `Run ${runId} does not wait for a decision: ${found}${whoDecided(view.decisions)}`);
}

/** Of two who decide at the same time the slower one is told who was first. A plan's own view has no decisions. */
function whoDecided(decisions: readonly DecisionView[] | undefined): string {
  const last = decisions?.at(-1);
  if (last === undefined) return '';
  const { step, item, decision, reason, at, by } = last;
  const where = step === null ? '' : ` at ${nameOf({ step, item })}`;
  return `. ${by.actor.name} decided ${decision}${where}, ${at}: ${reason}`;
}

function nameOf({ step, item }: { readonly step: string; readonly item: string | null }): string {
  return item === null ? step : `${step}/${item}`;
}

async function abort(context: Context, options: DecideOptions, run: string): Promise<void> {
  const reason = requireReason(options.reason, 'you abort this run');
  const runId = await findRunId(context.client, run);
  await act(context, `/runs/${runId}/abort`, { reason }, options.requestId);
}

async function close({ client, out }: Context, options: { readonly reason?: string }, run: string): Promise<void> {
  const reason = requireReason(options.reason, 'you close this run');
  const runId = await findRunId(client, run);
  const { body: answer } = await client.call<ClosedRuns>('POST', `/runs/${runId}/close`, { body: { reason } });
  if (out.json) return out.document(answer);
  for (const one of answer.closed) out.line(`Closed: ${one.serverName}, run ${one.runId}`);
  if (answer.closed.length === 0) out.line('It was closed already.');
  for (const { serverName, because } of answer.stillHeld) {
    out.line(`The replica of ${serverName} may still be held: ${because}. Then close the run again.`);
  }
  out.line('Nothing was undone: what was made is where it was. Look at the site, and');
  out.line('remove what nobody needs; after a rehearsal `muster rehearsal clean-up` does.');
}

/** Sends an act and says what became of it. */
export async function act({ client, out }: Context, path: string, body: object, id: string | undefined): Promise<void> {
  const headers = { 'idempotency-key': id ?? uuidv7() };
  const { body: answer } = await client.call<ActDocument>('POST', path, { body, headers });
  if (answer.state === 'pending') process.exitCode = exitCodeOf('pending');
  if (out.json) return out.document(answer);
  const where = answer.step === null ? '' : ` at ${answer.step}`;
  if (answer.state !== 'pending') {
    const standing = answer.message === null ? '' : ` ${answer.message}`;
    return out.line(`Accepted: ${answer.act}${where}, by ${answer.by}.${standing}`);
  }
  out.line(`Sent: ${answer.act}${where}. No worker has taken it yet; it acts when one does.`);
  out.line(`Request id: ${answer.requestId} (give it with --request-id to send the same act again)`);
}
