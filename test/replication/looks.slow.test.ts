/** A replica is looked at by one process while another takes and merges its points. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { buildDisks, openSite, siteIn, type Site } from './support/site';

jest.setTimeout(240_000);

let site: Site;
beforeAll(async () => void (site = await openSite(3)));
afterAll(() => site.close());

test('whoever looks finds points and nothing damaged, whatever replication is busy with', async () => {
  const disks = await buildDisks(site.folder);
  const script = join(__dirname, 'support', 'keep-cycling.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', script, site.folder, JSON.stringify(disks)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const reader = await siteIn(site.folder, disks, 3);
  const seen = new Set<string>();
  const merged = new Set<string>();
  try {
    while (merged.size < 12 && child.exitCode === null) {
      const view = await reader.replicas.view(reader.server.id);
      if (view?.points[0] === undefined && merged.size === 0) continue;
      merged.add(view?.points[0]?.pointId ?? 'none');
      seen.add([view?.state, view?.lastError, JSON.stringify(view?.orphans ?? [])].join(' '));
    }
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
  expect([...seen]).toEqual(['replicating  []']);
});
