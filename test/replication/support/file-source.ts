/**
 * A replication source over plain files: each disk is a chain of qcow2 overlays, and a checkpoint is the place where a
 * new overlay began, so that an increment is real changed clusters with a header that names the source's own file, as
 * libvirt's push-mode backup leaves it. An exact raw copy is kept per checkpoint, made by qemu-img alone.
 */
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { OperatorError } from '../../../model/errors';
import type { CopyRequest, ReplicationSource } from '../../../replication/contract';
import { sh } from './tools';

interface State {
  /** Overlay files per device, oldest first; the last is what the machine writes to, and a checkpoint is its index. */
  chains: Record<string, string[]>;
  checkpoints: { name: string; position: number }[];
}

export interface FileSource extends ReplicationSource {
  /** The file that the machine writes to. */
  live(device: string): Promise<string>;
  /** The exact content of a device at a checkpoint. */
  truth(device: string, checkpoint: string): string;
  forgetCheckpoints(): Promise<void>;
}

export async function createFileSource(folder: string, disks: Record<string, string>): Promise<FileSource> {
  const statePath = join(folder, 'state.json');
  /** Whole or not at all: tests kill whoever writes it. */
  const save = async (state: State) => {
    await writeFile(`${statePath}.new`, JSON.stringify(state));
    await rename(`${statePath}.new`, statePath);
  };
  if (!existsSync(statePath)) {
    await mkdir(folder, { recursive: true });
    const chains: Record<string, string[]> = {};
    for (const [device, raw] of Object.entries(disks)) {
      const file = join(folder, `${device}-0.qcow2`);
      await sh('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', raw, '-F', 'raw', file);
      chains[device] = [file];
    }
    await save({ chains, checkpoints: [] });
  }
  const load = async () => JSON.parse(await readFile(statePath, 'utf8')) as State;
  const truth = (device: string, checkpoint: string) => join(folder, `truth-${device}-${checkpoint}.raw`);
  return {
    truth,
    live: async (device) => (await load()).chains[device]!.at(-1)!,
    forgetCheckpoints: async () => save({ ...(await load()), checkpoints: [] }),
    discover: () => Promise.reject(new OperatorError('files cannot be discovered')),
    checkpoints: async () => (await load()).checkpoints.map((checkpoint) => checkpoint.name),
    deleteCheckpoint: async (_machine, name) => {
      const state = await load();
      state.checkpoints = state.checkpoints.filter((checkpoint) => checkpoint.name !== name);
      await save(state);
    },
    copy: async (request) => {
      const state = await load();
      const since = state.checkpoints.find((checkpoint) => checkpoint.name === request.since);
      if (request.since !== null && since === undefined) {
        throw new OperatorError({ what: `CheckpointLost: ${request.since}`, found: 'no such checkpoint' });
      }
      let copiedBytes = 0;
      for (const disk of request.disks) {
        copiedBytes += await copyDisk(state, disk, since?.position ?? null, truth(disk.device, request.checkpoint));
      }
      const position = Object.values(state.chains)[0]!.length - 1;
      state.checkpoints.push({ name: request.checkpoint, position });
      await save(state);
      const consistency = request.freezeFilesystems ? 'file-system' : 'crash';
      return { takenAt: new Date().toISOString(), clockSkewMs: 0, consistency, copiedBytes };
    },
  };
}

async function copyDisk(
  state: State,
  { device, file }: CopyRequest['disks'][number],
  since: number | null,
  truth: string,
): Promise<number> {
  const chain = state.chains[device]!;
  const live = chain.at(-1)!;
  await sh('qemu-img', 'convert', '-O', 'raw', live, truth);
  if (since === null) await sh('qemu-img', 'convert', '-O', 'qcow2', live, file);
  else if (since === chain.length - 1) await copyFile(live, file);
  else {
    // More than one overlay lies between: flattened onto the file that was live at the checkpoint.
    await sh('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', live, '-F', 'qcow2', file);
    await sh('qemu-img', 'rebase', '-f', 'qcow2', '-b', chain[since - 1]!, '-F', 'qcow2', file);
  }
  const next = live.replace(/-\d+\.qcow2$/, `-${chain.length}.qcow2`);
  await rm(next, { force: true });
  await sh('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', live, '-F', 'qcow2', next);
  chain.push(next);
  return Number(await sh('stat', '-c', '%s', file));
}
