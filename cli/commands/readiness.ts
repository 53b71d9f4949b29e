/** `muster readiness`: what would keep a runbook or a server from being recovered, before anybody needs it. */
import type { Command } from 'commander';
import type { ReadinessDocument, RiskDocument, RoundDocument } from '../../api/schemas/readiness';
import { formatTime } from '../../model/durations';
import { printable } from '../../model/names';
import { action, type Context } from '../context';
import type { Client } from '../client';
import { CliError, exitCodeOf } from '../exit-codes';
import { paragraph, type Output } from '../output';

interface Options {
  readonly now?: boolean;
  readonly severity?: string;
  readonly kind?: string;
  readonly goneSince?: string;
}

export function readinessCommand(program: Command): void {
  program
    .command('readiness')
    .description('show risks and which runbooks are verified; exit code 1 when something is critical')
    .argument('[name]', 'a runbook or a server (default: everything)')
    .option('--now', 'ask every site first (of a name: its own), instead of showing what the last round found')
    .option('--severity <severity>', 'info, warning or critical: at least so bad')
    .option('--kind <kind>', 'only risks of this kind')
    .option('--gone-since <time>', 'with those that went since then (2026-11-21T02:00:00Z)')
    .action(action(readiness));
}

async function readiness({ client, out }: Context, options: Options, name?: string): Promise<void> {
  if (options.now === true) await askNow(client, name);
  const query = new URLSearchParams({
    ...(options.severity === undefined ? {} : { severity: options.severity }),
    ...(options.kind === undefined ? {} : { kind: options.kind }),
    ...(options.goneSince === undefined ? {} : { goneSince: options.goneSince }),
  });
  const found = await readinessOf(client, query, name);
  if (found.items.some(({ severity, goneAt }) => severity === 'critical' && goneAt === null)) {
    process.exitCode = exitCodeOf('run-not-succeeded');
  }
  if (out.json) return out.document(found);
  for (const { name: runbook, version, verification } of found.runbooks) {
    const state = verification.state.replace('-', ' ');
    const until = verification.state === 'verified' ? ` until ${day(verification.until!)}` : '';
    out.line(`${runbook} (version ${version}): ${state}${until}`);
    for (const because of verification.because) out.line(paragraph(out, '  -', because, 4));
  }
  if (found.runbooks.length > 0) out.line();
  for (const risk of found.items) show(out, risk);
  if (found.items.length === 0) out.line(found.askedAt === null ? 'Nothing was asked yet.' : 'No risks.');
  for (const { siteId, because, answeredAt } of found.sites) {
    const since = answeredAt === null ? 'it never did' : `it last did at ${formatTime(answeredAt)}`;
    if (because !== null) out.error(`muster: site ${siteId} did not answer (${because}); ${since}`);
  }
  if (found.askedAt !== null) out.line(askedWords(found.askedAt, name));
}

/** What is newer than the last round, it knows nothing of: a server just added, a rehearsal that has just ended. */
const askedWords = (askedAt: string, name = ''): string =>
  `Asked at ${formatTime(askedAt)}; anew: ${['muster readiness', name, '--now'].filter(Boolean).join(' ')}`;

function readinessOf(client: Client, query: URLSearchParams, name?: string): Promise<ReadinessDocument> {
  if (name === undefined) return client.get<ReadinessDocument>(`/readiness?${query}`);
  return asRunbookOrServer(
    () => client.get<ReadinessDocument>(`/runbooks/${encodeURIComponent(name)}/readiness?${query}`),
    () => client.get<ReadinessDocument>(`/servers/${encodeURIComponent(name)}/readiness?${query}`),
  );
}

async function askNow(client: Client, name?: string): Promise<void> {
  const ask = (path: string) => client.call<RoundDocument>('POST', path);
  if (name === undefined) return void (await ask('/readiness/rounds'));
  await asRunbookOrServer(
    () => ask(`/runbooks/${encodeURIComponent(name)}/readiness/rounds`),
    () => ask(`/servers/${encodeURIComponent(name)}/readiness/rounds`),
  );
}

/** Each is open to who holds it; what is no runbook, or not theirs, is perhaps a server, which is open to who holds its site. */
async function asRunbookOrServer<T>(runbook: () => Promise<T>, server: () => Promise<T>): Promise<T> {
  try {
    return await runbook();
  } catch (error) {
    if (!(error instanceof CliError) || !['not-found', 'not-allowed'].includes(error.problem)) throw error;
    return server().catch((second: unknown) => {
      if (!(second instanceof CliError) || second.problem !== 'not-found') throw second;
      if (error.problem === 'not-allowed') throw error;
      throw new CliError('not-found', `${error.message}. ${second.message}`, { answered: true });
    });
  }
}

function show(out: Output, { severity, subject, kind, found, needed, remedy, since, goneAt }: RiskDocument): void {
  const colour = { info: out.colors.dim, warning: out.colors.yellow, critical: out.colors.red }[severity];
  const gone = goneAt === null ? '' : `, gone since ${day(goneAt)}`;
  out.line(`${colour(severity)} ${subject.kind} ${printable(subject.name)}: ${kind}, since ${day(since)}${gone}`);
  out.line(paragraph(out, '  found', found, 10));
  out.line(paragraph(out, '  needed', needed, 10));
  if (goneAt === null) out.line(paragraph(out, '  do', remedy, 10));
}

const day = (at: string): string => formatTime(at).slice(0, 16);
