/**
 * The whole of Muster on a real guest, seen from outside: processes, the command line, virsh, and tools that read disks.
 * One story whose tests follow each other, because each of its guests takes a minute to boot.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunReport } from '../../model/report';
import type { PlanView } from '../../model/plan-view/plan-view';
import type { ReplicaView } from '../../model/replica';
import type { StepView } from '../../model/run-view';
import { demoGuest } from '../../tools/demo-guest/build.mjs';
import { counterStatus, newMachineName, startDemoMachine, virsh } from '../replication/support/demo-machine';
import type { DemoMachine } from '../replication/support/demo-machine';
import { sh } from '../replication/support/tools';
import { lockedFiles } from '../support/locked-files';
import { lastNumberOnDisk, lastNumberOnPoint } from './support/counter-on-disk';
import { filesOnRoot } from './support/files-on-disk';
import { heldProgram, type HeldProgram } from './support/held-program';
import { runInGuest } from './support/in-guest';
import { story } from './support/story';
import { descendantsOf, processesNaming, type Seen } from './support/processes';
import {
  eventually,
  killWorker,
  machinesNamed,
  manifests,
  newSystemFolder,
  openSystem,
  poolsIn,
  waiting,
  waitingAtGate,
  type System,
} from './support/system';

// Longer than what a test waits for in sum: what it waited for in vain says more than that the time was over.
jest.setTimeout(3_600_000);

const name = newMachineName();
const recovered = `${name}-recovered`;
/** Where it is after the failback: the machine that was lost keeps its name. */
const returned = `${name}-returned`;
/** Its first hardware, which its system has the drivers of. */
const failback = `format: 1
name: failback
title: Back to the hall
direction: failback
defaults: { site: production, option: destructive, hardware: pc-ahci, inoculate: false, proof: { within: 15m, stableFor: 5s } }
networks: { recovery: { user: user } }
waves: [{ name: all, servers: [{ name: ${name}, machineName: ${returned} }] }]
commit: decision
`;
let system: System;
let source: DemoMachine;
let serverId: string;
let runId: string;
let pointId: string;
/** Files of an undisturbed run's disk, inoculated and ready to be started. */
let undisturbed: string[];
let lostAt: string;
/** qemu-img and virsh, as the system's processes find them. */
let creating: HeldProgram, attaching: HeldProgram;

beforeAll(async () => {
  // Both may be copied from, and both receive: it goes back in the end.
  const networks = { user: { kind: 'user' }, isolated: { kind: 'unplugged' } };
  const ids = ['recovery', 'production'];
  const kind = 'libvirt';
  const folder = newSystemFolder();
  creating = heldProgram(folder, 'qemu-img', 'create', '/runs/');
  attaching = heldProgram(folder, 'virsh', 'attach-device');
  system = await openSystem(name, {
    folder,
    path: attaching.path,
    sites: { sites: ids.map((id) => ({ id, kind, networks })), sources: ids.map((id) => ({ id, kind })) },
  });
  const { imagePath } = await demoGuest();
  [source] = await Promise.all([startDemoMachine(system.folder, imagePath, name), system.up()]);
  await source.started();
});

afterAll(() => system?.close());

const then = story();

const replicas = async () => (await system.json<{ items: ReplicaView[] }>('replicas')).items;
const place = () => system.replica(serverId);
const points = () => manifests(place());
/** None while the replica has no folder yet. */
const pointsAt = (siteId: string) => {
  const { points } = system.replica(serverId, siteId);
  return existsSync(points) ? manifests({ ...place(), points }) : [];
};
const disksOf = async (machine: string) =>
  (await virsh('domblklist', machine)).split(/\s+/).filter((word) => word.startsWith('/'));
const newest = () => points().at(-1)!;
const step = async (id: string): Promise<StepView> => (await system.view(runId)).steps.find((one) => one.id === id)!;

const proof = ['--stable-for', '5s', '--heartbeat-timeout', '15m'];
async function recover(...options: string[]): Promise<string> {
  const args = [name, '--hardware', 'vmware-pvscsi', '--as', recovered, ...proof, ...options];
  return (await system.json<{ runId: string }>('recover', ...args)).runId;
}

/** By the guest itself, kept by its disk; read by the guest again, wherever it runs then. */
const notes = '/srv/written';
async function writeIn(machine: string, text: string): Promise<void> {
  const command = `echo '${text}' >> ${notes} && sync`;
  expect(await runInGuest(machine, '/bin/sh', '-c', command)).toMatchObject({ exitCode: 0 });
}

const overlay = () => join(place().runs, runId, 'disk0.qcow2');

async function closed(): Promise<string> {
  await eventually('the run is closed', 900_000, async () => (await system.view(runId)).closedAt ?? undefined);
  return (await system.view(runId)).state;
}

/** Outcomes of the step's attempts since the last time that somebody went back to it. */
async function outcomes(id: string): Promise<(string | null)[]> {
  return (await step(id)).attempts.filter((attempt) => !attempt.undo).map((attempt) => attempt.outcome);
}

const killWorkerWhen = (what: string, sees: () => Promise<boolean> | boolean) => killWorker(system, what, sees);

then('a running guest is protected, although the worker is killed in the first copy', async () => {
  const added = await system.json<{ id: string }>(
    ...['servers', 'add', name, '--source-site', 'production', '--site', 'recovery', '--rpo', '2m', '--rto', '1h'],
    ...['--point-every', '2s', '--freeze-every', '0s', '--keep', '50'],
    ...['--probe', 'counter=/usr/local/bin/counter-status', '--probe-output', '"chain": ?"ok"'],
  );
  serverId = added.id;
  await writeIn(name, 'at the source');
  await system.muster(['protect', name]);
  const copied = () => (existsSync(place().layers) ? readdirSync(place().layers) : []);
  await killWorkerWhen('the first copy is written', () =>
    copied().some((file) => statSync(join(place().layers, file)).size > 20_000_000),
  );
  expect(existsSync(place().points) ? points() : []).toEqual([]);
  const three = () => (existsSync(place().points) && points().length >= 3) || undefined;
  await eventually('there are three points', 300_000, three);
  expect(await replicas()).toMatchObject([{ serverName: name, state: 'replicating', heldBy: null }]);
  const daemons = processesNaming(place().folder).filter(({ command }) => command.startsWith('qemu-storage-daemon'));
  expect(daemons).toHaveLength(1);
});

then(
  'a planned recovery stops the guest and has its last write; aborted, the guest runs and is replicated again',
  async () => {
    const planned = ['--intent', 'planned', '--no-inoculation', '--power-on', 'decision'];
    runId = await recover(...planned, '--reason', 'move to new hardware');
    await waitingAtGate(system, runId, 'power-on');
    expect(await virsh('domstate', name, '--reason')).toContain('shut off');
    expect((await step('freeze')).result).toMatchObject({ finalCycle: 'done', sourceStopped: true });
    const last = newest();
    expect(last.consistency).toBe('application');
    expect(await lastNumberOnPoint(place().folder, last, system.folder)).toBe(
      await lastNumberOnDisk(source.disk, system.folder),
    );
    await system.muster(['abort', runId, '--reason', 'not today']);
    expect(await closed()).toBe('aborted');
    expect(await machinesNamed(name)).toEqual([name]);
    expect(await virsh('domstate', name)).toBe('running');
    await source.started();
    const next = await eventually('there is a point after it', 300_000, () =>
      newest().sequence > last.sequence ? newest() : undefined,
    );
    expect(next).toBeDefined();
    // Nothing was copied anew: the bitmaps outlived the shutdown, so every point but the first stands on the one before it.
    expect(points().map((point) => point.parentPointId)).toEqual([
      null,
      ...points()
        .slice(0, -1)
        .map((point) => point.pointId),
    ]);
  },
);

then('its plug pulled in mid-write, an undisturbed run gets as far as power-on, and is aborted', async () => {
  await eventually('the service counts', 300_000, () => counterStatus(name).catch(() => undefined));
  await source.pullThePlug();
  lostAt = new Date().toISOString();
  runId = await recover('--power-on', 'decision', '--reason', 'to compare with');
  await waitingAtGate(system, runId, 'power-on');
  pointId = ((await step('freeze')).result as { point: { pointId: string } }).point.pointId;
  undisturbed = await filesOnRoot(overlay(), system.folder);
  await system.muster(['abort', runId, '--reason', 'enough']);
  expect(await closed()).toBe('aborted');
});

then('a worker killed in take-disks and in hand-over costs an attempt each, and nothing else', async () => {
  const options = ['--option', 'destructive', '--no-inoculation', '--power-on', 'decision', '--lost-at', lostAt];
  [creating, attaching].forEach((program) => program.hold());
  runId = await recover(...options, '--point', pointId, '--reason', `${name} lost its power`);
  await killWorkerWhen('the disks are being taken', () => creating.waits());
  creating.letGo();
  await eventually('there is a worker again', 300_000, () => existsSync(overlay()) || undefined);
  await killWorkerWhen('the disk is being handed over', () => attaching.waits());
  const record = readFileSync(join(place().runs, runId, 'run.json'), 'utf8');
  expect(record).toContain('"handed-over"');
  attaching.letGo();
  await waitingAtGate(system, runId, 'power-on');
  expect(await outcomes('take-disks')).toEqual(['failed', 'succeeded']);
  expect(await outcomes('hand-over')).toEqual(['failed', 'succeeded']);
  expect((await step('inoculate')).state).toBe('not-applicable');
});

then('without inoculation it is stuck with the cause from its console, also after a kill in the proof', async () => {
  await system.muster(['approve', runId, '--reason', 'the source is down']);
  await killWorkerWhen('the boot is being proven', async () => (await step('prove-boot')).state === 'running');
  const stuck = await waiting(system, runId);
  expect(stuck).toMatchObject({ step: 'prove-boot', kind: 'stuck' });
  expect(stuck.cause).toMatch(/driver of the new disk controller is missing.*ALERT!\s+UUID=\S+ does not exist/);
  expect(stuck.remedy).toContain('--from inoculate --set inoculate=true');
});

then('a worker killed while it inoculates takes its programs with it, and the run goes on by itself', async () => {
  const decision = ['--from', 'inoculate', '--set', 'inoculate=true', '--reason', 'drivers of pvscsi are missing'];
  await system.muster(['retry', runId, ...decision]);
  const worker = system.workerPid();
  const isAppliance = ({ command }: Seen) => /qemu-system/.test(command) && command.includes('guestfs');
  await eventually('the appliance runs', 300_000, () => descendantsOf(worker).some(isAppliance) || undefined, 100);
  const before = statSync(overlay()).mtimeMs;
  await killWorkerWhen('it writes to the disk', () => statSync(overlay()).mtimeMs > before);

  await waitingAtGate(system, runId, 'power-on');
  expect(system.workerPid()).not.toBe(worker);
  expect((await outcomes('inoculate')).slice(-2)).toEqual(['failed', 'succeeded']);
});

then('the disks of the disturbed run hold the same files as the undisturbed one', async () => {
  const files = await filesOnRoot(overlay(), system.folder);
  expect(files.length).toBeGreaterThan(10_000);
  const [ours, theirs] = [new Set(files), new Set(undisturbed)];
  expect(files.filter((line) => !theirs.has(line))).toEqual([]);
  expect(undisturbed.filter((line) => !ours.has(line))).toEqual([]);
  await system.muster(['approve', runId, '--reason', 'the source is down']);
  await waitingAtGate(system, runId, 'resume-replication');
});

then(
  'after that there is one machine, one overlay, one target server, and no lock, lease or program too many',
  async () => {
    expect(await machinesNamed(name)).toEqual([name, recovered]);
    expect(await virsh('domstate', recovered)).toBe('running');
    expect(await poolsIn(system.folder)).toHaveLength(1);
    expect(readdirSync(place().runs)).toEqual([runId]);
    expect(readdirSync(join(place().runs, runId)).filter((file) => file.endsWith('.qcow2'))).toEqual(['disk0.qcow2']);
    const named = points().flatMap((point) => point.disks.map((disk) => disk.file.replace('layers/', '')));
    expect(readdirSync(place().layers).sort()).toEqual(named.sort());
    const programs = processesNaming(system.folder).map(({ command }) => command);
    expect(programs.filter((command) => /guestfish|guestfs/.test(command))).toEqual([]);
    expect(programs.filter((command) => command.startsWith('qemu-storage-daemon'))).toHaveLength(1);
    const leases = join(system.dataFolder, 'sites/recovery/leases');
    const files = readdirSync(leases).filter((one) => one.endsWith('.lease'));
    expect(files).not.toEqual([]);
    expect(await lockedFiles(files.map((file) => join(leases, file)))).toEqual([]);
  },
);

then('the guest runs on pvscsi and vmxnet3 with exactly the data of the frozen point', async () => {
  const xml = await virsh('dumpxml', recovered);
  expect(xml).toMatch(/model=['"]vmpvscsi['"]/);
  expect(xml).toMatch(/<model type=['"]vmxnet3['"]/);
  const point = points().find((one) => one.pointId === pointId)!;
  const onPoint = await lastNumberOnPoint(place().folder, point, system.folder);
  const status = await counterStatus(recovered);
  expect(status).toMatchObject({ recovered: onPoint, chain: 'ok' });
  expect(status.current).toBeGreaterThan(onPoint);
  expect(await lastNumberOnDisk(source.disk, system.folder)).toBeGreaterThanOrEqual(onPoint);
  expect(onPoint).toBeGreaterThan(0);
});

then('the report has the objectives, the decision and the screenshot, and says so in HTML and in JSON', async () => {
  const file = join(system.folder, 'report.html');
  await system.muster(['report', runId, '--output', file]);
  const report = await system.json<RunReport>('report', runId);
  const { rpo, rto } = report.objectives;
  expect(rpo).toMatchObject({ verdict: 'met', to: report.order.lostAt });
  expect(rpo.actualMs).toBe(Date.parse(report.order.lostAt!) - Date.parse(report.point!.takenAt));
  expect(rto).toMatchObject({ verdict: 'met', actualMs: expect.any(Number) as number });
  expect(report.point!.pointId).toBe(pointId);
  expect(report.proof!.rungs.map((rung) => [rung.name, rung.ok])).toEqual(
    ['powered-on', 'heartbeat', 'stable', 'service', 'screenshot'].map((rung) => [rung, true]),
  );
  expect(report.decisions).toMatchObject([
    { decision: 'approve' },
    { decision: 'retry', from: 'inoculate', input: { inoculate: true } },
    { decision: 'approve' },
  ]);
  const html = readFileSync(file, 'utf8');
  expect(html).toContain(recovered);
  const pictures = [...html.matchAll(/data:image\/png;base64,([A-Za-z0-9+/=]+)/g)].map((found) =>
    Buffer.from(found[1]!, 'base64'),
  );
  const screenshot = report.proof!.rungs.at(-1)!.evidence[0]!;
  expect(pictures.map((picture) => createHash('sha256').update(picture).digest('hex'))).toContain(screenshot.sha256);
});

then('committed, the running guest stands on its base alone, and replication and target server are gone', async () => {
  const before = await counterStatus(recovered);
  await system.muster(['commit', runId, '--reason', 'it works']);
  expect(await closed()).toBe('succeeded');
  const disks = await disksOf(recovered);
  expect(disks).toEqual([expect.stringContaining(place().layers)]);
  const chain = JSON.parse(
    await sh('qemu-img', 'info', '-U', '--backing-chain', '--output=json', disks[0]!),
  ) as unknown[];
  expect(chain).toHaveLength(1);
  await eventually('the session has ended', 300_000, async () => ((await replicas()).length === 0 ? true : undefined));
  // What is left of the replica is the machine's disk.
  expect(readdirSync(place().layers).map((file) => join(place().layers, file))).toEqual(disks);
  expect([existsSync(place().points), existsSync(place().runs)]).toEqual([false, false]);
  expect(processesNaming(place().folder).filter(({ command }) => command.startsWith('qemu-storage-daemon'))).toEqual(
    [],
  );
  const after = await counterStatus(recovered);
  expect(after).toMatchObject({ recovered: before.recovered, chain: 'ok' });
  expect(after.current).toBeGreaterThan(before.current);
});

then(
  'protected the other way and stopped by a failback, it runs at its first site with what both sites wrote',
  async () => {
    const book = join(system.folder, 'failback.yaml');
    writeFileSync(book, failback);
    await system.muster(['runbook', 'import', book]);
    await writeIn(recovered, 'at the recovery site');
    await system.muster(['protect', name, '--reverse', '--reason', 'the hall has power again']);
    await eventually('the first site has a point', 300_000, () => pointsAt('production').length > 0 || undefined);
    const back = ['run', 'failback', '--mode', 'recovery', '--reason', 'back to the hall'];
    runId = (await system.json<{ runId: string }>(...back)).runId;
    const plan = async () => (await system.view(runId)) as unknown as PlanView;
    const asked = await eventually('people are asked to commit', 1_200_000, async () => {
      const view = await plan();
      const [one] = view.waves.flatMap(({ servers }) => servers);
      if (one?.stage !== 'stuck') return view.parkings.find(({ until }) => until === null);
      throw new Error(JSON.stringify((await system.view(one.runId!)).parkings));
    });
    expect(asked).toMatchObject({ step: 'commit', kind: 'gate' });

    // Stopped in an orderly way, and nothing that it wrote until then is missing.
    expect(await virsh('domstate', recovered, '--reason')).toContain('shut off');
    const [disk] = await disksOf(recovered);
    const last = await lastNumberOnDisk(disk!, system.folder);
    expect(await counterStatus(returned)).toMatchObject({ recovered: last, chain: 'ok' });
    expect(await runInGuest(returned, '/bin/cat', notes)).toEqual({
      exitCode: 0,
      stdout: 'at the source\nat the recovery site\n',
    });
    await system.muster(['commit', runId, '--reason', 'it is home']);
    expect(await closed()).toBe('succeeded');
  },
);

then('protected as at first it is replicated again, and of the failback only the machines are left', async () => {
  await system.muster(['protect', name, '--reverse', '--reason', 'as at first']);
  await eventually('points are taken', 300_000, () => pointsAt('recovery').length >= 2 || undefined);
  expect(await replicas()).toMatchObject([{ serverName: name, state: 'replicating', heldBy: null }]);
  const latest = pointsAt('recovery').at(-1)!;
  expect(await lastNumberOnPoint(place().folder, latest, system.folder)).toBeGreaterThan(
    (await counterStatus(returned)).recovered,
  );

  expect(await machinesNamed(name)).toEqual([name, returned, recovered].sort());
  expect(await virsh('domstate', recovered)).toBe('shut off');
  expect(await virsh('checkpoint-list', recovered, '--name')).toBe('');
  // The machines' own disks: of the replica that went back nothing else is left, and of the first one its new points.
  const here = system.replica(serverId, 'production');
  expect(readdirSync(here.layers).map((file) => join(here.layers, file))).toEqual(await disksOf(returned));
  expect([existsSync(here.points), existsSync(here.runs)]).toEqual([false, false]);
  const layers = pointsAt('recovery').flatMap((point) => point.disks.map(({ file }) => join(place().folder, file)));
  const last = layers.at(-1)!;
  // A cycle may be writing the next one.
  const there = readdirSync(place().layers).map((file) => join(place().layers, file));
  expect(there.filter((file) => file <= last)).toEqual([...layers, ...(await disksOf(recovered))].sort());
  const daemons = processesNaming(system.folder).filter(({ command }) => command.startsWith('qemu-storage-daemon'));
  expect(daemons.map(({ command }) => command.includes(place().folder))).toEqual([true]);
});

test('taken away, it leaves no machine, pool, program or folder', async () => {
  const { folder } = system;
  await system.close();
  expect(await machinesNamed(name)).toEqual([]);
  expect(await poolsIn(folder)).toEqual([]);
  expect(processesNaming(folder)).toEqual([]);
  expect(existsSync(folder)).toBe(false);
  expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toContain(name);
});
