/**
 * Small reads and writes on an image, by qemu's own tools: windows copied out into sparse scratch files, a few bytes
 * written in. Nothing of a disk passes through Node but the bytes of signatures.
 */
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PermanentError, TransientError } from '../model/errors';
import type { SignaturePiece } from '../model/replica';
import { limitsFor } from '../programs/limits';
import { ProgramError, runProgram } from '../programs/run';
import { imageProblem } from './image-problems';

/** An image as qemu opens it: a file in a format, or an NBD export (always `raw`). */
export interface ImageRef {
  /** Absolute path, `file:<path>` or `nbd+unix:///<export>?socket=<path>`. */
  readonly uri: string;
  readonly format: 'raw' | 'qcow2';
}

export interface ImageOptions {
  readonly signal?: AbortSignal | undefined;
}

const timeoutMs = 60_000;

/** The image as a block device description; used where a file name would be guessed at. */
export function blockDevice(image: ImageRef): Record<string, unknown> {
  if (!image.uri.startsWith('nbd+unix:')) {
    const filename = image.uri.replace(/^file:(\/\/)?/, '');
    return { driver: image.format, file: { driver: 'file', filename } };
  }
  const url = new URL(image.uri);
  const path = url.searchParams.get('socket');
  if (path === null) {
    throw new PermanentError({ what: 'an NBD address without a socket', found: image.uri, needed: '?socket=<path>' });
  }
  return {
    driver: 'raw',
    file: {
      driver: 'nbd',
      server: { type: 'unix', path },
      export: decodeURIComponent(url.pathname.replace(/^\/+/, '')),
    },
  };
}

/** Virtual size of the image, in bytes. */
export async function imageSizeBytes(image: ImageRef, options: ImageOptions = {}): Promise<number> {
  const text = await tool('qemu-img', ['info', '--output=json', jsonName(blockDevice(image))], image, options);
  return (JSON.parse(text) as { 'virtual-size': number })['virtual-size'];
}

/** Copies `lengthBytes` at `offsetBytes` of the image to `targetOffsetBytes` of an existing sparse raw file. */
export async function copyWindow(
  image: ImageRef,
  window: { offsetBytes: number; lengthBytes: number; target: string; targetOffsetBytes: number },
  options: ImageOptions = {},
): Promise<void> {
  const source = {
    driver: 'raw',
    offset: window.offsetBytes,
    size: window.lengthBytes,
    'read-only': true,
    file: blockDevice(image),
  };
  const target = `driver=raw,offset=${window.targetOffsetBytes},size=${window.lengthBytes},file.driver=file,file.filename=${window.target.replaceAll(',', ',,')}`;
  await tool('qemu-img', ['convert', '-n', '--target-image-opts', jsonName(source), target], image, options);
}

/** Writes the pieces' bytes into the image and flushes; other bytes stay as they are. */
export async function writePieces(
  image: ImageRef,
  pieces: readonly SignaturePiece[],
  options: ImageOptions = {},
): Promise<void> {
  if (pieces.length === 0) return;
  await withScratch(async (folder) => {
    const commands: string[] = [];
    for (const [index, piece] of pieces.entries()) {
      const file = join(folder, String(index));
      await writeFile(file, Buffer.from(piece.hex, 'hex'));
      commands.push(`write -s ${file} ${piece.offsetBytes} ${piece.hex.length / 2}`);
    }
    await runCommands(image, commands, options);
  });
}

/** Writes zeros over the pieces and flushes. */
export async function clearPieces(
  image: ImageRef,
  pieces: readonly SignaturePiece[],
  options: ImageOptions = {},
): Promise<void> {
  if (pieces.length === 0) return;
  const commands = pieces.map((piece) => `write -P 0 ${piece.offsetBytes} ${piece.hex.length / 2}`);
  await runCommands(image, commands, options);
}

/** Runs `use` with a folder of its own that is removed afterwards. */
export async function withScratch<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'muster-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A sparse file of that size; takes no space until it is written. */
export async function createSparse(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.truncate(sizeBytes);
  } finally {
    await file.close();
  }
}

async function runCommands(image: ImageRef, commands: readonly string[], options: ImageOptions): Promise<void> {
  const args = [...commands, 'flush'].flatMap((command) => ['-c', command]);
  await tool('qemu-io', [...args, jsonName(blockDevice(image))], image, options);
}

const jsonName = (device: Record<string, unknown>) => `json:${JSON.stringify(device)}`;

async function tool(program: string, args: string[], image: ImageRef, options: ImageOptions): Promise<string> {
  try {
    return (await runProgram(program, args, { timeoutMs, signal: options.signal, limits: limitsFor.chain })).stdout;
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!(error instanceof ProgramError)) throw error;
    const problem = imageProblem(error, image.uri);
    if (problem !== undefined) throw problem;
    throw new TransientError(
      {
        what: `${program} could not work on ${image.uri}`,
        found: error.stderr.trim().split('\n').at(-1) || error.shortMessage,
        needed: 'an image that can be opened',
        remedy: 'Look who else has it open (qemu-img info without -U) and whether the target server runs.',
        detail: error.message,
      },
      { cause: error },
    );
  }
}
