/** The effect of a runbook's script: run once for each attempt, never two attempts at the same time. */
import { assertNever, isMusterError, TransientError } from '../../model/errors';
import type { Attempt, EffectsOf } from '../attempt';
import type { RecoveryActivities, ScriptInput } from '../contract';
import { withLease } from '../lease';
import { recoverySite, type ActivityDeps, type RecoverySite } from '../site';
import { environmentFor, type ScriptEnvironment } from './environment';
import { runInMachine } from './in-guest';
import { resultOf, type ScriptEnd } from './meaning';
import { runOnWorker } from './on-worker';
import { secretForms, shownOutput, withoutThem } from './output';

export function createScriptEffects(deps: ActivityDeps): EffectsOf<Pick<RecoveryActivities, 'runScript'>> {
  return {
    async runScript(input, attempt) {
      const { script, order } = input;
      const site = recoverySite(deps.sites, order.target.siteId);
      const environment = await environmentFor(input, deps.secrets);
      const forms = secretForms(environment.secrets);
      const { runId, step } = attempt.effect;
      const resource = `script/${runId}/${step}/${script.name}`;
      const end = await withLease(
        site.leaseFolder,
        resource,
        attempt.effect,
        () => run(input, { site, deps, environment, forms, attempt }),
        { signal: attempt.signal },
      );
      const lastWords = await keepOutput(input, end, forms, attempt);
      return resultOf(script, end, lastWords);
    },
  };
}

interface Running {
  readonly site: RecoverySite;
  readonly deps: ActivityDeps;
  readonly environment: ScriptEnvironment;
  readonly forms: readonly Buffer[];
  readonly attempt: Attempt;
}

async function run(input: ScriptInput, running: Running): Promise<ScriptEnd> {
  const { site, deps, environment, forms, attempt } = running;
  switch (input.script.run.on) {
    case 'worker':
      return runOnWorker(input, deps.scriptsFolder, environment, forms, attempt);
    case 'guest':
      return runInMachine(input, site, environment, attempt).catch((error: unknown) => {
        throw withoutSecretsIn(error, forms);
      });
    default:
      return assertNever(input.script.run.on);
  }
}

/** A guest writes the words of some errors. */
function withoutSecretsIn(error: unknown, forms: readonly Buffer[]): unknown {
  if (forms.length === 0 || !isMusterError(error) || error.family !== 'TransientError') return error;
  const { what, found, needed, remedy } = error.facts;
  return new TransientError({
    what: withoutThem(what, forms),
    ...(found === undefined ? {} : { found: withoutThem(found, forms) }),
    ...(needed === undefined ? {} : { needed }),
    ...(remedy === undefined ? {} : { remedy }),
  });
}

/** Both outputs as evidence, also of a script that failed. Returns what it said last. */
async function keepOutput(
  { script }: ScriptInput,
  { stdout, stderr, truncated }: ScriptEnd,
  forms: readonly Buffer[],
  attempt: Attempt,
): Promise<string> {
  const shown = { stdout: shownOutput(stdout, forms, truncated), stderr: shownOutput(stderr, forms, truncated) };
  for (const [stream, words] of [
    ['standard output', shown.stdout],
    ['standard error', shown.stderr],
  ] as const) {
    if (words === null) continue;
    const name = `script-${script.name}-${stream === 'standard output' ? 'out' : 'err'}.txt`;
    const cut = truncated === true ? ', cut by the guest agent' : '';
    await attempt.keep(`Script ${script.name}: ${stream}${cut}`, Buffer.from(words), name, 'text/plain');
  }
  return shown.stderr ?? shown.stdout ?? '';
}
