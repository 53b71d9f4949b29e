/** Replication after the runs are over: it is seen to go on, or has ended with a commit; then it rests, and nothing moves any more. */
import { until, type ApiClient } from './api-client';
import type { ProtectedServer } from './server';
import type { SitePair } from './sites';
import type { Night } from './stage';
import { setFaults } from './storm';

export interface RestingServer {
  readonly server: ProtectedServer;
  /** Its replica became the machine's, so its session has ended. */
  readonly isCommitted: boolean;
}

export async function rest(
  { api, deadline, stack }: Night,
  site: SitePair,
  servers: readonly RestingServer[],
): Promise<void> {
  await setFaults(site, []);
  await Promise.all(
    servers.map(async ({ server, isCommitted }) => {
      const { id, name } = server.spec;
      const newest = async (): Promise<string | undefined> => (await site.recovery.replicas.points(id)).at(-1)?.pointId;
      const before = await newest();
      if (!isCommitted) await site.source.platform.power({ name, owner: null }, 'on');
      await wakeSession(api, server);
      if (isCommitted) {
        await until(`the end of the session of ${name}`, () => sessionIs(api, server, 'removed'), deadline);
        return;
      }
      const goesOn = async () => ((await newest()) === before ? undefined : true);
      await until(`a new point of ${name} after its run`, goesOn, deadline);
      await until(`the pause of ${name}`, () => sessionIs(api, server, 'paused'), deadline);
    }),
  );
  stack.note(`${site.name}: replication was seen to go on, and rests`);
}

/** Paused and resumed, so that a session that rests after errors, or until its next cycle, looks again at once. */
async function wakeSession(api: ApiClient, server: ProtectedServer): Promise<void> {
  for (const change of ['pause', 'resume']) await changeSession(api, server, change);
}

/** 409: the session has ended (a commit took the replica), or is ending. 202: not done yet, asked again. */
async function changeSession(api: ApiClient, server: ProtectedServer, change: string): Promise<void> {
  for (;;) {
    const reply = await api.call('POST', `/servers/${server.spec.name}/protection/${change}`, {
      body: { reason: 'the campaign looks' },
    });
    if (reply.status !== 202) return;
  }
}

/** Pauses it, and says whether it is in that state now: a session that has ended refuses, so it is removed. */
async function sessionIs(
  api: ApiClient,
  { spec }: ProtectedServer,
  state: 'paused' | 'removed',
): Promise<true | undefined> {
  const reply = await api.call('POST', `/servers/${spec.name}/protection/pause`, {
    body: { reason: 'the campaign looks' },
  });
  if (reply.status === 409) return state === 'removed' ? true : undefined;
  return reply.body.session?.state === state ? true : undefined;
}
