/** What a killed or cancelled process was in the middle of leaves nothing at a simulated site. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { v7 } from 'uuid';
import type { ServerSpec } from '../../model/server';
import { openSimulatedSite, type SimulatedSite } from '../../platforms/simulated/open';
import { replicaFolder } from '../../platforms/simulated/replica-files';
import { seedMachine } from '../../platforms/simulated/seed';
import { changeSettings } from '../../platforms/simulated/site';
import { storyServer } from '../support/order';

let folder: string;
let site: SimulatedSite;
let server: ServerSpec;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'muster-drafts-'));
  site = openSimulatedSite({ folder, id: 'here' });
  await seedMachine(folder, { name: 'app' });
  const discovered = await site.source.discover('app');
  server = { ...storyServer, ...discovered, id: v7(), name: 'app', source: { siteId: 'here', machineName: 'app' } };
  await site.replicas.prepare(server);
});
afterEach(() => rm(folder, { recursive: true }));

const drafts = async (): Promise<string[]> =>
  (await readdir(folder, { recursive: true })).filter((file) => /\.new$|incoming-[^/]*\/./.test(file));

test('the draft of a process that died in the middle of a write goes with the next write', async () => {
  await writeFile(join(replicaFolder(site.site, server.id), 'replica.json.new'), '{"half');
  await writeFile(join(folder, 'machines', 'app.json.new'), '{"half');
  expect(await drafts()).toHaveLength(2);
  await site.replicas.hold(server.id, v7(), 'frozen');
  await site.platform.power({ name: 'app', owner: null }, 'off');
  expect(await drafts()).toEqual([]);
});

test('a cycle that is cancelled after its copy leaves no copy', async () => {
  const cancel = new AbortController();
  await changeSettings(folder, { copyMs: 1 });
  const source = site.source.copy.bind(site.source);
  const cancelling = {
    ...site.source,
    copy: (...args: Parameters<typeof source>) => source(...args).finally(() => cancel.abort(new Error('paused'))),
  };
  const other = openSimulatedSite({ folder, id: 'here', sources: { here: cancelling } });
  await expect(other.replicas.cycle(server, { signal: cancel.signal })).rejects.toThrow('paused');
  expect(await drafts()).toEqual([]);
  expect((await site.replicas.cycle(server)).manifest.sequence).toBe(1);
});
