/**
 * The proof of boot: powered on, heartbeat, stable, service, screenshot; each rung with its own evidence. The first rung
 * that fails ends the proof, with what the console says.
 */
import { isMusterError, OperatorError } from '../model/errors';
import type { RecoveryOrder } from '../model/order';
import type { ServiceProbe } from '../model/server';
import { formatDuration } from '../model/durations';
import { whileBooting } from './boot-slots';
import type { BootProof, EffectInput, ProofRung, RecoveryActivities } from './contract';
import type { Attempt, EffectsOf } from './attempt';
import { callOptions, elapsedMs, pause, until, workAt } from './common';
import { diagnose } from './diagnosis';
import { matchesInTime } from './pattern';
import { watchMachine } from './proof-by-sight';

import type { ActivityDeps, RecoverySite } from './site';
import { platformOf } from './site';

export interface Proving {
  readonly order: RecoveryOrder;
  readonly site: RecoverySite;
  readonly attempt: Attempt;
  readonly deps: ActivityDeps;
}

/** The cheapest program that shows that the agent runs programs. */
export const heartbeatCommand: Record<string, { path: string; args: string[] }> = {
  linux: { path: '/bin/true', args: [] },
  windows: { path: 'cmd.exe', args: ['/c', 'ver'] },
};

const pollEveryMs = 2_000;

export function createProof(deps: ActivityDeps): EffectsOf<Pick<RecoveryActivities, 'proveBoot'>> {
  return {
    proveBoot: (input, attempt) => whileBooting(deps, input.order, attempt, () => prove(deps, input, attempt)),
  };
}

async function prove(deps: ActivityDeps, { order }: EffectInput, attempt: Attempt): Promise<BootProof> {
  const proving = { order, site: workAt(deps, order, attempt).site, attempt, deps };
  try {
    const { guestAgent } = platformOf(proving.site, order).capabilities;
    if (!guestAgent) {
      const { rungs, provenAt } = await watchMachine(proving);
      return { rungs: order.proof.screenshot ? [...rungs, await keepScreenshot(proving)] : rungs, provenAt };
    }
    const rungs = [await provePower(proving), await proveHeartbeat(proving), await proveStable(proving)];
    for (const probe of order.server.probes) rungs.push(await proveService(proving, probe));
    const provenAt = new Date(deps.now()).toISOString();
    if (order.proof.screenshot) rungs.push(await keepScreenshot(proving));
    return { rungs, provenAt };
  } catch (error) {
    attempt.signal.throwIfAborted();
    await keepTraces(proving);
    throw error;
  }
}

const rung = (name: ProofRung['name'], detail: string, evidence: ProofRung['evidence'] = []): ProofRung => ({
  name,
  ok: true,
  detail,
  evidence,
});

async function provePower({ order, site, attempt }: Proving): Promise<ProofRung> {
  const machine = await platformOf(site, order).find(order.target.machineName, callOptions(attempt));
  if (machine?.power === 'on') return rung('powered-on', `${machine.name} is powered on.`);
  throw new OperatorError({
    what: `${order.target.machineName} does not run`,
    found: machine === undefined ? 'no machine of this name' : `power state ${machine.power}`,
    needed: 'powered on',
    remedy:
      'Go back: `muster retry RUN --from power-on --reason …`; if the machine was deleted, `--from create-machine`.',
  });
}

async function proveHeartbeat(proving: Proving): Promise<ProofRung> {
  const { order, site, attempt } = proving;
  const startedAt = elapsedMs();
  const limitMs = order.proof.heartbeatTimeoutMs;
  const command = { ...(heartbeatCommand[order.server.os.family] ?? heartbeatCommand.linux!), timeoutMs: 10_000 };
  await until(
    async () => {
      const waitedMs = elapsedMs() - startedAt;
      attempt.progress({
        label: `Waiting for the guest, at most ${formatDuration(limitMs)}`,
        done: Math.min(100, Math.round((waitedMs / limitMs) * 100)),
        total: 100,
        unit: 'percent',
        ratePerSecond: null,
        // When it will answer is not known; when we give up is not the time left.
        timeLeftMs: null,
      });
      const answered = await platformOf(site, order)
        .runInGuest(order.target.machineName, command, callOptions(attempt))
        .catch(onlyTransient);
      if (answered !== undefined) return answered;
      await failOnDiagnosis(proving);
      if (waitedMs < limitMs) return undefined;
      throw new OperatorError({
        what: `the guest agent of ${order.target.machineName} does not answer`,
        found: `no answer within ${formatDuration(limitMs)}`,
        needed: 'an agent that runs a program',
        remedy:
          'Look at the screenshot. If the guest is only slow, give it more time: `muster provide RUN --set heartbeatTimeoutMs=600000 --reason …`.',
      });
    },
    pollEveryMs,
    attempt.signal,
  );
  return rung(
    'heartbeat',
    `The guest agent answered ${formatDuration(elapsedMs() - startedAt)} after the proof began.`,
  );
}

/** While the agent is not there yet, calls fail transiently: that is what is being waited for. */
function onlyTransient(error: unknown): undefined {
  if (isMusterError(error) && error.family === 'TransientError') return undefined;
  throw error;
}

async function failOnDiagnosis({ order, site, attempt }: Proving): Promise<void> {
  const { consoleText } = await platformOf(site, order).look(order.target.machineName, callOptions(attempt));
  const diagnosis = consoleText === null ? undefined : diagnose(consoleText);
  if (diagnosis === undefined) return;
  throw new OperatorError({
    what: `${order.target.machineName} does not boot on ${order.target.hardware.id}: ${diagnosis.cause}`,
    found: `on its console: ${diagnosis.line}`,
    remedy: diagnosis.remedy,
  });
}

async function proveStable({ order, site, attempt }: Proving): Promise<ProofRung> {
  const { stableForMs } = order.proof;
  const { machineName } = order.target;
  const before = (await platformOf(site, order).find(machineName, callOptions(attempt)))?.bootId ?? null;
  for (const endsAt = elapsedMs() + stableForMs; elapsedMs() < endsAt;) {
    const leftMs = endsAt - elapsedMs();
    attempt.progress({
      label: 'Watching for a reboot',
      done: Math.round(((stableForMs - leftMs) / stableForMs) * 100),
      total: 100,
      unit: 'percent',
      ratePerSecond: null,
      timeLeftMs: leftMs,
    });
    await pause(Math.min(leftMs, pollEveryMs), attempt.signal);
  }
  const after = await platformOf(site, order).find(machineName, callOptions(attempt));
  if (after?.power === 'on' && (before === null || after.bootId === null || after.bootId === before)) {
    return rung('stable', `Up for ${formatDuration(stableForMs)} without a reboot.`);
  }
  throw new OperatorError({
    what: `${machineName} did not stay up`,
    found: after?.power === 'on' ? 'it rebooted while it was watched' : `power state ${after?.power ?? 'gone'}`,
    needed: `${formatDuration(stableForMs)} without a reboot`,
    remedy:
      'Look at the console text: a guest that reboots by itself is often out of memory or has a watchdog. Then retry.',
  });
}

async function proveService(proving: Proving, probe: ServiceProbe): Promise<ProofRung> {
  const { order, site, attempt } = proving;
  const endsAt = elapsedMs() + probe.timeoutMs;
  const [path, ...args] = probe.command;
  const command = { path: path!, args, timeoutMs: Math.min(probe.timeoutMs, 30_000) };
  let last = 'no answer yet';
  // Services start after the agent: asked until they answer or their time is over.
  const answer = await until(
    async () => {
      const result = await platformOf(site, order)
        .runInGuest(order.target.machineName, command, callOptions(attempt))
        .catch(onlyTransient);
      if (result !== undefined) {
        const { expectOutput } = probe;
        const matches = expectOutput === undefined || matchesInTime(expectOutput, result.stdout);
        if (result.exitCode === probe.expectExitCode && matches === true) return result;
        const tooSlow = matches === 'too-slow' ? 'the pattern took too long on the output; ' : '';
        last = `${tooSlow}exit code ${result.exitCode}, output ${JSON.stringify((result.stdout || result.stderr).slice(0, 300))}`;
      }
      if (elapsedMs() < endsAt) return undefined;
      throw new OperatorError({
        what: `the service probe ${probe.name} does not pass in ${order.target.machineName}`,
        found: last,
        needed: `exit code ${probe.expectExitCode}${probe.expectOutput === undefined ? '' : ` and output matching ${probe.expectOutput}`}`,
        remedy:
          'The guest runs: log in and look at the service. Then retry; or skip with a reason if the probe itself is wrong.',
      });
    },
    pollEveryMs,
    attempt.signal,
  );
  const output = Buffer.from(answer.stdout);
  const kept = await attempt.keep(
    `Answer of ${probe.name} from inside`,
    output,
    `probe-${probe.name}.txt`,
    'text/plain',
  );
  return rung('service', `${probe.name}: ${answer.stdout.trim().slice(0, 300)}`, [kept]);
}

async function keepScreenshot({ order, site, attempt }: Proving): Promise<ProofRung> {
  const { png } = await platformOf(site, order).look(order.target.machineName, callOptions(attempt));
  if (png === null)
    return { name: 'screenshot', ok: false, detail: 'This platform takes no screenshots.', evidence: [] };
  const kept = await attempt.keep('The recovered machine’s screen', png, 'screenshot.png', 'image/png');
  return rung('screenshot', 'Taken after the services answered.', [kept]);
}

/** What a person needs to see of a guest that does not come up; itself best-effort. */
async function keepTraces({ order, site, attempt }: Proving): Promise<void> {
  try {
    const { png, consoleText } = await platformOf(site, order).look(order.target.machineName, callOptions(attempt));
    if (consoleText !== null)
      await attempt.keep(
        'Console of the guest that did not come up',
        Buffer.from(consoleText),
        'console.txt',
        'text/plain',
      );
    if (png !== null)
      await attempt.keep('Screen of the guest that did not come up', png, 'screenshot.png', 'image/png');
  } catch {
    attempt.signal.throwIfAborted();
  }
}
