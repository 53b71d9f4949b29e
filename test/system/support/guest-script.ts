/** Programs in a guest of a run on this host's libvirt, as attempts of a runbook's scripts, through the real agent. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Attempt } from '../../../activities/attempt';
import type { ScriptResult } from '../../../activities/contract';
import { createScriptEffects } from '../../../activities/scripts/effects';
import { createSecrets } from '../../../activities/secrets';
import type { RecoverySite } from '../../../activities/site';
import type { Script } from '../../../model/runbook/runbook';
import { createLibvirtPlatform } from '../../../platforms/libvirt/platform';
import { uri } from '../../replication/support/demo-machine';
import { makeOrder } from '../../support/order';
import { runInGuest } from './in-guest';

interface ScriptOutcome {
  readonly result: ScriptResult | null;
  readonly error: { readonly family: string; readonly message: string } | null;
  /** Evidence: name of the file -> text. */
  readonly kept: Readonly<Record<string, string>>;
}

/** A run would try again, too. Only what the agent did not answer: a program's own failures are what is looked at. */
async function upToThrice(attempt: () => Promise<ScriptOutcome>): Promise<ScriptOutcome> {
  for (let tries = 1; ; tries++) {
    const outcome = await attempt();
    const { error } = outcome;
    const unanswered = error?.family === 'TransientError' && /does not answer|does not take/.test(error.message);
    if (!unanswered || tries === 3) return outcome;
  }
}

/** `folder`: an empty one; what lies in its `secrets` is a secret of that name. */
function scriptsIn(machineName: string, runId: string, folder: string) {
  for (const name of ['secrets', 'leases']) mkdirSync(join(folder, name), { recursive: true });
  const base = makeOrder({ runId, mode: 'rehearsal' });
  const order = { ...base, target: { ...base.target, machineName } };
  const platform = createLibvirtPlatform({ id: 'lab', uri, consoleFolder: folder, networks: {} });
  const { siteId } = order.target;
  const site = { id: siteId, leaseFolder: join(folder, 'leases'), platform } as RecoverySite;
  const { runScript } = createScriptEffects({
    sites: { recovery: new Map([[siteId, site]]), source: new Map() },
    evidence: { put: () => Promise.reject(new Error('the attempt keeps evidence')) },
    secrets: createSecrets({ folder: join(folder, 'secrets'), environment: {} }),
    worker: { kind: 'worker', id: 'w', name: 'w' },
    now: Date.now,
  });
  const { tenantId, coreId } = order;
  const effect = { tenantId, coreId, runId, step: 'prove-boot', item: 'script:in', attempt: 1, token: 1, undo: false };

  return async (
    [program, ...args]: readonly [string, ...string[]],
    changes: Partial<Script> = {},
  ): Promise<ScriptOutcome> => {
    const script: Script = {
      ...{ name: 'in', when: 'after', at: { kind: 'step', step: 'prove-boot' }, servers: 'all', in: ['rehearsal'] },
      ...{ run: { on: 'guest', program, args }, environment: {}, timeoutMs: 120_000, attempts: 1, exitCodes: {} },
      ...changes,
    };
    return upToThrice(() => {
      const kept: Record<string, string> = {};
      const attempt: Attempt = {
        ...{ effect, signal: new AbortController().signal, progress: () => undefined },
        keep: async (_what, bytes, name, mediaType) => {
          kept[name] = Buffer.from(bytes).toString();
          return { sha256: '', name, mediaType, sizeBytes: bytes.byteLength };
        },
      };
      const ended = runScript({ effect, order, script, wave: null }, attempt);
      return ended.then(
        (result) => ({ result, error: null, kept }),
        (error: { family: string; message: string }) => ({ result: null, error, kept }),
      );
    });
  };
}

/** Environment, what exit codes mean, evidence, secrets, and the end of a program that takes too long; `folder`: an empty one. */
export async function expectScriptsToRun(machine: string, runId: string, folder: string): Promise<void> {
  const inGuest = scriptsIn(machine, runId, folder);
  const key = 'pä+ss "1" \'quoted\'\n$(id)';
  writeFileSync(join(folder, 'secrets', 'key'), key, { mode: 0o600 });
  const role = 'it’s "primary"\n$(id) \u007f\t东\\n';
  const environment = { ROLE: role, KEY: { secret: 'file:key' as const } };

  const told = await inGuest(['/usr/bin/env'], { environment: { PLAIN: 'one' } });
  expect(told.result).toEqual({ exitCode: 0, meaning: 'done' });
  expect(told.kept['script-in-out.txt']!.trim().split('\n').sort()).toEqual([
    'LC_ALL=C.UTF-8',
    ...[
      'MUSTER_ATTEMPT=1',
      `MUSTER_EFFECT=${runId}/prove-boot/in`,
      `MUSTER_MACHINE=${machine}`,
      'MUSTER_MODE=rehearsal',
    ],
    ...[`MUSTER_RUN_ID=${runId}`, 'MUSTER_SERVER=app01', 'MUSTER_SITE=frankfurt', 'MUSTER_STEP=prove-boot'],
    ...['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'PLAIN=one'],
  ]);

  const prints = 'printf %s "$ROLE" | base64 -w0; printf " %s %s" "$#" "$1"; printf "<%s>" "$KEY" >&2; exit 3';
  const warned = await inGuest(['/bin/sh', '-c', prints, 'sh', '$(id) "a\' b'], {
    ...{ environment, exitCodes: { '3': 'warning' } },
  });
  expect(warned.result).toEqual({ exitCode: 3, meaning: 'warning' });
  expect(warned.kept).toEqual({
    'script-in-out.txt': `${Buffer.from(role).toString('base64')} 1 $(id) "a' b`,
    'script-in-err.txt': '<[secret]>',
  });

  const fails = 'printf %s "$KEY" | base64; echo "$KEY"; echo "disk is full: $KEY" >&2; exit 5';
  for (const [exitCodes, family] of [
    [{ '5': 'retry' }, 'TransientError'],
    [{}, 'OperatorError'],
  ] as const) {
    const failed = await inGuest(['/bin/sh', '-c', fails], { environment, exitCodes });
    expect(failed.error).toMatchObject({
      family,
      message: expect.stringMatching(/exit code 5: disk is full: \[secret\]/),
    });
    expect(failed.kept['script-in-err.txt']).toBe('disk is full: [secret]\n');
    const everything = JSON.stringify(failed) + failed.error!.message;
    for (const form of ['ss "1', 'quoted', Buffer.from(key).toString('base64').slice(0, 16)])
      expect(everything).not.toContain(form);
  }

  const absent = await inGuest(['/usr/bin/no-such-program'], { environment });
  expect(absent.error).toMatchObject({ family: 'OperatorError', message: expect.stringContaining('exit code 127') });
  expect(JSON.stringify(absent) + absent.error!.message).not.toContain('quoted');

  const hangs = 'echo begun; echo "$KEY"; sleep 7321 & (sleep 7322; true) & wait';
  // Longer than libvirt waits for a busy agent, which would pass for the end of its time.
  const late = await inGuest(['/bin/sh', '-c', hangs], { environment, timeoutMs: 20_000 });
  expect(late.error).toMatchObject({
    ...{
      family: 'TransientError',
      message: expect.stringMatching(/ended in the middle: found not done after 20\.0 s: \[secret\]/),
    },
  });
  expect(late.kept).toEqual({ 'script-in-out.txt': 'begun\n[secret]\n' });
  const sleeps = 'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " " | grep -c "sleep 732[1]\\|sleep 732[2]"';
  expect((await runInGuest(machine, '/bin/sh', '-c', sleeps)).stdout).toBe('0\n');
}
