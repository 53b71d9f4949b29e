/** What cannot be done to a server while a run has it. */
import { modes } from '../../model/order';
import type { ServerSpec } from '../../model/server';
import type { ApiDeps } from '../deps';
import { Problem } from '../problems';

/** @throws Problem `recovery-running` with the run; `done`: what it cannot be now, as in `removed`. */
export async function refuseWhileRunning(
  { temporal, config }: Pick<ApiDeps, 'temporal' | 'config'>,
  server: ServerSpec,
  done: string,
): Promise<void> {
  for (const mode of modes) {
    const latest = await temporal.latestRecovery(config.tenantId, server.id, mode);
    if (latest?.running !== true) continue;
    const { runId } = latest.memo;
    const what = `run ${runId} ${mode === 'recovery' ? 'recovers' : 'rehearses'} it`;
    throw new Problem('recovery-running', `Server ${server.name} cannot be ${done}: ${what}`, { runId });
  }
}
