/** A site of physical machines for tests: image files as disks, a small Redfish service as controller. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { closeSync, openSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MachineDisk, MachineRef, MachineSpec, Owner, Platform } from '../../../platforms/contract';
import type { MachinePower, PhysicalMachine, PhysicalOptions } from '../../../platforms/physical/machine';
import { createPhysicalPlatform } from '../../../platforms/physical/platform';
import { hardwareProfiles } from '../../../model/server';
import { sh } from '../../replication/support/tools';
import { redfishUser, startRedfish, type TestRedfish } from '../../support/redfish';

export const mebi = 1024 * 1024;

export interface TestSite {
  readonly folder: string;
  readonly redfish: TestRedfish;
  /** More may be put in. */
  readonly machines: PhysicalMachine[];
  readonly options: PhysicalOptions;
  readonly platform: Platform;
  /** The same site in another process, as far as the platform can tell. */
  again(change?: Partial<PhysicalOptions>): Platform;
  /** An empty sparse image file. */
  newImage(sizeBytes: number): string;
  /** What a run hands over: a thin layer over a disk with a partition table and an ext4 volume. */
  newRunDisk(index?: number): Promise<MachineDisk>;
  close(): Promise<void>;
}

export async function openTestSite(): Promise<TestSite> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-physical-'));
  const redfish = await startRedfish([]);
  const machines: PhysicalMachine[] = [];
  const options: PhysicalOptions = {
    ...{ id: 'lab', folder: join(folder, 'physical'), machines, clock: Date.now, pollMs: 20, answerTimeoutMs: 2_000 },
    secret: async () => Buffer.from(redfishUser.password),
  };
  const again = (change: Partial<PhysicalOptions> = {}) => createPhysicalPlatform({ ...options, ...change });
  const newImage = (sizeBytes: number): string => {
    const path = join(folder, `${randomUUID()}.img`);
    closeSync(openSync(path, 'w'));
    truncateSync(path, sizeBytes);
    return path;
  };
  return {
    ...{ folder, redfish, machines, options, platform: again(), again, newImage },
    newRunDisk: (index = 0) => makeRunDisk(folder, index),
    close: async () => {
      await redfish.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export const redfishPower = (url: string, systemId: string): MachinePower => ({
  kind: 'redfish',
  redfish: {
    ...{ url, systemId, user: redfishUser.user, caFile: null, insecure: false },
    password: { from: 'file', name: 'bmc' },
  },
});

export function addMachine(site: TestSite, change: Partial<PhysicalMachine> = {}): PhysicalMachine {
  const name = change.name ?? `rack-${randomUUID().slice(0, 8)}`;
  const machine: PhysicalMachine = {
    ...{ name, hardware: 'physical-nvme', firmware: 'bios', cpuCount: 4, memoryBytes: 8 * 1024 ** 3 },
    nics: [{ index: 0, macAddress: '52:54:00:aa:bb:01', network: 'lan', isolated: false }],
    disks: [{ index: 0, device: site.newImage(64 * mebi), serial: null }],
    power: redfishPower(site.redfish.url, name),
    serialConsole: null,
    ...change,
  };
  site.redfish.states.set(name, 'Off');
  site.machines.push(machine);
  return machine;
}

export function claimFor(
  machine: PhysicalMachine,
  runId: string = randomUUID(),
): { spec: MachineSpec; ref: MachineRef & { owner: Owner } } {
  const owner = { tenantId: 'main', runId };
  const { name, cpuCount, memoryBytes, firmware, hardware, nics } = machine;
  const spec = {
    name,
    uuid: randomUUID(),
    owner,
    cpuCount,
    memoryBytes,
    firmware,
    hardware: hardwareProfiles[hardware]!,
    nics,
  };
  return { spec, ref: { name, owner } };
}

const runDiskBytes = 64 * mebi;

/** Built once per test file; every run's disk is a layer of its own over it. */
let built: Promise<string> | undefined;
let shared: string | undefined;
afterAll(async () => {
  if (shared !== undefined) await rm(shared, { recursive: true, force: true });
});

async function buildDisk(): Promise<string> {
  shared = await mkdtemp(join(tmpdir(), 'muster-physical-disk-'));
  const [raw, volume] = [join(shared, 'disk.raw'), join(shared, 'volume')];
  await sh('truncate', '-s', String(runDiskBytes), raw);
  await sh('bash', '-c', `printf 'label: gpt\nstart=2048,size=65536,type=L\n' | sfdisk -q ${raw}`);
  await sh('truncate', '-s', '32M', volume);
  await sh('mke2fs', '-q', '-t', 'ext4', '-d', __dirname, volume);
  await sh('dd', `if=${volume}`, `of=${raw}`, 'bs=1M', 'seek=1', 'conv=notrunc,sparse', 'status=none');
  return raw;
}

async function makeRunDisk(folder: string, index: number): Promise<MachineDisk> {
  const raw = await (built ??= buildDisk());
  const path = join(folder, `${randomUUID()}.qcow2`);
  await sh('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', raw, '-F', 'raw', path);
  // What inoculation does: a change in the layer alone.
  await sh('qemu-io', '-f', 'qcow2', '-c', `write -P ${index + 1} 48M 64k`, path);
  return { diskId: `disk${index}`, index, path, format: 'qcow2', sizeBytes: runDiskBytes };
}
