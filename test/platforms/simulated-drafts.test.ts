/** What a killed or cancelled process was in the middle of leaves nothing at a simulated site. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { v7 } from 'uuid';
import { hardwareProfiles, type ServerSpec } from '../../model/server';
import { readEffects } from '../../platforms/simulated/effects';
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

test('a removal whose process died before it was written down is written down by whoever looks at the machines', async () => {
  const owner = { tenantId: 'main', runId: v7() };
  const { name, hardware, cpuCount, memoryBytes, firmware } = {
    ...(await site.platform.find('app'))!,
    name: 'back',
    hardware: hardwareProfiles['kvm-virtio']!,
  };
  await site.platform.create({ name, uuid: v7(), owner, hardware, cpuCount, memoryBytes, firmware, nics: [] });
  const file = join(folder, 'machines', 'back.json');
  const before = JSON.parse(await readFile(file, 'utf8')) as { machine: object };
  await site.platform.remove({ name, owner });
  const logged = await readEffects(folder);
  const line = { ...logged.at(-1)!, id: v7() };
  await writeFile(file, JSON.stringify({ ...before, machine: { ...before.machine, removed: true }, outbox: [line] }));
  expect((await site.platform.list()).map((machine) => machine.name)).toEqual(['app']);
  expect(await readEffects(folder)).toEqual([...logged, line]);
  expect(await readdir(join(folder, 'machines'))).toEqual(['app.json']);
});

test('a commit whose answer was lost is begun and finished again, and nothing changes', async () => {
  const { manifest } = await site.replicas.cycle(server);
  const runId = v7();
  const [disk] = await site.replicas.take(server, manifest.pointId, 'destructive', runId);
  await site.replicas.handOver(server.id, runId, disk!.diskId);
  const bases = await site.replicas.beginCommit(server.id, runId);
  await site.replicas.finishCommit(server.id, runId);
  const effects = await readEffects(folder);
  expect(await site.replicas.beginCommit(server.id, runId)).toEqual(bases);
  await site.replicas.finishCommit(server.id, runId);
  expect(await readEffects(folder)).toEqual(effects);
  await expect(site.replicas.beginCommit(server.id, v7())).rejects.toThrow('has taken no such disk');
});
