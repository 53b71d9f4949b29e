/** The source side of replication at a simulated site: whole raw copies, and what changed counted in real blocks. */
import { copyFile, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OperatorError, TransientError } from '../../model/errors';
import type { CopyRequest, CopyResult, DiscoveredServer, ReplicationSource } from '../../replication/contract';
import type { CallOptions } from '../contract';
import { blockBytes, blockDigests, fileSizeBytes } from './disk-bytes';
import { isUp, writeServiceData } from './guest';
import { changeMachine, readMachine, type MachineRecord } from './machines';
import { deviceName } from './platform';
import { unknownMachine } from './refusals';
import { pause, reach, readSettings, type Site } from './site';

export function simulatedSource(site: Site): ReplicationSource {
  return {
    discover: (machineName, options) => discover(site, machineName, options),
    copy: (request, options) => copy(site, request, options),
    checkpoints: async (machineName, options) => {
      await reach(site, options);
      return (await knownMachine(site, machineName)).checkpoints.map((checkpoint) => checkpoint.name);
    },
    deleteCheckpoint: (machineName, checkpoint, options) => deleteCheckpoint(site, machineName, checkpoint, options),
  };
}

async function discover(site: Site, machineName: string, options?: CallOptions): Promise<DiscoveredServer> {
  await reach(site, options);
  const machine = await knownMachine(site, machineName);
  const { firmware, cpuCount, memoryBytes, nics, hardware } = machine;
  return {
    ...{ firmware, cpuCount, memoryBytes, nics },
    os: machine.os ?? { family: 'unknown' },
    disks: machine.disks.map((disk) => ({
      id: disk.diskId,
      index: disk.index,
      sizeBytes: disk.sizeBytes,
      controller: hardware.diskController,
      sourceDevice: deviceName(disk.index),
    })),
  };
}

async function copy(site: Site, request: CopyRequest, options: CallOptions = {}): Promise<CopyResult> {
  await reach(site, options);
  await pause((await readSettings(site)).copyMs, options.signal);
  await reach(site, options);
  let result: CopyResult | undefined;
  await changeMachine(
    site,
    request.machineName,
    'source.copy',
    async (machine) => {
      if (!machine) throw unknownMachine(site, request.machineName);
      const { next, ...copied } = await copyNow(site, machine, request);
      result = copied;
      return { next, takesMs: 0 };
    },
    options,
  );
  return result!;
}

/** Under the machine's lock, so that all disks are of one moment. */
async function copyNow(site: Site, machine: MachineRecord, request: CopyRequest) {
  const stopped = machine.power === 'off' && request.ofStoppedMachine === true;
  if (machine.power !== 'on' && !stopped) {
    throw new TransientError({
      what: `${machine.name} cannot be copied`,
      found: `it is ${machine.power}`,
      needed: 'a running machine',
    });
  }
  const since = machine.checkpoints.find((checkpoint) => checkpoint.name === request.since);
  if (request.since !== null && !since) throw checkpointLost(machine.name, request.since);
  await writeServiceData(site, machine);
  const takenAt = new Date(site.now()).toISOString();
  const blocks: Record<string, string[]> = {};
  let copiedBytes = 0;
  for (const wanted of request.disks) {
    const disk = machine.disks.find((other) => deviceName(other.index) === wanted.device);
    if (!disk) throw noSuchDevice(machine, wanted.device);
    const now = await blockDigests(disk.path);
    const before = since?.blocks[wanted.diskId];
    await mkdir(dirname(wanted.file), { recursive: true });
    await copyFile(disk.path, wanted.file);
    blocks[wanted.diskId] = now;
    const changed = before ? now.filter((digest, index) => digest !== before[index]).length * blockBytes : undefined;
    copiedBytes += changed ?? (await fileSizeBytes(disk.path)) ?? 0;
  }
  const frozen = request.freezeFilesystems && (await isUp(site, machine));
  const others = machine.checkpoints.filter((checkpoint) => checkpoint.name !== request.checkpoint);
  return {
    next: { ...machine, checkpoints: [...others, { name: request.checkpoint, blocks }] },
    takenAt,
    clockSkewMs: 0,
    consistency: frozen ? ('file-system' as const) : ('crash' as const),
    copiedBytes,
  };
}

async function deleteCheckpoint(site: Site, machineName: string, checkpoint: string, options: CallOptions = {}) {
  await reach(site, options);
  await changeMachine(
    site,
    machineName,
    'source.delete-checkpoint',
    (machine) =>
      machine?.checkpoints.some((other) => other.name === checkpoint)
        ? {
            next: { ...machine, checkpoints: machine.checkpoints.filter((other) => other.name !== checkpoint) },
            takesMs: 0,
          }
        : null,
    options,
  );
}

async function knownMachine(site: Site, name: string): Promise<MachineRecord> {
  const machine = await readMachine(site, name);
  if (!machine) throw unknownMachine(site, name);
  return machine;
}

function checkpointLost(name: string, checkpoint: string): OperatorError {
  return new OperatorError({
    what: `CheckpointLost: ${name} no longer knows checkpoint ${checkpoint}`,
    needed: 'the checkpoint of the last complete point',
    remedy: 'The next cycle has to copy the disks in full.',
  });
}

function noSuchDevice(machine: MachineRecord, device: string): OperatorError {
  return new OperatorError({
    what: `${machine.name} has no disk ${device}`,
    found: machine.disks.map((disk) => deviceName(disk.index)).join(', ') || 'no disks',
    needed: device,
    remedy: 'The disks of the server changed: protect it again.',
  });
}
