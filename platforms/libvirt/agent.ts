/** Programs in a guest through qemu-guest-agent (guest-exec), without any route to the guest. */
import { setTimeout as sleep } from 'node:timers/promises';
import { TransientError, isMusterError } from '../../model/errors';
import { printable } from '../../model/names';
import type { CallOptions, GuestCommand, GuestResult } from '../contract';
import { requireDomain, type Host } from './host';

const agentTimeoutSeconds = 10;
const firstPollMs = 50;
const longestPollMs = 500;
const longestOutputBytes = 64 * 1024;
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
  for (let pollMs = firstPollMs; ; pollMs = Math.min(pollMs * 2, longestPollMs)) {
    const status = await ask(host, uuid, name, { execute: 'guest-exec-status', arguments: { pid: started } }, options);
    if (status['exited'] === true) return resultOf(status);
    if (Date.now() > deadline) {
      throw new TransientError({
        what: `${command.path} in ${name} is not done`,
        found: `still running after ${command.timeoutMs} ms`,
        needed: 'an end within its time limit',
      });
    }
    await sleep(pollMs, undefined, options.signal ? { signal: options.signal } : {}).catch((error: unknown) => {
      options.signal?.throwIfAborted();
      throw error;
    });
  }
}

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
    const detail = isMusterError(error) ? (error.facts.detail ?? '') : '';
    if (!/Failed to execute child process|Guest agent command failed.*No such file/i.test(detail)) throw error;
    const stderr = Buffer.from(`${detail.trim()}\n`);
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

/**
 * The same with a request that may hold secrets: virsh reads it from its input, and prints it before the answer, so nothing of
 * what it prints is shown but the answer's own line.
 */
async function askUnseen(
  host: Host,
  uuid: string,
  name: string,
  request: unknown,
  options: CallOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const args = agentArgs(uuid, request).map((argument) => `'${argument.replaceAll("'", '\\u0027')}'`);
  const what = `the guest agent of ${name} does not take the program`;
  const text = await host.virsh.run(what, [], { ...options, commands: `${args.join(' ')}\n` });
  const answer = text.split('\n').findLast((line) => line.startsWith('{'));
  if (answer !== undefined) return answerIn(name, answer.replace(/virsh # ?$/, ''));
  throw new TransientError({
    what,
    found: 'no answer; no agent, or no such program in the guest',
    needed: 'an answer of qemu-guest-agent with the number of a process',
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
