/** The environment of a script: little, clean, with what it needs to do its work once although it is run twice. */
import { OperatorError } from '../../model/errors';
import { variableProblem } from '../../model/runbook/script-variables';
import { parseSecretRef } from '../../model/secrets';
import type { ScriptInput } from '../contract';
import type { Secrets } from '../secrets';

export interface ScriptEnvironment {
  readonly variables: Readonly<Record<string, string>>;
  /** Every secret that is in them; in memory only. */
  readonly secrets: readonly Buffer[];
}

/** @throws OperatorError when a variable may not be set, or a secret cannot be had or cannot be a variable. */
export async function environmentFor(input: ScriptInput, secrets: Secrets): Promise<ScriptEnvironment> {
  const { script } = input;
  const variables: Record<string, string> = {};
  const resolved: Buffer[] = [];
  for (const [name, value] of Object.entries(script.environment)) {
    const problem = variableProblem(name, script.run.on);
    if (problem !== null) throw refused(script.name, name, problem);
    if (typeof value === 'string') variables[name] = value;
    else {
      const ref = parseSecretRef(value.secret);
      if (ref === null) throw refused(script.name, name, 'its reference to a secret is none');
      const secret = await secrets(ref);
      resolved.push(secret);
      variables[name] = secret.toString('utf8');
    }
    if (variables[name]!.includes('\0')) throw refused(script.name, name, 'its value has a NUL in it');
  }
  return { variables: { ...variables, ...facts(input) }, secrets: resolved };
}

function facts({ effect, order, script, wave }: ScriptInput): Record<string, string> {
  const of = wave === null ? { server: order.server.name, machine: order.target.machineName } : null;
  return {
    MUSTER_RUN_ID: effect.runId,
    MUSTER_MODE: order.mode,
    MUSTER_SITE: order.target.siteId,
    MUSTER_STEP: effect.step,
    MUSTER_ATTEMPT: String(effect.attempt),
    // The same for every attempt.
    MUSTER_EFFECT: `${effect.runId}/${effect.step}/${script.name}`,
    ...(of === null ? { MUSTER_WAVE: wave! } : { MUSTER_SERVER: of.server, MUSTER_MACHINE: of.machine }),
  };
}

const refused = (script: string, variable: string, found: string) =>
  new OperatorError({
    what: `script ${script} cannot be given the variable ${variable}`,
    found,
    needed: 'a variable of the script’s own, with a value without NUL',
    remedy: 'Correct it in the runbook and import that; for this run, skip the script or abort.',
  });
