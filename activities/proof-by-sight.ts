/**
 * The proof of boot where no agent can be asked: power, what the serial console says, and that it stays so. The service
 * inside is not proven by any of it, and the proof says so rung by rung.
 */
import { formatDuration } from '../model/durations';
import { OperatorError } from '../model/errors';
import type { Machine } from '../platforms/contract';
import { callOptions, elapsedMs, pause, until } from './common';
import type { ProofRung } from './contract';
import { diagnose } from './diagnosis';
import type { Proving } from './proof';
import { platformOf } from './site';

const pollEveryMs = 2_000;

/**
 * Signs that a system has come up from its own root disk: a login prompt, or what systemd says once users may log in.
 * Kernel lines are none: the kernel also speaks when it does not find its disk.
 */
const signs: readonly { readonly pattern: RegExp; readonly words: string }[] = [
  // agetty, "\n login: " with the host's name in front
  { pattern: /^\S+ login: ?$/m, words: 'a login prompt' },
  // systemd, job-done messages of its targets
  {
    pattern: /Reached target .*(Multi-User System|multi-user\.target|Graphical Interface|graphical\.target)/,
    words: 'systemd at its last target',
  },
  // Windows, Special Administration Console
  { pattern: /^SAC>/m, words: 'the console of Windows' },
];

/** Which sign the console shows, with its line; undefined while it shows none. */
export function signOfLife(consoleText: string): { readonly words: string; readonly line: string } | undefined {
  for (const { pattern, words } of signs) {
    const line = pattern.exec(consoleText)?.[0].trim();
    if (line !== undefined) return { words, line: line.slice(0, 200) };
  }
  return undefined;
}

export async function watchMachine(proving: Proving): Promise<{ rungs: ProofRung[]; provenAt: string }> {
  const machine = await poweredOn(proving);
  const text = await readConsole(proving);
  if (text === null && machine.powerByPerson !== undefined) throw nothingToSee(machine.name);
  const byWord =
    machine.powerByPerson === undefined ? 'its controller says so' : 'by the word of a person; nothing measures it';
  const rungs = [rung('powered-on', true, `${machine.name} is powered on: ${byWord}.`)];
  rungs.push(
    text === null
      ? rung('console', false, 'This machine has no serial console: nothing shows what it does.')
      : await proveConsole(proving),
  );
  rungs.push(await proveStable(proving, machine));
  const provenAt = new Date(proving.deps.now()).toISOString();
  rungs.push(rung('heartbeat', false, 'No agent can be asked on a physical machine.'));
  for (const { name } of proving.order.server.probes) {
    rungs.push(
      rung('service', false, `${name} was not asked: no program can be run inside. Look at the service yourself.`),
    );
  }
  return { rungs, provenAt };
}

const rung = (
  name: ProofRung['name'],
  ok: boolean,
  detail: string,
  evidence: ProofRung['evidence'] = [],
): ProofRung => ({
  ...{ name, ok, detail, evidence },
});

async function poweredOn({ order, site, attempt }: Proving): Promise<Machine> {
  const machine = await platformOf(site, order).find(order.target.machineName, callOptions(attempt));
  if (machine?.power === 'on') return machine;
  throw new OperatorError({
    what: `${order.target.machineName} does not run`,
    found: machine === undefined ? 'no machine of this name' : `power state ${machine.power}`,
    needed: 'powered on',
    remedy: 'Go back: `muster retry RUN --from power-on --reason …`.',
  });
}

async function readConsole({ order, site, attempt }: Proving): Promise<string | null> {
  return (await platformOf(site, order).look(order.target.machineName, callOptions(attempt))).consoleText;
}

async function proveConsole(proving: Proving): Promise<ProofRung> {
  const { order, attempt } = proving;
  const startedAt = elapsedMs();
  const limitMs = order.proof.heartbeatTimeoutMs;
  const seen = await until(
    async () => {
      const text = (await readConsole(proving)) ?? '';
      const sign = signOfLife(text);
      if (sign !== undefined) return { ...sign, text };
      failOnDiagnosis(proving, text);
      const waitedMs = elapsedMs() - startedAt;
      tell(proving, `Waiting for the console, at most ${formatDuration(limitMs)}`, waitedMs / limitMs, null);
      if (waitedMs < limitMs) return undefined;
      throw new OperatorError({
        what: `the serial console of ${order.target.machineName} shows no system that has come up`,
        found:
          lastLine(text) === '' ? `nothing within ${formatDuration(limitMs)}` : `as its last line: ${lastLine(text)}`,
        needed: 'a login prompt, or systemd at its last target',
        remedy:
          'Look at the machine. If it is only slow, give it more time: `muster provide RUN --set heartbeatTimeoutMs=600000 --reason …`. A system that does not speak on its serial line (console=ttyS0) is judged by you: skip with a reason.',
      });
    },
    pollEveryMs,
    attempt.signal,
  );
  const kept = await attempt.keep(
    'The serial console since power-on',
    Buffer.from(seen.text),
    'console.txt',
    'text/plain',
  );
  const after = formatDuration(elapsedMs() - startedAt);
  return rung('console', true, `${seen.words} ${after} after the proof began: ${seen.line}`, [kept]);
}

function failOnDiagnosis({ order }: Proving, text: string): void {
  const diagnosis = diagnose(text);
  if (diagnosis === undefined) return;
  throw new OperatorError({
    what: `${order.target.machineName} does not boot on ${order.target.hardware.id}: ${diagnosis.cause}`,
    found: `on its console: ${diagnosis.line}`,
    remedy: diagnosis.remedy,
  });
}

async function proveStable(proving: Proving, before: Machine): Promise<ProofRung> {
  const { order, site, attempt } = proving;
  const { stableForMs } = order.proof;
  const platform = platformOf(site, order);
  const first = (await platform.find(before.name, callOptions(attempt)))?.bootId ?? null;
  for (const endsAt = elapsedMs() + stableForMs; elapsedMs() < endsAt;) {
    const leftMs = endsAt - elapsedMs();
    tell(proving, 'Watching for a reboot', 1 - leftMs / stableForMs, leftMs);
    await pause(Math.min(leftMs, pollEveryMs), attempt.signal);
  }
  const after = await platform.find(before.name, callOptions(attempt));
  if (after?.power === 'on' && (first === null || after.bootId === null || after.bootId === first)) {
    const seen = first === null ? 'a reboot could not have been seen' : 'no kernel started on its console';
    return rung('stable', true, `Powered on for ${formatDuration(stableForMs)}; ${seen}.`);
  }
  throw new OperatorError({
    what: `${before.name} did not stay up`,
    found:
      after?.power === 'on' ? 'a kernel started again while it was watched' : `power state ${after?.power ?? 'gone'}`,
    needed: `${formatDuration(stableForMs)} without a reboot`,
    remedy:
      'Look at the console text: a system that reboots by itself is often out of memory or has a watchdog. Then retry.',
  });
}

function nothingToSee(name: string): OperatorError {
  return new OperatorError({
    what: `nothing that Muster can read shows whether ${name} has booted`,
    found: 'neither a controller that tells its power state nor a serial console',
    needed: 'one of them',
    remedy:
      'Look at the machine yourself. If it works, skip this step and say in the reason what you saw: the report then says that the boot is not proven.',
  });
}

function tell({ attempt }: Proving, label: string, share: number, timeLeftMs: number | null): void {
  const done = Math.min(100, Math.round(share * 100));
  attempt.progress({ label, done, total: 100, unit: 'percent', ratePerSecond: null, timeLeftMs });
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1)?.trim().slice(0, 200) ?? '';
