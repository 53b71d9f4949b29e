/**
 * One run, now: the running workflow answers for itself; once it is closed, or while no worker answers, the journal does.
 * Either may be away; only when neither knows the run is it an error.
 */
import { eventOfRow } from '../../record/row';
import type { RunEvent } from '../../model/events';
import type { ChildRun } from '../../model/plan-view/child-run';
import { planView, type PlanView } from '../../model/plan-view/plan-view';
import { runView, type RunView } from '../../model/run-view';
import type { ProcedureDeclaration } from '../../model/steps';
import type { JournalRow, RunRow } from '../../store/contract';
import { procedureOf, procedureOfPlan } from '../../workflows/procedures';
import type { ApiDeps } from '../deps';
import { notFound, Problem } from '../problems';
import type { Execution } from '../temporal/recoveries';
import { within } from '../within';

interface ReadingBase {
  readonly runId: string;
  readonly source: 'live' | 'journal';
  /** What a reader should know about this answer; null when there is nothing. */
  readonly notice: string | null;
  readonly events: readonly RunEvent[];
  readonly declaration: ProcedureDeclaration;
  /** Hash of the journal's last row; null where the workflow answered, or nothing is in the journal yet. */
  readonly headHash: string | null;
  /** Absent once Temporal has forgotten it, or while it cannot be asked. */
  readonly execution: Execution | undefined;
}

export interface ServerReading extends ReadingBase {
  readonly kind: 'server';
  readonly view: RunView;
}

export interface PlanReading extends ReadingBase {
  readonly kind: 'plan';
  readonly view: PlanView;
  /** All runs below it, as the store has them; empty while Postgres is away. */
  readonly children: readonly ChildRun[];
}

export type RunReading = ServerReading | PlanReading;

type Deps = Pick<ApiDeps, 'store' | 'temporal' | 'config' | 'clock' | 'log'>;

/** @throws Problem `not-found`; `part-unavailable` when the part that would know does not answer. */
export async function readRun(deps: Deps, runId: string): Promise<RunReading> {
  const { row, storeError } = await rowOf(deps, runId);
  if (row && row.closedAt !== null) return fromJournal(deps, runId, undefined, null);
  const { execution, temporalError } = await executionOf(deps, runId, row);
  if (execution) {
    const live = await deps.temporal.live(execution).catch((error: unknown) => {
      deps.log.warn({ err: error, runId }, 'A running workflow could not be asked');
      return undefined;
    });
    if (live && live.events.length > 0) return fromLive(deps, runId, execution, live.events, live.unflushed);
  }
  if (storeError !== undefined) throw unavailable(runId, storeError, execution);
  if (row) return fromJournal(deps, runId, execution, noticeOf(execution, temporalError));
  if (temporalError !== undefined) throw temporalError;
  if (execution)
    throw new Problem(
      'no-worker',
      `Run ${runId} waits for a worker: none has taken it yet. Start one (\`muster up\` does)`,
    );
  throw notFound('run', runId);
}

/** The execution of a run that has to be running. @throws Problem as readRun. */
export async function executionOf(
  { temporal, config }: Deps,
  runId: string,
  row: Pick<RunRow, 'procedure' | 'serverId'> | undefined,
): Promise<{ execution: Execution | undefined; temporalError: unknown }> {
  try {
    // A plan's workflow has the run's id in its own: asking for it is cheap, searching for a recovery is not.
    const plan =
      row?.procedure === 'plan' || row === undefined ? await temporal.findPlan(config.tenantId, runId) : undefined;
    if (plan !== undefined || row?.procedure === 'plan') return { execution: plan, temporalError: undefined };
    return { execution: await temporal.findRecovery(config.tenantId, runId, row?.serverId), temporalError: undefined };
  } catch (error) {
    return { execution: undefined, temporalError: error };
  }
}

async function rowOf({ store, config, log }: Deps, runId: string): Promise<{ row?: RunRow; storeError?: unknown }> {
  try {
    const row = await within(config.storeDeadlineMs, store.runs.get(runId));
    return row === undefined ? {} : { row };
  } catch (error) {
    log.warn({ err: error, runId }, 'Postgres did not answer; the running workflow is asked alone');
    return { storeError: error };
  }
}

async function fromLive(
  deps: Deps,
  runId: string,
  execution: Execution,
  events: readonly RunEvent[],
  unflushed: number,
): Promise<RunReading> {
  const ended = !execution.running && !events.some(({ kind }) => kind === 'run-closed');
  const late = unflushed > 100 ? `${unflushed} events wait for Postgres to be recorded` : null;
  const notice = ended ? noticeOf(execution, undefined) : late;
  return shown(deps, { runId, events, source: 'live', notice, headHash: null, execution });
}

async function fromJournal(
  deps: Deps,
  runId: string,
  execution: Execution | undefined,
  notice: string | null,
): Promise<RunReading> {
  const rows = await allRows(deps, runId);
  const headHash = rows.at(-1)?.hash ?? null;
  return shown(deps, { runId, events: rows.map(eventOfRow), source: 'journal', notice, headHash, execution });
}

async function shown(deps: Deps, read: Omit<ReadingBase, 'declaration'>): Promise<RunReading> {
  const { events, runId } = read;
  const now = deps.clock().toISOString();
  const plan = events.find((event) => event.kind === 'plan-opened');
  if (plan !== undefined) {
    const declaration = procedureOfPlan(plan.data.order) ?? undeclared(plan.data.order.procedure);
    const { children, notice } = await childrenOf(deps, runId, read.notice);
    return { ...read, notice, kind: 'plan', declaration, children, view: planView(events, declaration, children, now) };
  }
  const opened = events.find((event) => event.kind === 'run-opened');
  const order = opened?.data.order;
  const declaration = (order && procedureOf(order)) ?? undeclared(order?.procedure);
  return { ...read, kind: 'server', declaration, view: runView(events, declaration, now) };
}

/** What belongs to a plan is a list, and the store has lists: one question for 500 servers, and none to Temporal. */
async function childrenOf(
  { store, config, log }: Deps,
  runId: string,
  notice: string | null,
): Promise<{ children: ChildRun[]; notice: string | null }> {
  try {
    return { children: await within(config.storeDeadlineMs, store.runs.below(runId)), notice };
  } catch (error) {
    log.warn({ err: error, runId }, 'Postgres did not say how the servers of a plan are');
    const away = 'Postgres does not answer: how each server is stands in its own run.';
    return { children: [], notice: notice === null ? away : `${away} ${notice}` };
  }
}

/** A procedure that this version no longer has: its steps are shown as the record names them. */
function undeclared(name = 'unknown'): ProcedureDeclaration {
  return { name, title: name, summary: 'This procedure is not in this version of Muster.', steps: [] };
}

const pageRows = 1000;

async function allRows({ store, config }: Deps, runId: string): Promise<JournalRow[]> {
  const all: JournalRow[] = [];
  for (;;) {
    const page = await within(config.storeDeadlineMs, store.journal.rows(runId, all.at(-1)?.sequence ?? 0, pageRows));
    all.push(...page);
    if (page.length < pageRows) return all;
  }
}

function noticeOf(execution: Execution | undefined, temporalError: unknown): string {
  if (temporalError !== undefined) return 'Temporal does not answer; this is what the journal has.';
  if (execution?.running)
    return 'No worker answers for this run; this is what the journal has. It goes on when a worker is back.';
  return 'Temporal no longer runs this; the journal has no end of it. It was lost, or ended outside Muster: look at what it has made, then close its record (`muster close`).';
}

function unavailable(runId: string, cause: unknown, execution: Execution | undefined): Problem {
  const worker = execution ? 'no worker answers for it' : 'Temporal does not know it';
  return new Problem(
    'part-unavailable',
    `Run ${runId} cannot be shown: Postgres does not answer, and ${worker}. Look at /api/v1/health`,
    {},
    { cause },
  );
}
