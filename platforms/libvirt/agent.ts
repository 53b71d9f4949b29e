/** Programs in a guest through qemu-guest-agent (guest-exec), without any route to the guest. */
import { setTimeout as sleep } from 'node:timers/promises';
import { TransientError, isMusterError, type MusterError } from '../../model/errors';
import { printable } from '../../model/names';
import { silentAgent } from '../../programs/virsh-words';
import type { CallOptions, GuestCommand, GuestResult } from '../contract';
import { requireDomain, type Host } from './host';
import { typeToVirsh } from './virsh';

const agentTimeoutSeconds = 10;
const firstPollMs = 50;
const longestPollMs = 500;
/** How long an ended program may take to be gone, for what it printed. */
const endedWithinMs = 5_000;
const longestOutputBytes = 64 * 1024;
/** A guest that answers nothing for so long has crashed, or its agent has. */
const longestSilenceMs = 120_000;
/** What a shell answers for a program that is not there. */
const notFound = 127;

/** @throws TransientError while no agent answers, and when the program is not done after its time. */
export async function runInGuest(
  host: Host,
  name: string,
  command: GuestCommand,
  options: CallOptions = {},
): Promise<GuestResult> {
  const domain = await requireDomain(host, name, options);
  if (domain.machine.power !== 'on' || !domain.agentConnected) {
    throw new TransientError({
      what: `the guest agent of ${name} does not answer`,
      found:
        domain.machine.power === 'on'
          ? 'the machine is on, no agent connected'
          : `the machine is ${domain.machine.power}`,
      needed: 'a booted guest with qemu-guest-agent running',
    });
  }
  return execInGuest(host, domain.machine.uuid, name, command, options);
}

export async function execInGuest(
  host: Host,
  uuid: string,
  name: string,
  command: GuestCommand,
  options: CallOptions = {},
): Promise<GuestResult> {
  const deadline = Date.now() + command.timeoutMs;
  const started = await start(host, uuid, name, command, options);
  if (typeof started !== 'number') return started;
  const { status, silence } = patiently(() => statusOf(host, uuid, name, started, options));
  try {
    const done = await doneBy(deadline, status, options);
    if (done !== null) return done;
  } catch (error) {
    if (options.signal?.aborted === true) await endInGuest(host, uuid, name, started);
    throw error;
  }
  await endInGuest(host, uuid, name, started);
  if (silence() !== null) throw silence();
  const ended = await doneBy(Date.now() + endedWithinMs, status, options).catch(() => null);
  throw new TransientError({
    what: `${command.path} in ${name} is not done`,
    found: `still running after ${command.timeoutMs} ms`,
    needed: 'an end within its time limit',
    ...(ended === null ? {} : { detail: `${ended.stdout}${ended.stderr}` }),
  });
}

/** Null: the program has not ended by then. */
async function doneBy(
  deadline: number,
  status: () => Promise<Readonly<Record<string, unknown>>>,
  { signal }: CallOptions,
): Promise<GuestResult | null> {
  for (let pollMs = firstPollMs; ; pollMs = Math.min(pollMs * 2, longestPollMs)) {
    const answer = await status();
    if (answer['exited'] === true) return resultOf(answer);
    if (Date.now() > deadline) return null;
    await sleep(pollMs, undefined, signal ? { signal } : {}).catch((error: unknown) => {
      signal?.throwIfAborted();
      throw error;
    });
  }
}

const statusOf = (host: Host, uuid: string, name: string, processId: number, options: CallOptions) =>
  ask(host, uuid, name, { execute: 'guest-exec-status', arguments: { pid: processId } }, options);

type Status = Readonly<Record<string, unknown>>;

/** While its agent is silent nothing is known of a program: it goes on, and is not to be started again beside itself. */
function patiently(status: () => Promise<Status>): { status: () => Promise<Status>; silence: () => unknown } {
  let silent: { readonly since: number; readonly error: unknown } | null = null;
  return {
    silence: () => silent?.error ?? null,
    status: async () => {
      try {
        const answer = await status();
        silent = null;
        return answer;
      } catch (error) {
        if (!isSilent(error)) throw error;
        silent = { since: silent?.since ?? Date.now(), error };
        if (Date.now() - silent.since > longestSilenceMs) throw error;
        return {};
      }
    },
  };
}

/** libvirt had no answer of it, or it answers nothing while file systems are frozen; an answer that refuses is one. */
const isSilent = (error: unknown): boolean => {
  const said = isMusterError(error) ? (error.facts.detail ?? '') : '';
  return silentAgent.test(said) || /frozen state/.test(said);
};

/** A process and what it started, however it is named: children are asked for while their parent stands still. */
const endTree =
  'end() (kill -STOP "$1" 2>/dev/null; of=$(cat /proc/"$1"/task/*/children 2>/dev/null); kill -KILL "$1" 2>/dev/null; ' +
  'for one in $of; do end "$one"; done); end "$1"';
const enders = (processId: number): readonly { path: string; arg: string[] }[] => [
  { path: '/bin/sh', arg: ['-c', endTree, 'sh', String(processId)] },
  { path: 'C:\\Windows\\System32\\taskkill.exe', arg: ['/F', '/T', '/PID', String(processId)] },
];

/** Best effort: whoever waited is told why, also where the agent no longer answers. */
async function endInGuest(host: Host, uuid: string, name: string, processId: number): Promise<void> {
  for (const program of enders(processId)) {
    const error = await ask(host, uuid, name, { execute: 'guest-exec', arguments: program }, {}).then(
      () => null,
      (caught: unknown) => caught,
    );
    if (error === null || !isNotThere(error)) return;
  }
}

/** The agent answered that the guest has no such program. */
const isNotThere = (error: unknown): boolean =>
  isMusterError(error) &&
  /Failed to execute child process|Guest agent command failed.*No such file/i.test(error.facts.detail ?? '');

async function start(
  host: Host,
  uuid: string,
  name: string,
  command: GuestCommand,
  options: CallOptions,
): Promise<number | GuestResult> {
  const request = {
    execute: 'guest-exec',
    arguments: { path: command.path, arg: command.args, 'capture-output': true },
  };
  try {
    if (command.environment !== undefined) {
      const env = Object.entries(command.environment).map(([variable, value]) => `${variable}=${value}`);
      const whole = { ...request, arguments: { ...request.arguments, env } };
      return processId(name, await askUnseen(host, uuid, name, whole, options));
    }
    return processId(name, await ask(host, uuid, name, request, options));
  } catch (error) {
    if (!isNotThere(error)) throw error;
    const stderr = Buffer.from(`${((error as MusterError).facts.detail ?? '').trim()}\n`);
    const shown = stderr.subarray(0, longestOutputBytes).toString('utf8');
    return { exitCode: notFound, stdout: '', stderr: shown, truncated: stderr.length > longestOutputBytes };
  }
}

async function ask(
  host: Host,
  uuid: string,
  name: string,
  request: unknown,
  options: CallOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const what = `the guest agent of ${name} does not answer`;
  try {
    const text = await host.virsh.run(what, agentArgs(uuid, request), options);
    return answerIn(name, text);
  } catch (error) {
    // Whatever keeps an agent from answering can pass: a guest that boots, freezes its file systems, or reboots.
    if (!isMusterError(error) || error.family === 'TransientError') throw error;
    throw new TransientError(error.facts, { cause: error });
  }
}

/** The same with a request that may hold secrets: of what virsh prints, nothing is shown but the agent's answer or refusal. */
async function askUnseen(
  host: Host,
  uuid: string,
  name: string,
  request: unknown,
  options: CallOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const what = `the guest agent of ${name} does not take the program`;
  const { stdout, stderr } = await typeToVirsh(host.virsh.uri, what, agentArgs(uuid, request), options);
  const answer = stdout.split('\n').findLast((line) => line.startsWith('{'));
  if (answer !== undefined) return answerIn(name, answer.replace(/virsh # ?$/, ''));
  const refusal = stderr.split('\n').find((line) => line.startsWith('error: ') && !line.includes('{')) ?? '';
  throw new TransientError({
    what,
    found: refusal === '' ? 'no answer' : printable(refusal.slice('error: '.length)),
    needed: 'an answer of qemu-guest-agent with the number of a process',
    ...(refusal === '' ? {} : { detail: refusal }),
  });
}

/**
 * The guest writes this text: what is not an answer of the agent's is its failure, not ours.
 *
 * @throws TransientError
 */
export function answerIn(name: string, text: string): Readonly<Record<string, unknown>> {
  const answer = parsed(text);
  const value = isObject(answer) ? answer['return'] : undefined;
  if (isObject(value)) return value;
  throw strange(name, text);
}

/** @throws TransientError */
export function processId(name: string, answer: Readonly<Record<string, unknown>>): number {
  const { pid } = answer;
  if (typeof pid === 'number' && Number.isSafeInteger(pid) && pid >= 0) return pid;
  throw strange(name, JSON.stringify(answer));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const strange = (name: string, text: string) =>
  new TransientError({
    what: `the guest agent of ${name} answers something else than it was asked`,
    found: printable(text.slice(0, 200)),
    needed: 'an answer of qemu-guest-agent',
  });

export function agentArgs(uuid: string, request: unknown): string[] {
  return [
    'qemu-agent-command',
    '--domain',
    uuid,
    '--timeout',
    String(agentTimeoutSeconds),
    '--cmd',
    JSON.stringify(request),
  ];
}

/** What guest-exec-status says of a program that has ended; parts of another type than the agent's are taken as absent. */
export function resultOf(status: Readonly<Record<string, unknown>>): GuestResult {
  const bytesIn = (value: unknown) => Buffer.from(typeof value === 'string' ? value : '', 'base64');
  const wholeIn = (value: unknown) => (Number.isSafeInteger(value) ? (value as number) : undefined);
  const out = bytesIn(status['out-data']);
  const err = bytesIn(status['err-data']);
  const cut = [out, err].some((bytes) => bytes.length > longestOutputBytes);
  return {
    // A program ended by a signal has no exit code; a shell would answer 128 + signal.
    exitCode: wholeIn(status['exitcode']) ?? 128 + (wholeIn(status['signal']) ?? 0),
    stdout: out.subarray(0, longestOutputBytes).toString('utf8'),
    stderr: err.subarray(0, longestOutputBytes).toString('utf8'),
    truncated: cut || status['out-truncated'] === true || status['err-truncated'] === true,
  };
}
