/** A replica is looked at by one process while another takes and merges its points. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerSpec } from '../../model/server';
import { seedMachine } from '../../platforms/simulated/seed';
import { sitesIn } from '../support/take-points';

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'muster-looks-'))));
afterAll(() => rm(folder, { recursive: true, force: true }));

test('whoever looks never finds a replica without a point that has some', async () => {
  const { production, recovery } = sitesIn(folder);
  await seedMachine(production.site.folder, { name: 'app01' });
  const server: ServerSpec = {
    ...(await production.source.discover('app01')),
    ...{ id: 'server-1', name: 'app01', tier: 1, objectives: { rpoMs: 60_000, rtoMs: 600_000 }, probes: [] },
    ...{ source: { siteId: 'production', machineName: 'app01' }, recoverySiteId: 'recovery' },
    cadence: { pointEveryMs: 1000, freezeEveryMs: 0, keepPoints: 2 },
  };
  await recovery.replicas.prepare(server);
  await recovery.replicas.cycle(server);
  const child = spawn(process.execPath, ['-r', 'tsx/cjs', require.resolve('../support/take-points')], {
    env: { ...process.env, TAKE_POINTS: JSON.stringify([folder, server, 120]) },
    stdio: 'inherit',
  });
  let code: number | null | undefined;
  const ended = new Promise<void>((resolve) => child.once('exit', (of) => resolve(void (code = of))));
  const seen = new Set<string>();
  const look = async (): Promise<void> => {
    while (code === undefined) {
      const view = (await recovery.replicas.view(server.id))!;
      seen.add(`${view.state}, ${view.points.length === 0 ? 'no points' : 'points'}`);
    }
  };
  await Promise.all([ended, ...Array.from({ length: 4 }, look)]);
  expect([code, [...seen]]).toEqual([0, ['replicating, points']]);
}, 120_000);
