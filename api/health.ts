/** Whether each part that Muster needs answers now. Never cached. */
import { journalQueue, siteQueue, workflowQueue } from '../workflows/messages';
import type { ApiDeps } from './deps';
import type { HealthDocument } from './schemas/health';
import { within } from './within';

/** A worker's long poll lasts a minute; one that has not come back for longer is gone. */
const pollerSeenWithinMs = 70_000;

type Part = HealthDocument['parts'][number];

export async function checkHealth({ store, temporal, config, clock }: ApiDeps): Promise<HealthDocument> {
  const queues = [
    { name: workflowQueue, kind: 'workflow' },
    { name: journalQueue, kind: 'activity' },
    ...config.siteIds.map((siteId) => ({ name: siteQueue(siteId), kind: 'activity' as const })),
  ] as const;
  const parts = await Promise.all([
    check('postgres', async () => {
      await within(config.storeDeadlineMs, store.ping());
      return 'answers';
    }),
    check('temporal', async () => {
      await temporal.pingTemporal();
      return 'answers';
    }),
    ...queues.map(({ name, kind }) =>
      check(`worker ${name}`, async () => {
        const count = await temporal.pollers(name, kind, pollerSeenWithinMs);
        if (count === 0) throw new Error(`no worker polls queue "${name}"; start one (\`muster up\` does)`);
        return `${count} polling`;
      }),
    ),
  ]);
  return { ok: parts.every((part) => part.ok), version: config.version, time: clock().toISOString(), parts };
}

/** Ready to take requests: people can be known and workflows reached. Workers may come later. */
export async function checkReady(deps: ApiDeps): Promise<HealthDocument> {
  const { version, time, parts } = await checkHealth({ ...deps, config: { ...deps.config, siteIds: [] } });
  const needed = parts.filter((part) => part.name === 'postgres' || part.name === 'temporal');
  return { ok: needed.every((part) => part.ok), version, time, parts: needed };
}

async function check(name: string, look: () => Promise<string>): Promise<Part> {
  try {
    return { name, ok: true, detail: await look() };
  } catch (error) {
    return { name, ok: false, detail: error instanceof Error ? error.message : String(error) };
  }
}
