/**
 * Faults as rules, counted, for any driver: Platform, Replicas, DiskEditor and ReplicationSource alike.
 *
 * The rules live in a JSON file that a test or a demonstration writes while processes run; how often a rule fired is kept
 * in the same file, under a lock, so that `times: 1` means once among all processes and also after a process was killed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { assertNever, OperatorError, PermanentError, TransientError, type ErrorFamily } from '../model/errors';
import { withFileLock } from './file-lock';
import { readJson, writeJson } from './json-file';

export interface FaultRule {
  /** Name of the method: `power`, `cycle`, `inoculate`; `*`: any. */
  readonly method: string;
  /** Only calls about this machine, server (id or name), run or disk. Default: any. */
  readonly machine?: string;
  /** Thrown instead of the answer; none: only the delay. */
  readonly error?: ErrorFamily;
  readonly message?: string;
  /** Waited first; an abort ends the wait. */
  readonly delayMs?: number;
  /** This process is killed (SIGKILL) at that point. */
  readonly kill?: boolean;
  /** `before` the call (default), or `after` its effect: the answer is lost. */
  readonly when?: 'before' | 'after';
  /** How often it fires. */
  readonly times: number;
  /** Matching calls that pass first. Default: 0. */
  readonly after?: number;
}

interface CountedRule extends FaultRule {
  readonly seen: number;
  readonly fired: number;
}

/** Writes the rules with their counts at zero; an empty list ends all faults. */
export async function writeFaults(file: string, rules: readonly FaultRule[]): Promise<void> {
  await withFileLock(file, () =>
    writeJson(
      file,
      rules.map((rule) => ({ ...rule, seen: 0, fired: 0 })),
    ),
  );
}

/** The rules with how often each was met (`seen`) and fired. */
export async function readFaults(file: string): Promise<readonly CountedRule[]> {
  return (await readJson<readonly CountedRule[]>(file)) ?? [];
}

/** The same driver with the faults of `file`; no file: no faults. Every method must return a promise, or it is left alone. */
export function withFaults<T extends object>(driver: T, file: string): T {
  return new Proxy(driver, {
    get(target, property, receiver) {
      const value: unknown = Reflect.get(target, property, receiver);
      if (typeof value !== 'function' || typeof property !== 'string') return value;
      return (...args: unknown[]) => callWithFaults(file, property, args, () => value.apply(target, args) as unknown);
    },
  });
}

/** Methods that answer at once; they stay so. */
const synchronous = ['chooseInoculator'];

function callWithFaults(file: string, method: string, args: readonly unknown[], call: () => unknown): unknown {
  if (synchronous.includes(method)) return call();
  return (async () => {
    await strike(file, method, args, 'before');
    const answer = await call();
    await strike(file, method, args, 'after');
    return answer;
  })();
}

async function strike(file: string, method: string, args: readonly unknown[], when: 'before' | 'after'): Promise<void> {
  const rule = await nextRule(file, method, subjectsOf(args), when);
  if (!rule) return;
  const signal = signalOf(args);
  if (rule.delayMs !== undefined) {
    await sleep(rule.delayMs, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
  }
  if (rule.kill) process.kill(process.pid, 'SIGKILL');
  if (rule.error) throw faultOf(rule, rule.error);
}

/** The first rule that is due, counted as fired; every rule that the call matches counts it as seen. */
async function nextRule(file: string, method: string, subjects: readonly string[], when: 'before' | 'after') {
  const matches = (rule: CountedRule): boolean =>
    (rule.when ?? 'before') === when &&
    (rule.method === method || rule.method === '*') &&
    (rule.machine === undefined || subjects.includes(rule.machine));
  // A call that no rule is about, the usual case, costs one read and no lock.
  if (!(await readFaults(file)).some(matches)) return undefined;
  return withFileLock(file, async () => {
    const rules = await readFaults(file);
    let due: CountedRule | undefined;
    const counted = rules.map((rule) => {
      if (!matches(rule)) return rule;
      const fires = !due && rule.seen >= (rule.after ?? 0) && rule.fired < rule.times;
      if (fires) due = rule;
      return { ...rule, seen: rule.seen + 1, fired: rule.fired + (fires ? 1 : 0) };
    });
    await writeJson(file, counted);
    return due;
  });
}

function faultOf(rule: FaultRule, family: ErrorFamily): Error {
  const facts = {
    what: rule.message ?? `${rule.method} failed by a fault rule`,
    found: `rule ${JSON.stringify({ method: rule.method, machine: rule.machine, times: rule.times })}`,
    remedy: 'It was asked for: take the rule out of the faults file, then retry.',
  };
  switch (family) {
    case 'TransientError':
      return new TransientError(facts);
    case 'PermanentError':
      return new PermanentError(facts);
    case 'OperatorError':
      return new OperatorError(facts);
    default:
      return assertNever(family);
  }
}

const subjectFields = ['name', 'id', 'machineName', 'serverId', 'runId', 'diskId'];

/** The names that a call is about, from its arguments: plain texts, and the identifying fields of objects and lists. */
export function subjectsOf(args: readonly unknown[]): string[] {
  return args.flatMap((argument) => {
    if (typeof argument === 'string') return [argument];
    if (Array.isArray(argument)) return subjectsOf(argument);
    if (typeof argument !== 'object' || argument === null) return [];
    const fields = argument as Readonly<Record<string, unknown>>;
    return subjectFields.map((field) => fields[field]).filter((value) => typeof value === 'string');
  });
}

export function signalOf(args: readonly unknown[]): AbortSignal | undefined {
  const last = args.at(-1) as { signal?: unknown } | null | undefined;
  return last && typeof last === 'object' && last.signal instanceof AbortSignal ? last.signal : undefined;
}
