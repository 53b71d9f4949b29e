/** Schedules follow the newest version of each runbook: made, changed and removed. Doing it again changes nothing. */
import type { Schedule } from '../../model/runbook/runbook';
import type { ApiDeps } from '../deps';
import { readStored } from '../runbooks/stored';
import { within } from '../within';

type Deps = Pick<ApiDeps, 'store' | 'temporal' | 'config' | 'log'>;

/** What cannot be done is logged, and tried again by the next. Never throws. */
export async function reconcileSchedules(deps: Deps): Promise<void> {
  const { store, temporal, config, log } = deps;
  try {
    const stored = await within(config.storeDeadlineMs, store.runbooks.latest());
    const wanted = new Map<string, Schedule>();
    const unread = new Set<string>();
    for (const one of stored) {
      const ready = await readStored(one).catch(() => undefined);
      if (ready === undefined) unread.add(one.name);
      else if (ready.runbook.rehearsal.schedule !== null) wanted.set(one.name, ready.runbook.rehearsal.schedule);
    }
    for (const [runbook, schedule] of wanted) await follow(deps, runbook, schedule);
    for (const runbook of await temporal.scheduledRunbooks(config.tenantId)) {
      if (!wanted.has(runbook) && !unread.has(runbook)) await follow(deps, runbook, null);
    }
  } catch (error) {
    log.warn({ err: error }, 'The schedules of rehearsals could not be brought up to date; it is tried again');
  }
}

/**
 * After an import: at once, and if that fails by the next reconciliation. Of two imports at once the one that is older here looks
 * again, so that the newest has the last word. Never throws: why the schedule is not as the text has it; null: it is.
 */
export async function scheduleImported(deps: Deps, runbook: string): Promise<string | null> {
  try {
    return await followNewest(deps, runbook);
  } catch (error) {
    deps.log.warn({ err: error, runbook }, 'The schedule of a runbook could not be changed; it is tried again');
    return `The schedule of ${runbook} could not be changed: ${wordsOf(error)}. It is tried again by itself; look at \`muster schedule list\``;
  }
}

/** Versions that one import follows, each imported while the schedule of the one before was saved; whoever imports those looks as well. */
const mostFollowed = 5;

async function followNewest(deps: Deps, runbook: string): Promise<string | null> {
  const find = () => within(deps.config.storeDeadlineMs, deps.store.runbooks.find(runbook));
  let stored = await find();
  for (let followed = 0; followed < mostFollowed; followed += 1) {
    if (stored === undefined) return null;
    const { schedule } = (await readStored(stored)).runbook.rehearsal;
    const because = await follow(deps, runbook, schedule);
    const newest = await find();
    if (newest?.version === stored.version) return because;
    stored = newest;
  }
  throw new Error(`it was imported ${mostFollowed} times while that was tried`);
}

/** Made, changed, or removed where there is to be none. Why Temporal does not take it; null: it has. */
async function follow(deps: Deps, runbook: string, schedule: Schedule | null): Promise<string | null> {
  const { temporal, config, log } = deps;
  const { tenantId, coreId } = config;
  if (schedule === null) {
    await temporal.removeSchedule(tenantId, runbook);
    return null;
  }
  try {
    await temporal.saveSchedule({ tenantId, coreId, runbook }, schedule);
    return null;
  } catch (error) {
    log.error({ err: error, runbook, cron: schedule.cron }, 'Temporal does not take the schedule of a runbook');
    return `Temporal does not take the schedule "${schedule.cron}" of ${runbook}: ${wordsOf(error)}. No rehearsal starts by itself until it does; correct rehearsal.schedule and import it again`;
  }
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : 'unknown');
