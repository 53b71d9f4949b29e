/** Whether each part that Muster needs answers now. Never cached. */
import { journalQueue, siteQueue, workflowQueue } from '../workflows/messages';
import type { ApiDeps } from './deps';
import type { HealthDocument } from './schemas/health';
import type { SiteWatch } from './site-watch';
import { within } from './within';

/** A worker's long poll lasts a minute; one that has not come back for longer is gone. */
export const pollerSeenWithinMs = 70_000;

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

/**
 * Ready to take requests: people can be known and workflows reached. Workers may come later, and mails may wait: that is
 * said, and does not make it unready.
 */
export async function checkReady(deps: ApiDeps, sites: SiteWatch): Promise<HealthDocument> {
  const { version, time, parts } = await checkHealth({ ...deps, config: { ...deps.config, siteIds: [] } });
  const needed = parts.filter((part) => part.name === 'postgres' || part.name === 'temporal');
  await within(deps.config.queryDeadlineMs, sites.look()).catch(() => undefined);
  const said = [...sites.parts(), ...(await notificationsPart(deps))];
  return { ok: needed.every((part) => part.ok), version, time, parts: [...needed, ...said] };
}

/** Notifications that wait for longer are worth a look: the mail server may be away. */
const lateMs = 10 * 60_000;

/** Numbers only: this is open to everybody. */
async function notificationsPart({ store, config, clock }: ApiDeps): Promise<Part[]> {
  const counted = await within(config.storeDeadlineMs, store.notifications.undelivered()).catch(() => undefined);
  if (counted === undefined) return [];
  const { due, dueSince, failed } = counted;
  const isLate = dueSince !== null && clock().getTime() - Date.parse(dueSince) > lateMs;
  const waiting = due === 0 ? '' : `${due} wait to be sent, the oldest since ${dueSince}`;
  const given = failed === 0 ? '' : `${failed} could not be delivered in the last 24 hours (muster notifications)`;
  const detail = [given, waiting].filter((words) => words !== '').join('; ');
  return [{ name: 'notifications', ok: failed === 0 && !isLate, detail: detail === '' ? 'none waits' : detail }];
}

async function check(name: string, look: () => Promise<string>): Promise<Part> {
  try {
    return { name, ok: true, detail: await look() };
  } catch (error) {
    return { name, ok: false, detail: error instanceof Error ? error.message : String(error) };
  }
}
