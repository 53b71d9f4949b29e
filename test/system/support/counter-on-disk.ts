/** What the guest's service had written, read from a disk or a point without anything of Muster's or of the guest's. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PointManifest } from '../../../model/replica';
import { exitCodeOf, patched, sh } from '../../replication/support/tools';

/** The demo guest's second partition (tools/demo-guest/README.md). */
const dataPartition = 2;

/** The last number on the point: its layers as one image, its signatures put back, its journal replayed as a kernel would. */
export async function lastNumberOnPoint(replica: string, point: PointManifest, scratch: string): Promise<number> {
  const disk = point.disks[0]!;
  const raw = join(scratch, 'point.raw');
  await sh('qemu-img', 'convert', '-U', '-O', 'raw', join(replica, disk.file), raw);
  const whole = await patched(
    raw,
    disk.signatures.flatMap((signature) => signature.pieces),
  );
  try {
    return await lastNumber(whole, scratch);
  } finally {
    await rm(raw);
    await rm(whole);
  }
}

/** The last number on a disk that no machine has open. */
export async function lastNumberOnDisk(disk: string, scratch: string): Promise<number> {
  const raw = join(scratch, 'disk.raw');
  await sh('qemu-img', 'convert', '-O', 'raw', disk, raw);
  try {
    return await lastNumber(raw, scratch);
  } finally {
    await rm(raw);
  }
}

async function lastNumber(raw: string, scratch: string): Promise<number> {
  const volume = join(scratch, 'data.raw');
  const { start, size } = await partition(raw, dataPartition);
  const flags = ['iflag=skip_bytes,count_bytes', 'conv=sparse', 'bs=1M', 'status=none'];
  await sh('dd', `if=${raw}`, `of=${volume}`, `skip=${start}`, `count=${size}`, ...flags);
  try {
    const code = await exitCodeOf('e2fsck', '-fp', volume);
    if (code > 1) throw new Error(`e2fsck could not mend the data volume by itself: exit code ${code}`);
    // A file that was begun anew a moment ago may be empty; the one before it has the last lines then.
    for (const name of ['data.jsonl', 'data.jsonl.1']) {
      const copy = join(scratch, name);
      await sh('debugfs', '-R', `dump /${name} ${copy}`, volume);
      const text = await readFile(copy, 'utf8').catch(() => '');
      await rm(copy, { force: true });
      const lines = text.slice(0, text.lastIndexOf('\n') + 1).matchAll(/^\{"n":(\d+),.*\}$/gm);
      const last = [...lines].at(-1);
      if (last !== undefined) return Number(last[1]);
    }
    throw new Error('no complete line on the data volume');
  } finally {
    await rm(volume);
  }
}

/** Where that partition of a raw image lies, in bytes; read by sfdisk. */
export async function partition(raw: string, number: number): Promise<{ start: number; size: number }> {
  const table = JSON.parse(await sh('sfdisk', '--json', raw)) as {
    partitiontable: { sectorsize?: number; partitions: { node: string; start: number; size: number }[] };
  };
  const sector = table.partitiontable.sectorsize ?? 512;
  const found = table.partitiontable.partitions.find((one) => one.node === `${raw}${number}`);
  if (found === undefined) throw new Error(`no partition ${number}: ${JSON.stringify(table)}`);
  return { start: found.start * sector, size: found.size * sector };
}
