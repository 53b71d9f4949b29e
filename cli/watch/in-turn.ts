/** Runs that begin one after the other: said all at once, watched in their turn. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { StartedCleanUp } from '../../api/schemas/recoveries';
import type { Context } from '../context';
import { CliError } from '../exit-codes';
import { askPatiently } from './patience';
import { watchRun } from './watch';

const lookEveryMs = 500;

/** The exit code is that of the first run that did not succeed. */
export async function tellInTurn(
  context: Context,
  started: StartedCleanUp & Required<Pick<StartedCleanUp, 'runs'>>,
  watch: boolean | undefined,
): Promise<void> {
  const { client, out } = context;
  if (out.json && watch !== true) return out.document(started);
  if (!out.json) {
    out.line(`${started.seenBefore ? 'Being cleaned up already' : 'Cleaning up'}, one after the other:`);
    for (const { runId, serverName } of started.runs) out.line(`  ${serverName}: run ${runId}`);
  }
  if (watch !== true) return out.line('Each begins when the one before has ended: `muster runs`');
  let worst: typeof process.exitCode;
  for (const { runId } of started.runs) {
    await untilThere(client, runId);
    await watchRun(context, runId, {});
    worst ??= process.exitCode;
  }
  process.exitCode = worst;
}

async function untilThere(client: Context['client'], runId: string): Promise<void> {
  for (;;) {
    try {
      await askPatiently(() => client.get(`/runs/${runId}`));
      return;
    } catch (error) {
      if (!(error instanceof CliError) || error.problem !== 'not-found') throw error;
      await sleep(lookEveryMs);
    }
  }
}
