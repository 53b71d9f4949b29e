/** Waiting until the servers can be brought back. */
import { setTimeout as sleep } from 'node:timers/promises';
import pc from 'picocolors';
import type { ReplicaView } from '../../model/replica';
import { asJson } from './muster';
import type { DemoPlace } from './place';
import { say } from './telling';

/** Ends when so many servers have so many recovery points each; what goes wrong on the way is said. */
export async function waitForPoints(place: DemoPlace, servers: number, points: number): Promise<void> {
  for (let shown: string | null = null; ;) {
    const replicas = await asJson<{ items?: ReplicaView[] } | ReplicaView[]>(place, ['replicas']);
    const views = Array.isArray(replicas) ? replicas : (replicas.items ?? []);
    if (views.filter((view) => view.points.length >= points).length >= servers) return;
    const problem = views.find(({ lastError }) => lastError !== null)?.lastError ?? null;
    if (problem !== null && problem !== shown) say(pc.yellow(problem));
    shown = problem;
    await sleep(1_000);
  }
}
