/** The report of a plan with what only the store knows: past runs of the same runbook, and the text that ran. */
import type { AccessScope } from '../../model/people';
import type { ReportContext } from '../../model/report';
import { planReport, type PlanReport, type PlanReportContext } from '../../model/plan-report';
import { pastPlan } from '../../model/plan-view/past-plan';
import { isClosedRun } from '../../model/steps';
import type { ApiDeps } from '../deps';
import type { PlanReading } from '../runs/read';
import { within } from '../within';

type Deps = Pick<ApiDeps, 'store' | 'config' | 'log'>;

const pastRuns = 10;
/** More than are shown: some of the newest may still be open. */
const looked = 25;

/** @param scopes where the reader's role holds: past runs that are elsewhere are nobody's business */
export async function planReportOf(
  deps: Deps,
  reading: PlanReading,
  context: ReportContext,
  scopes: readonly AccessScope[] | undefined,
): Promise<PlanReport> {
  const { events, declaration, children, view } = reading;
  const [past, text] = await Promise.all([pastOf(deps, reading, scopes), textOf(deps, view.order.runbook)]);
  return planReport(events, declaration, { ...context, children, past, text });
}

/** Nothing while Postgres is away: a report without a trend is better than none. */
async function pastOf(
  deps: Deps,
  { runId, view }: PlanReading,
  scopes: readonly AccessScope[] | undefined,
): Promise<PlanReportContext['past']> {
  const { store, config, log } = deps;
  try {
    const { items } = await within(
      config.storeDeadlineMs,
      store.runs.list({ runbook: view.order.runbook.name, scopes, limit: looked }),
    );
    const shown = items
      .filter((row) => row.runId !== runId && isClosedRun(row.state) && row.startedAt < view.openedAt)
      .slice(0, pastRuns);
    const below = shown.map(async (row) => ({ row, children: await store.runs.below(row.runId) }));
    const both = Promise.all([store.runs.facts(shown.map((row) => row.runId)), Promise.all(below)]);
    const [facts, past] = await within(config.storeDeadlineMs, both);
    return past.map(({ row, children }) => {
      const plan = pastPlan({ ...row, facts: facts.get(row.runId) ?? null }, children);
      return { plan, children };
    });
  } catch (error) {
    log.warn({ err: error, runId }, 'Past runs of the runbook could not be read');
    return [];
  }
}

async function textOf(
  { store, config, log }: Deps,
  { name, version, sha256 }: PlanReading['view']['order']['runbook'],
): Promise<string | null> {
  if (version === 0) return null;
  try {
    const stored = await within(config.storeDeadlineMs, store.runbooks.find(name, version));
    return stored?.sha256 === sha256 ? stored.text : null;
  } catch (error) {
    log.warn({ err: error, runbook: name }, 'The text of a runbook could not be read');
    return null;
  }
}
