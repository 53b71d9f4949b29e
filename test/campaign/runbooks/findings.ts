/** A night of runbooks, looked at when it is over: servers against their likes, plans against the small ones, records, leftovers. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readEffects } from '../../../platforms/simulated/effects';
import { eventOfRow } from '../../../record/row';
import { defaultScope } from '../../../store/contract';
import { lockOf, planWorkflowId, sessionWorkflowId } from '../../../workflows/messages';
import { ledgerFindings, recordOf, replayFindings, stillRunning, type Books } from '../books';
import { differences, fileDifferences } from '../compare';
import { countEffects, type EndState } from '../end-state';
import { filesAt, heldLeases } from '../leftovers';
import type { PersonsRun } from '../person';
import type { ProtectedServer } from '../server';
import type { SitePair } from '../sites';
import type { Night } from '../stage';
import type { RunbooksRun } from './person';
import { childFindings, orderFindings, planDifferences, planEnd } from './plan-end';
import type { RunbookSeed } from './seed';
import type { comparedAs, ServerKind, ServerOfText } from './text';

export interface PlayedServer {
  readonly kind: ServerKind;
  readonly server: ProtectedServer;
  readonly run: Pick<PersonsRun, 'runId' | 'view'>;
  readonly compared: ReturnType<typeof comparedAs>;
  readonly end: EndState;
}

/** One runbook at one site, from its protected servers to what its run left. */
export interface Played {
  readonly seed: RunbookSeed;
  readonly texts: readonly ServerOfText[];
  readonly run: RunbooksRun;
  readonly servers: readonly PlayedServer[];
}

export interface PlayedNight {
  readonly calmSite: SitePair;
  readonly calm: readonly Played[];
  readonly stormSite: SitePair;
  readonly storm: readonly Played[];
}

export async function playedFindings(night: Night, books: Books, played: PlayedNight): Promise<string[]> {
  const { calmSite, calm, stormSite, storm } = played;
  const [calmFiles, stormFiles] = [await filesOf(calmSite, calm), await filesOf(stormSite, storm)];
  const findings: string[] = calm.flatMap(calmFindings);
  for (const one of storm) {
    const like = calm.find(({ seed }) => seed.ending === one.seed.ending)!;
    const found = [...one.run.findings, ...like.run.findings];
    found.push(...planDifferences(await endOf(calmSite, like), await endOf(stormSite, one)));
    for (const server of one.servers) {
      const its = like.servers.find(({ kind }) => kind === server.kind)!;
      const of = (all: typeof calmFiles, { server }: PlayedServer) => all.byServer.get(server.spec.name)!;
      const left = fileDifferences(server.compared, of(calmFiles, its), of(stormFiles, server));
      const differs = [...differences(server.compared, its.end, server.end), ...left];
      found.push(...differs.map((finding) => `${server.server.spec.name} (${server.kind.name}): ${finding}`));
    }
    findings.push(...found.map((finding) => `seed ${one.seed.seed} (run ${one.run.runId}): ${finding}`));
  }
  for (const one of [...calm, ...storm]) findings.push(...(await recordsOf(night, books, one)));
  findings.push(...ledgerFindings(books), ...stormFiles.nobodys.map((file) => `nobody's file was left: ${file}`));
  findings.push(...(await heldLeases(stormSite)).map((lease) => `lease ${lease} is still held`));
  findings.push(...(await bootingFindings(stormSite)), ...(await waitingFindings(books)));
  findings.push(...(await replayFindings(books, storm.flatMap(workflowIdsOf))));
  findings.push(...(await stillRunning(books, night.deadline, sessionsOf([...calm, ...storm]))));
  return findings;
}

/** What is the measure has to be right itself. */
function calmFindings({ seed, run, servers }: Played): string[] {
  const findings: string[] = [];
  const wanted = seed.ending === 'roll-back' ? 'aborted' : 'succeeded';
  if (run.view.state !== wanted) findings.push(`the plan ended as ${run.view.state}, needed ${wanted}`);
  for (const { server, end } of servers) {
    const machines = end.machines.length;
    const needed = seed.ending === 'commit' ? 1 : 0;
    if (machines !== needed) findings.push(`${server.spec.name} has ${machines} machines, needed ${needed}`);
    const repeated = Object.entries(end.effects).filter(([, times]) => times > 1);
    findings.push(...repeated.map(([effect, times]) => `${server.spec.name}: ${effect} happened ${times} times`));
  }
  return findings.map((finding) => `undisturbed ${seed.ending}: ${finding}`);
}

async function endOf({ recovery }: SitePair, { run }: Played) {
  const effects = await readEffects(recovery.site.folder);
  return planEnd(run.view, countEffects(effects.filter(({ runId }) => runId === run.runId)));
}

/** The plan's own record and each of its servers'; the plan names the end of each, and had one run for each. */
async function recordsOf(night: Night, books: Books, { run, texts, servers, seed }: Played): Promise<string[]> {
  const findings: string[] = [];
  const heads = new Map<string, string>();
  const closed = (runId: string, workflowId: string) => ({ runId, workflowId, acts: run.acts.get(runId) ?? [] });
  for (const { run: its, server } of servers) {
    const workflowId = lockOf({ mode: seed.mode, tenantId, server: server.spec });
    const record = await recordOf(night, books, closed(its.runId, workflowId));
    heads.set(its.runId, record.rows.at(-1)?.hash ?? '');
    findings.push(...record.findings.map((finding) => `${server.spec.name} (run ${its.runId}): ${finding}`));
  }
  const plan = await recordOf(night, books, closed(run.runId, planWorkflowId(tenantId, run.runId)));
  findings.push(
    ...plan.findings,
    ...orderFindings(plan.rows.map(eventOfRow), texts),
    ...childFindings(plan.rows, heads),
  );
  const below = await books.store.runs.below(run.runId);
  if (below.length !== servers.length) findings.push(`${below.length} runs belong to it, needed ${servers.length}`);
  return findings.map((finding) => `seed ${seed.seed}, plan ${run.runId}: ${finding}`);
}

const { tenantId } = defaultScope;

/** Of the plan and of each of its servers' runs. */
const workflowIdsOf = ({ run, servers, seed: { mode } }: Played): string[] => [
  planWorkflowId(tenantId, run.runId),
  ...servers.map(({ server }) => lockOf({ mode, tenantId, server: server.spec })),
];

const filesOf = (site: SitePair, played: readonly Played[]) =>
  filesAt(
    site,
    played.flatMap(({ servers }) => servers.map(({ server, run }) => ({ server, runId: run.runId }))),
    played.map(({ run }) => run.runId),
  );

/** Who boots stands in a file of the site: nobody does any more. */
async function bootingFindings({ recovery }: SitePair): Promise<string[]> {
  const text = await readFile(join(recovery.site.folder, 'leases', 'booting.json'), 'utf8');
  return (JSON.parse(text) as { name: string }[]).map(({ name }) => `machine ${name} still counts as booting`);
}

async function waitingFindings({ store }: Books): Promise<string[]> {
  const { items } = await store.parkings.list({ limit: 100 });
  const open = await store.runs.open();
  return [
    ...items.map(({ runId, step }) => `${step} of run ${runId} still waits for people`),
    ...open.map(({ count, procedure, state }) => `${count} of ${procedure} are not closed: ${state}`),
  ];
}

/** Only the sessions of servers that are still protected may run on. */
const sessionsOf = (played: readonly Played[]): string[] =>
  played
    .flatMap(({ servers }) => servers)
    .filter(({ compared }) => compared.ending.kind !== 'commit')
    .map(({ server }) => sessionWorkflowId(defaultScope.tenantId, server.spec.id));
