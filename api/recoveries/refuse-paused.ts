/** A rehearsal shows replication running before, during and after it; what people have paused is not begun. */
import { fewAtOnce } from '../../model/few-at-once';
import type { ServerSpec } from '../../model/server';
import type { ApiDeps } from '../deps';
import { Problem } from '../problems';
import { askSessions, sessionsAtOnce } from '../replicas';
import { within } from '../within';

const mostNamed = 5;

/**
 * Servers whose session did not answer in time, of all together, are taken as not paused: nobody waits for the last of hundreds.
 *
 * @throws Problem `conflict` naming those that are paused
 */
export async function refusePaused(
  { temporal, config }: Pick<ApiDeps, 'temporal' | 'config'>,
  servers: readonly Pick<ServerSpec, 'id' | 'name'>[],
): Promise<void> {
  const ask = askSessions(temporal, config);
  const paused: string[] = [];
  let late = false;
  const asking = fewAtOnce(servers, sessionsAtOnce, async ({ id, name }) => {
    if (!late && (await ask(id))?.state === 'paused') paused.push(name);
  });
  await within(config.queryDeadlineMs, asking).catch(() => undefined);
  late = true;
  const [first] = paused;
  if (first === undefined) return;
  const named = paused.slice(0, mostNamed).join(', ');
  const more = paused.length > mostNamed ? ` and ${paused.length - mostNamed} more` : '';
  throw new Problem(
    'conflict',
    `Replication of ${named}${more} is paused, and a rehearsal has to show that it goes on. Resume it first (\`muster protect ${first} --resume --reason …\`)`,
  );
}
