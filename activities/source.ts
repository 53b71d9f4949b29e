/** Contact with the source site: best-effort, and never longer than the order's deadline (design: law 6). */
import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isMusterError, OperatorError } from '../model/errors';
import type { RecoveryOrder } from '../model/order';
import type { MachineRef, Platform } from '../platforms/contract';
import { inTime } from '../programs/within';
import type { Attempt } from './attempt';
import { openLeaseFolder } from './lease';
import type { ActivityDeps, RecoverySite } from './site';
import { sourceSite } from './site';

/** A question is answered at once or not at all, however long a planned recovery may wait for the source to stop. */
const longestQuestionMs = 20_000;

/** Asks the source for something until the attempt is over or the deadline for the source has come, even when it ignores the signal. */
function untilDeadline<T>(
  { sourceDeadlineMs }: RecoveryOrder,
  attempt: Attempt,
  ask: (signal: AbortSignal) => Promise<T>,
  mostMs = sourceDeadlineMs,
): Promise<T> {
  return inTime({ signals: [attempt.signal], ms: Math.min(sourceDeadlineMs, mostMs) }, ask);
}

/** Whether the source machine is seen running; `unreachable` when nobody answers in time. */
export async function askSource(
  deps: ActivityDeps,
  order: RecoveryOrder,
  attempt: Attempt,
): Promise<'on' | 'off' | 'unreachable'> {
  const { siteId, machineName } = order.server.source;
  try {
    const { platform } = sourceSite(deps.sites, siteId);
    const find = (signal: AbortSignal) => platform.find(machineName, { signal });
    const machine = await untilDeadline(order, attempt, find, longestQuestionMs);
    return machine !== undefined && machine.power !== 'off' ? 'on' : 'off';
  } catch {
    attempt.signal.throwIfAborted();
    return 'unreachable';
  }
}

/** A source that an earlier recovery made carries that run's tag: in a failback it is switched under it (docs/failback.md). */
async function sourceMachine(platform: Platform, name: string, signal: AbortSignal): Promise<MachineRef> {
  const machine = await platform.find(name, { signal });
  return { name, owner: machine?.owner ?? null };
}

/** Says durably that this run stopped the source, before it does, so that undo knows it after any crash. */
const marker = (site: RecoverySite, order: RecoveryOrder): string =>
  join(site.leaseFolder, `${order.runId}.source-stopped`);

/**
 * Planned intent: the source is shut down first, so that nothing written is lost.
 *
 * @throws OperatorError when it cannot be reached or does not stop in time: then it is not a planned recovery.
 */
export async function stopSource(
  deps: ActivityDeps,
  order: RecoveryOrder,
  site: RecoverySite,
  attempt: Attempt,
): Promise<boolean> {
  const { machineName, siteId } = order.server.source;
  const state = await askSource(deps, order, attempt);
  if (state === 'unreachable') {
    throw new OperatorError({
      what: `the source ${machineName} cannot be stopped`,
      found: `no answer from site ${siteId} within ${order.sourceDeadlineMs} ms`,
      needed: 'a source that answers: the intent is planned',
      remedy:
        'Abort and start again with intent disaster if the source is lost; otherwise mend the connection and retry.',
    });
  }
  if (state === 'off') return (await stat(marker(site, order)).catch(() => null)) !== null;
  await noteSourceStopped(order, site);
  const { platform } = sourceSite(deps.sites, siteId);
  try {
    const options = { signal: attempt.signal, deadlineMs: order.sourceDeadlineMs };
    const machine = await untilDeadline(order, attempt, (signal) => sourceMachine(platform, machineName, signal));
    await platform.power(machine, 'shutdown', options);
  } catch (error) {
    attempt.signal.throwIfAborted();
    throw new OperatorError({
      what: `the source ${machineName} did not stop`,
      found: isMusterError(error) ? error.message : String(error),
      needed: `off within ${order.sourceDeadlineMs} ms`,
      remedy: 'Shut it down by hand and retry.',
    });
  }
  return true;
}

/** From here on the undo of this run starts the source again. */
export async function noteSourceStopped(order: RecoveryOrder, site: RecoverySite): Promise<void> {
  await openLeaseFolder(site.leaseFolder);
  await writeFile(marker(site, order), order.server.source.machineName, { mode: 0o600, flush: true });
}

/** The run ends with a server that runs elsewhere: nothing is to be started again. */
export async function forgetSourceStopped(order: RecoveryOrder, site: RecoverySite): Promise<void> {
  await rm(marker(site, order), { force: true });
}

/** Undo of stopSource, best-effort: a source that cannot be reached cannot be started either, and that is said. */
export async function startSourceAgain(
  deps: ActivityDeps,
  order: RecoveryOrder,
  site: RecoverySite,
  attempt: Attempt,
): Promise<void> {
  const file = marker(site, order);
  if ((await stat(file).catch(() => null)) === null) return;
  const { machineName, siteId } = order.server.source;
  const { platform } = sourceSite(deps.sites, siteId);
  const start = async (signal: AbortSignal) =>
    platform.power(await sourceMachine(platform, machineName, signal), 'on', { signal });
  await untilDeadline(order, attempt, start).catch((error: unknown) => {
    attempt.signal.throwIfAborted();
    throw new OperatorError({
      what: `the source ${machineName}, which this run had stopped, was not started again`,
      found: error instanceof Error ? error.message : String(error),
      remedy: `Start ${machineName} at site ${siteId} by hand, then skip this undo.`,
    });
  });
  await rm(file, { force: true });
}
