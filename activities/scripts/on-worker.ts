/** A script on the worker's own host: an allowed program in an empty folder, with everything that it starts. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OperatorError } from '../../model/errors';
import { runGroup } from '../../programs/group';
import { limitsFor } from '../../programs/limits';
import type { ScriptInput } from '../contract';
import type { Attempt } from '../attempt';
import type { ScriptEnvironment } from './environment';
import type { ScriptEnd } from './meaning';
import { keepBytesFor } from './output';
import { allowedProgram } from './programs';

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** @throws OperatorError when the program may not be run, or could not be started. */
export async function runOnWorker(
  { script }: ScriptInput,
  folder: string | undefined,
  { variables }: ScriptEnvironment,
  forms: readonly Buffer[],
  attempt: Attempt,
): Promise<ScriptEnd> {
  const program = await allowedProgram(folder, script.run.program);
  if (script.run.args.some((argument) => argument.includes('\0'))) {
    throw new OperatorError({
      what: `script ${script.name} has an argument with a NUL`,
      remedy: 'Correct the runbook.',
    });
  }
  const cwd = await mkdtemp(join(tmpdir(), 'muster-script-'));
  try {
    const env = { PATH: path, LC_ALL: 'C.UTF-8', HOME: cwd, TMPDIR: cwd, ...variables };
    const { timeoutMs } = script;
    const options = { cwd, env, timeoutMs, signal: attempt.signal, limits: limitsFor.script };
    return await runGroup(program, script.run.args, { ...options, keepBytes: keepBytesFor(forms) });
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}
