/**
 * A server comes back on a physical machine, seen from outside: a QEMU with an NVMe disk behind a Redfish controller that
 * others wrote. One story whose tests follow each other, because its guest takes a minute to boot.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import type { ServerDetail } from '../../cli/documents';
import type { ProofFacts } from '../../model/results';
import type { RunReport } from '../../model/report';
import type { ServerSpec } from '../../model/server';
import { createReplicas } from '../../replication/replicas';
import { openStore } from '../../store/open-store';
import { demoGuest } from '../../tools/demo-guest/build.mjs';
import { createFileSource } from '../replication/support/file-source';
import { newMachineName } from '../replication/support/demo-machine';
import { sh } from '../replication/support/tools';
import { redfishUser } from '../support/redfish';
import { lastNumberOnDisk } from './support/counter-on-disk';
import { buildIron, type Iron } from './support/iron';
import { eventually, newSystemFolder, openSystem, waiting, type System } from './support/system';

// Longer than what a test waits for in sum: what it waited for in vain says more than that the time was over.
jest.setTimeout(2_400_000);

const name = newMachineName();
const serial = 'S6Z1NX0T';
const macAddress = '52:54:00:6b:3c:58';
let folder: string;
let image: string;
let iron: Iron;
let system: System;
let server: ServerSpec;
let runId: string;
let failed = false;

beforeAll(async () => {
  folder = newSystemFolder();
  image = join(folder, 'rack-7.img');
  await sh('truncate', '-s', '4G', image);
  await sh('mke2fs', '-q', '-t', 'ext4', '-L', 'payroll', image);
  writeFileSync(`${image}.serial`, `${serial}\n`);
  iron = await buildIron(folder, { image, serial, macAddress });
  system = await openSystem(name, { folder, sites: sites() });
  mkdirSync(join(system.dataFolder, 'secrets'), { recursive: true });
  writeFileSync(join(system.dataFolder, 'secrets', 'bmc-rack-7'), redfishUser.password, { mode: 0o600 });
  server = serverSpec((await demoGuest()).sizeBytes);
  await system.up();
  await protectOnce();
});

afterAll(async () => {
  await iron?.close();
  await system?.close();
});

const sites = () => {
  const { url, systemId, caFile } = iron.controller;
  const redfish = { url, systemId, caFile, user: redfishUser.user, password: 'file:bmc-rack-7' };
  const machine = {
    ...{ name: 'rack-7', hardware: 'physical-nvme', firmware: 'bios', cpuCount: 1, memoryBytes: 768 * 1024 ** 2 },
    nics: [{ macAddress, network: 'hall-2' }],
    disks: [{ device: image, serial }],
    power: { redfish },
    serialConsole: { file: iron.serialFile },
  };
  return {
    sites: [{ id: 'recovery', kind: 'libvirt', machines: [machine] }],
    sources: [{ id: 'production', kind: 'libvirt' }],
  };
};

const serverSpec = (sizeBytes: number): ServerSpec => ({
  ...{ id: uuidv7(), name, tier: 1, firmware: 'bios', cpuCount: 1, memoryBytes: 768 * 1024 ** 2 },
  os: { family: 'linux', distribution: 'debian', version: '12', prettyName: 'Debian GNU/Linux 12 (bookworm)' },
  disks: [{ id: 'disk0', index: 0, sizeBytes, controller: 'sata', sourceDevice: 'sda' }],
  nics: [{ index: 0, macAddress: '52:54:00:00:00:01', model: 'e1000e', network: 'lan' }],
  objectives: { rpoMs: 3_600_000, rtoMs: 3_600_000 },
  source: { siteId: 'production', machineName: name },
  recoverySiteId: 'recovery',
  cadence: { pointEveryMs: 1000, freezeEveryMs: 0, keepPoints: 5 },
  probes: [{ name: 'counter', command: ['/usr/local/bin/counter-status'], expectExitCode: 0, timeoutMs: 60_000 }],
});

/** The server is known and has one point, as if it had been lost a moment ago: its machine is nowhere to be found. */
async function protectOnce(): Promise<void> {
  const store = openStore(readFileSync(join(system.dataFolder, 'postgres-url'), 'utf8').trim(), {
    tenantId: name,
    coreId: 'main',
  });
  await store.servers.save(server);
  await store.close();
  const { imagePath } = await demoGuest();
  const raw = join(folder, 'lost.raw');
  await sh('qemu-img', 'convert', '-O', 'raw', imagePath, raw);
  const source = await createFileSource(join(folder, 'lost'), { sda: raw });
  const replicas = createReplicas({
    ...{ folder: join(system.dataFolder, 'sites/recovery/replicas'), runtimeFolder: '/run/muster' },
    ...{ source, siteId: 'recovery', clock: Date.now },
  });
  await replicas.prepare(server);
  await replicas.cycle(server);
}

/** A test that needs what the one before it left; after a failure the rest would only wait. */
function then(title: string, body: () => Promise<void>): void {
  test(title, async () => {
    if (failed) throw new Error('An earlier part of this story failed.');
    failed = true;
    await body();
    failed = false;
  });
}

const proof = ['--stable-for', '5s', '--heartbeat-timeout', '15m'];
const recover = ['recover', name, '--hardware', 'physical-nvme', '--network', 'lan=hall-2', ...proof];
const because = ['--reason', `${name} is lost, the hypervisors too`];
const step = async (id: string) => (await system.view(runId)).steps.find((one) => one.id === id)!;

then('a physical machine is chosen by name, and what it cannot do is refused at the door', async () => {
  const refused = (...more: string[]) =>
    system.muster([...recover, ...more, ...because]).then(
      () => 'it was started',
      (error: Error) => error.message,
    );
  expect(await refused()).toContain('Machines of site "recovery" with hardware physical-nvme: rack-7');
  expect(await refused('--as', 'rack-8')).toContain('rack-7');
  expect(await refused('--as', 'rack-7', '--option', 'destructive')).toContain('its disks are copies');
});

then('a disk with a file system on it stops the run before anything is written', async () => {
  runId = (await system.json<{ runId: string }>(...recover, '--as', 'rack-7', '--no-final-cycle', ...because)).runId;
  const stuck = await waiting(system, runId);
  expect(stuck).toMatchObject({ step: 'preflight', kind: 'stuck' });
  expect(stuck.cause).toContain(`${image}: ext4 "payroll"`);
  expect(stuck.cause).toContain(`--set overwriteDisks=${image}`);
  expect(execFileSync('blkid', ['-p', '-o', 'value', '-s', 'LABEL', image], { encoding: 'utf8' }).trim()).toBe(
    'payroll',
  );
  expect(iron.starts()).toBe(0);
});

then('named in a decision, the disk is written and the machine boots to a login prompt', async () => {
  await system.muster(['provide', runId, '--set', `overwriteDisks=${image}`, '--reason', 'payroll moved last year']);
  await eventually('the run is over', 1_500_000, async () => {
    const { view, source } = await system.get<ServerDetail>(`/runs/${runId}`);
    const open = view.parkings.find((parking) => parking.until === null);
    // As of the journal, the parking that was just answered may stand open.
    if (source === 'live' && open !== undefined) throw new Error(`The run waits at ${open.step}: ${open.cause}`);
    return view.closedAt ?? undefined;
  });
  expect((await system.view(runId)).state).toBe('succeeded');
  // What proves the boot may come before the login prompt.
  const consoleText = await eventually('there is a login prompt', 120_000, () => {
    const text = readFileSync(iron.serialFile, 'utf8');
    return text.includes(' login: ') ? text : undefined;
  });
  expect(consoleText).not.toContain('ALERT!');
  expect(consoleText).toMatch(/nvme0n1/);
});

then('the proof says what was seen and what was not, and no report takes it for a full one', async () => {
  const { rungs } = (await step('prove-boot')).result as ProofFacts;
  expect(rungs.map(({ name: rung, ok }) => [rung, ok])).toEqual([
    ['powered-on', true],
    ['console', true],
    ['stable', true],
    ['heartbeat', false],
    ['service', false],
    ['screenshot', false],
  ]);
  expect(rungs[1]!.detail).toMatch(/login:|Reached target multi-user.target/);
  expect(rungs[1]!.evidence[0]).toMatchObject({ name: 'console.txt', mediaType: 'text/plain' });
  const report = await system.json<RunReport>('report', runId);
  expect(report.headline).toMatchObject({ tone: 'warning', title: 'Recovered, boot seen from outside' });
  expect(report.headline.sentence).toContain('service');
});

then('nothing stands on the replica any more, and the machine is this run’s', async () => {
  expect(readdirSync(system.replica(server.id).runs)).toEqual([]);
  const claim = join(system.dataFolder, 'sites/recovery/physical/claims/rack-7.json');
  expect(JSON.parse(readFileSync(claim, 'utf8'))).toMatchObject({ machine: 'rack-7', owner: { runId } });
  expect(readdirSync(join(system.dataFolder, 'sites/recovery/physical/writing'))).toEqual([]);
});

then('the service has run on it: its numbers are on the machine’s own disk', async () => {
  await iron.close();
  expect(await lastNumberOnDisk(image, folder)).toBeGreaterThan(0);
});
