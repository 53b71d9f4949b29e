/** What every night has, whatever is played in it: a stack of its own, a limit of time, and eyes for what it left. */
import { Client, Connection } from '@temporalio/client';
import { inTime } from '../../programs/within';
import { dataConverter } from '../../wire/payloads';
import { apiClient, until, type ApiClient } from './api-client';
import { lastLines } from './killable-part';
import { processesOf, startKillableStack, startLimitMs, type KillableStack, type StackOptions } from './killable-stack';
import { openWorkflows } from './leftovers';
import type { PartName } from './plan';

export interface NightEnd {
  /** Once for each time. */
  readonly killed: readonly PartName[];
  readonly findings: readonly string[];
  /** Kills and starts, oldest first. */
  readonly diary: readonly string[];
  /** Kept when there are findings. */
  readonly folder: string | null;
}

export interface Night {
  readonly stack: KillableStack;
  readonly api: ApiClient;
  readonly deadline: AbortSignal;
  /** Site and seed -> what its person saw last. */
  readonly seen: Map<string, string>;
  /** Parts that were killed so far, once for each time. */
  readonly killed: PartName[];
}

/** Everybody in a night heeds its deadline; a look may be under way. */
const heedMs = 60_000;
/** Each part has a time of its own to end in, ten seconds or so. */
const stopLimitMs = 90_000;
/** How much longer than its limit a night may take in all, with the start of its stack. */
export const nightBesideMs = startLimitMs + 2 * heedMs + stopLimitMs + 30_000;

/** Never throws: what goes wrong is a finding, with what the stack was doing. `play` resolves with what it found. */
export async function holdNight(
  limitMs: number,
  play: (night: Night) => Promise<readonly string[]>,
  options: StackOptions = {},
): Promise<NightEnd> {
  const stack = await startKillableStack(options).catch((error: Error) => error);
  if (stack instanceof Error) return { killed: [], findings: [stack.message], diary: [], folder: null };
  const over = new AbortController();
  const deadline = over.signal;
  const night: Night = { stack, deadline, api: apiClient(stack, deadline), seen: new Map(), killed: [] };
  const findings: string[] = [];
  const limit = setTimeout(() => over.abort(new Error(`the night's ${limitMs / 1000} s are over`)), limitMs);
  try {
    findings.push(...(await orLate(play(night), limitMs + heedMs)));
  } catch (error) {
    findings.push(`the night did not end: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    findings.push(
      await orLate(dump(night), heedMs).catch((late: Error) => `nothing can be asked any more: ${late.message}`),
    );
  }
  clearTimeout(limit);
  over.abort(new Error('the night is over'));
  // What does not end is found below.
  await orLate(stack.stop(), stopLimitMs).catch((error: Error) =>
    findings.push(`the stack was not stopped: ${error.message}`),
  );
  findings.push(...(await leftProcesses(stack)));
  if (findings.length === 0) await stack.remove();
  const folder = findings.length === 0 ? null : stack.folder;
  return { killed: night.killed, findings, diary: stack.diary, folder };
}

/** For what must come to an end by itself: a night says what it found also where somebody waits without end. */
const orLate = <T>(work: Promise<T>, ms: number): Promise<T> => inTime({ signals: [], ms }, () => work);

async function leftProcesses(stack: KillableStack): Promise<string[]> {
  const soon = AbortSignal.timeout(10_000);
  const none = async () => (processesOf(stack.folder).length === 0 ? true : undefined);
  await until('no process', none, soon).catch(() => undefined);
  return processesOf(stack.folder).map((left) => `process left running: ${left}`);
}

/** What everybody was doing when the time was over. */
async function dump({ stack, seen }: Night): Promise<string> {
  const logs = await Promise.all(Object.values(stack.parts).map((part) => lastLines(part)));
  const persons = [...seen].map(([who, what]) => `${who}: ${what}`);
  return [
    'What the persons saw last:',
    ...persons,
    'What the parts say last:',
    ...logs,
    await pendingWork(stack).catch((error: Error) => error.message),
  ].join('\n');
}

async function pendingWork(stack: KillableStack): Promise<string> {
  const connection = await Connection.connect({ address: stack.temporal.address, connectTimeout: 3_000 });
  try {
    const client = new Client({ connection, namespace: stack.temporal.namespace, dataConverter });
    const lines: string[] = [];
    for (const id of await openWorkflows(client)) {
      const { raw } = await client.workflow.getHandle(id).describe();
      const pending = (raw.pendingActivities ?? []).map(
        ({ activityType, state, attempt, lastFailure }) =>
          `${activityType?.name} (state ${state}, attempt ${attempt}) ${lastFailure?.message ?? ''}`,
      );
      lines.push(
        `${id}: ${pending.join('; ') || 'no pending activity'}; workflow task ${raw.pendingWorkflowTask ? 'pending' : 'none'}`,
      );
    }
    return lines.join('\n');
  } finally {
    await connection.close();
  }
}
