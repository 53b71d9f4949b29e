/** A script in the recovered guest, through the platform's agent. Never in a machine that the run did not make. */
import { isMusterError, OperatorError } from '../../model/errors';
import type { GuestResult, Platform } from '../../platforms/contract';
import type { Attempt } from '../attempt';
import { callOptions, elapsedMs, until } from '../common';
import type { ScriptInput } from '../contract';
import { heartbeatCommand } from '../proof';
import { platformOf, type RecoverySite } from '../site';
import type { ScriptEnvironment } from './environment';
import type { ScriptEnd } from './meaning';
import type { Kept } from '../../programs/group';

const askEveryMs = 2_000;

/** An agent gives a program the variables that it is told and no others. */
const basics: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  linux: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' },
  windows: {
    ...{ SystemRoot: 'C:\\Windows', SystemDrive: 'C:', ComSpec: 'C:\\Windows\\System32\\cmd.exe' },
    PATH: 'C:\\Windows\\System32;C:\\Windows;C:\\Windows\\System32\\WindowsPowerShell\\v1.0',
  },
};

/**
 * Waits for the agent as the proof of boot does, then runs the program to its end.
 *
 * @throws OperatorError when this machine has no agent or is off; TransientError when the agent takes too long.
 */
export async function runInMachine(
  { script, order }: ScriptInput,
  site: RecoverySite,
  { variables }: ScriptEnvironment,
  attempt: Attempt,
): Promise<ScriptEnd> {
  const platform = platformOf(site, order);
  const { machineName } = order.target;
  if (!platform.capabilities.guestAgent) throw noAgent(script.name, machineName);
  const machine = await platform.find(machineName, callOptions(attempt));
  const ours = machine?.owner?.runId === (order.cleansUp ?? order.runId);
  if (!ours || machine?.power !== 'on') throw notUp(script.name, machineName, ours ? machine!.power : 'not there');
  const { family } = order.server.os;
  await untilAgentAnswers(platform, { machineName, family }, order.proof.heartbeatTimeoutMs, attempt);
  const environment = { ...basics[family], ...variables };
  const { program, args } = script.run;
  const command = { path: program, args, timeoutMs: script.timeoutMs, environment };
  const startedMs = elapsedMs();
  try {
    return endOf(await platform.runInGuest(machineName, command, callOptions(attempt)), elapsedMs() - startedMs);
  } catch (error) {
    const durationMs = elapsedMs() - startedMs;
    if (!isMusterError(error) || error.family !== 'TransientError' || durationMs < script.timeoutMs) throw error;
    const printed = { exitCode: 0, stdout: error.facts.detail ?? '', stderr: '', truncated: false };
    return { ...endOf(printed, durationMs), exitCode: null, timedOut: true };
  }
}

async function untilAgentAnswers(
  platform: Platform,
  { machineName, family }: { machineName: string; family: string },
  forMs: number,
  attempt: Attempt,
): Promise<void> {
  const deadlineMs = elapsedMs() + forMs;
  const command = { ...(heartbeatCommand[family] ?? heartbeatCommand['linux']!), timeoutMs: 10_000 };
  const ask = async (): Promise<true | undefined> => {
    try {
      await platform.runInGuest(machineName, command, callOptions(attempt));
      return true;
    } catch (error) {
      if (!isMusterError(error) || error.family !== 'TransientError' || elapsedMs() > deadlineMs) throw error;
      attempt.progress({
        ...{ label: 'waiting for the guest agent', done: 0, total: null, unit: 'items' },
        ...{ ratePerSecond: null, timeLeftMs: null },
      });
      return undefined;
    }
  };
  await until(ask, askEveryMs, attempt.signal);
}

function endOf({ exitCode, stdout, stderr, truncated }: GuestResult, durationMs: number): ScriptEnd {
  const kept = (text: string): Kept => {
    const head = Buffer.from(text);
    return { head, tail: null, totalBytes: head.length };
  };
  return { exitCode, signal: null, timedOut: false, stdout: kept(stdout), stderr: kept(stderr), durationMs, truncated };
}

const noAgent = (script: string, machine: string) =>
  new OperatorError({
    what: `script ${script} cannot run in ${machine}`,
    found: 'a machine whose programs cannot be reached from outside',
    needed: 'a platform with guest agents',
    remedy: 'Run it on the worker instead (`on: worker`), or do by hand what it would have done and skip it.',
  });

const notUp = (script: string, machine: string, found: string) =>
  new OperatorError({
    what: `script ${script} cannot run in ${machine}`,
    found: `the machine is ${found}`,
    needed: 'a machine of this run that is on: the step power-on is done',
    remedy: 'Let it run after power-on (in the runbook), or skip it. If the machine went off, look at its console.',
  });
