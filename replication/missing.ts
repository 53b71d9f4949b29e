/**
 * What a copy still lacks of the chain that it is made from: read from the images' own maps, slice by slice, and told to
 * the target server as a dirty bitmap. QMP cannot set a bitmap's bits, so the ranges are written as zeroes into an image
 * made for it, which has a bitmap of its own that is then merged into that of the source.
 *
 * A qcow2 image takes a gibibyte of zeroes as one entry in a table. QEMU's null-co, which keeps nothing, is no quicker way:
 * it is given the zeroes byte by byte, 0.3 s for each gibibyte (QEMU 7.2, measured; 120 GiB into qcow2: 0.03 s).
 */
import { rm } from 'node:fs/promises';
import type { CallOptions } from '../platforms/contract';
import type { Extent } from '../disks/signatures';
import { limitsFor } from '../programs/limits';
import { runProgram } from '../programs/run';
import type { ReplicaPlace } from './place';
import type { Qmp } from './qmp';
import { addNode, closeNodes, endExport, exportNode } from './target-graph';

/** One slice's map stays below what a program may print (64 MiB) also when every cluster is an extent of its own. */
const sliceBytes = 16 * 1024 ** 3;
/** QEMU refuses a single request of 2 GiB. */
const longestRequestBytes = 1024 ** 3;
/** A cluster of a new qcow2 image. */
const granularityBytes = 64 * 1024;
const mapTimeoutMs = 10 * 60_000;

export interface CopyPair {
  /** The file that is to become the copy; it names nothing beneath it. */
  readonly copy: string;
  /** The newest layer of the chain; its header names what lies beneath. */
  readonly top: string;
  readonly virtualSizeBytes: number;
}

/** Areas that hold data in the chain and are not in the copy, a slice at a time; unallocated and zero areas are in none. */
export async function* missingExtents(pair: CopyPair, options: CallOptions = {}): AsyncGenerator<Extent[]> {
  for (let from = 0; from < pair.virtualSizeBytes; from += sliceBytes) {
    const { stdout } = await runProgram(
      'qemu-img',
      ['map', '-U', '--output=json', `--start-offset=${from}`, `--max-length=${sliceBytes}`, standing(pair)],
      { timeoutMs: mapTimeoutMs, signal: options.signal, limits: limitsFor.chain },
    );
    const all = JSON.parse(stdout) as { start: number; length: number; depth: number; data: boolean }[];
    const missing = all.filter((extent) => extent.data && extent.depth > 0);
    yield missing.map(({ start, length }) => ({ offsetBytes: start, lengthBytes: length }));
  }
}

export async function missingBytes(pair: CopyPair, options: CallOptions = {}): Promise<number> {
  let sum = 0;
  for await (const extents of missingExtents(pair, options)) sum += bytesOf(extents);
  return sum;
}

/** The copy as if it stood on the chain: what it has itself is at depth 0. */
function standing({ copy, top }: CopyPair): string {
  const image = (filename: string) => ({ driver: 'qcow2', file: { driver: 'file', filename } });
  return `json:${JSON.stringify({ ...image(copy), backing: image(top) })}`;
}

/**
 * Gives the source node a bitmap `name` of what is missing, and returns how many bytes that is. A bitmap of that name, and
 * marks that an earlier attempt left, are replaced.
 */
export async function markMissing(
  { qmp, place }: { qmp: Qmp; place: ReplicaPlace },
  { source, name, pair }: { source: string; name: string; pair: CopyPair },
  options: CallOptions = {},
): Promise<number> {
  const marks = `marks-${source}`;
  const file = marksFile(pair.copy);
  let markedBytes = 0;
  await forgetMarks(qmp, source, name);
  await makeScratch(file, pair.virtualSizeBytes, options);
  await addNode(qmp, { node: marks, file, backing: null, readOnly: false, flush: false });
  await qmp.execute('block-dirty-bitmap-add', { node: marks, name, granularity: granularityBytes });
  await exportNode(qmp, marks, marks);
  for await (const extents of missingExtents(pair, options)) {
    if (extents.length > 0) await writeMarks(`nbd+unix:///${marks}?socket=${place.nbdSocket}`, extents, options);
    markedBytes += bytesOf(extents);
  }
  await endExport(qmp, marks);
  await qmp.execute('block-dirty-bitmap-add', { node: source, name, granularity: granularityBytes });
  await qmp.execute('block-dirty-bitmap-merge', { node: source, target: name, bitmaps: [{ node: marks, name }] });
  await closeNodes(qmp, [marks]);
  await rm(file);
  return markedBytes;
}

/** Where the marks lie while they are made. */
export const marksFile = (copy: string): string => `${copy}.marks`;

/** Large clusters: the image takes 4 bytes for each MiB that is marked, and nothing is read from it. */
async function makeScratch(file: string, sizeBytes: number, options: CallOptions): Promise<void> {
  const how = { timeoutMs: mapTimeoutMs, signal: options.signal, limits: limitsFor.image };
  const create = ['create', '-q', '-f', 'qcow2', '-o', 'cluster_size=2M', file, String(sizeBytes)];
  await runProgram('qemu-img', create, how);
}

const bytesOf = (extents: readonly Extent[]) => extents.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);

async function writeMarks(uri: string, extents: readonly Extent[], options: CallOptions): Promise<void> {
  const lines = extents.flatMap(pieces).map(([offset, length]) => `write -q -z ${offset} ${length}\n`);
  const limits = { timeoutMs: mapTimeoutMs, signal: options.signal };
  await runProgram('qemu-io', ['-f', 'raw', uri], { ...limits, input: lines.join('') });
}

function pieces({ offsetBytes, lengthBytes }: Extent): [number, number][] {
  const parts: [number, number][] = [];
  for (let done = 0; done < lengthBytes; done += longestRequestBytes) {
    parts.push([offsetBytes + done, Math.min(longestRequestBytes, lengthBytes - done)]);
  }
  return parts;
}

/** Removes the bitmap of the source node and what it was made with. Absent: already so. */
export async function forgetMarks(qmp: Qmp, source: string, name: string): Promise<void> {
  const marks = `marks-${source}`;
  await endExport(qmp, marks);
  await closeNodes(qmp, [marks]);
  const nodes = await qmp.execute<NodeInfo[]>('query-named-block-nodes', { flat: true });
  const node = nodes.find((one) => one['node-name'] === source);
  if (node?.['dirty-bitmaps']?.some((bitmap) => bitmap.name === name) !== true) return;
  await qmp.execute('block-dirty-bitmap-remove', { node: source, name });
}

interface NodeInfo {
  readonly 'node-name': string;
  readonly 'dirty-bitmaps'?: readonly { readonly name?: string }[];
}
