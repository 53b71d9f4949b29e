/**
 * Prepared inoculations on disk:
 *
 *   prepared/<hardwareId>.json   what was worked out for that profile, with a digest of its own; written last, in one step
 *   prepared/<id>/               its files, fsynced before; a folder that no document names is a leftover
 *
 * A document that is damaged or of another format is not used, and said so: the next preparation replaces it.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Preparation, PrepareResult } from '../disks/contract';
import { isMusterError } from '../model/errors';
import { readDocument, syncPath, writeDurably } from './durable';
import { exists, namesIn } from './manifests';
import { safeName, type ReplicaPlace } from './place';
import type { PreparationGround, PreparedEntry } from './prepared-contract';

const kept = z.object({
  hardwareId: z.string(),
  state: z.enum(['prepared', 'failed']),
  at: z.string(),
  checkedAt: z.string(),
  pointId: z.string(),
  because: z.string().nullable(),
  outdatedBecause: z.string().nullable(),
  /** Name of the folder with its files; null where there are none. */
  folder: z.string().nullable(),
  files: z.array(
    z.object({ name: z.string(), sizeBytes: z.number().int().nonnegative(), sha256: z.string().length(64) }),
  ),
  watch: z.array(
    z.object({
      path: z.string(),
      is: z.enum(['file', 'folder', 'other', 'absent']),
      sizeBytes: z.number(),
      modifiedSeconds: z.number(),
    }),
  ),
  record: z.unknown(),
});
const document = z.object({ format: z.literal(1), digest: z.string().length(64), kept });
type Kept = z.infer<typeof kept>;

const documentPath = (place: ReplicaPlace, hardwareId: string) =>
  join(place.prepared, `${safeName(hardwareId, 'hardware profile id')}.json`);

const digestOf = (value: Kept) => createHash('sha256').update(JSON.stringify(value)).digest('hex');

async function writeKept(place: ReplicaPlace, value: Kept): Promise<void> {
  // As it will be read: without what JSON leaves out.
  const plain = kept.parse(JSON.parse(JSON.stringify(value)));
  await writeDurably(documentPath(place, plain.hardwareId), { format: 1, digest: digestOf(plain), kept: plain });
}

async function readKept(place: ReplicaPlace, hardwareId: string): Promise<Kept | undefined> {
  try {
    const found = await readDocument(documentPath(place, hardwareId), document);
    return found === undefined || found.digest !== digestOf(found.kept) ? undefined : found.kept;
  } catch (error) {
    if (isMusterError(error)) return undefined;
    throw error;
  }
}

/** Every profile's document that can be read, by hardware id. */
export async function readEntries(place: ReplicaPlace): Promise<PreparedEntry[]> {
  const ids = (await namesIn(place.prepared)).flatMap((name) => /^(.+)\.json$/.exec(name)?.[1] ?? []);
  const found = await Promise.all(ids.map((id) => readKept(place, id)));
  return found.filter((value) => value !== undefined).map((value) => entryOf(place, value));
}

export async function readEntry(place: ReplicaPlace, hardwareId: string): Promise<PreparedEntry | undefined> {
  const value = await readKept(place, hardwareId);
  return value === undefined ? undefined : entryOf(place, value);
}

/** In words for the record: why no entry can be read. */
export async function whyNoEntry(place: ReplicaPlace, hardwareId: string): Promise<string> {
  if (!(await exists(documentPath(place, hardwareId)))) return 'nothing was prepared';
  return 'what was prepared is damaged, or was kept by another version of Muster';
}

function entryOf(place: ReplicaPlace, value: Kept): PreparedEntry {
  const { hardwareId, state, at, checkedAt, outdatedBecause, files, watch, record } = value;
  const folder = value.folder === null ? place.prepared : join(place.prepared, safeName(value.folder, 'folder name'));
  return {
    ...{ hardwareId, at, checkedAt, because: outdatedBecause ?? value.because },
    state: state === 'prepared' && outdatedBecause !== null ? 'outdated' : state,
    preparation: state === 'failed' ? null : { hardwareId, record, files, watch, folder },
  };
}

/** Moves the ground's files in, then writes a document for each result, then removes folders that none names any more. */
export async function keepResults(
  place: ReplicaPlace,
  ground: PreparationGround,
  results: readonly PrepareResult[],
  at: string,
): Promise<void> {
  const fresh = results.flatMap((result) => ('prepared' in result ? [result.prepared] : []));
  await mkdir(place.prepared, { recursive: true, mode: 0o700 });
  if (fresh.length > 0) await moveIn(place, ground, fresh);
  for (const result of results) await keepResult(place, ground, result, at);
  await removeUnnamed(place);
}

async function moveIn(place: ReplicaPlace, ground: PreparationGround, fresh: readonly Preparation[]): Promise<void> {
  for (const { name } of fresh.flatMap(({ files }) => files)) await syncPath(join(ground.folder, name));
  await syncPath(ground.folder);
  await rename(ground.folder, join(place.prepared, ground.id));
  await syncPath(place.prepared);
}

async function keepResult(
  place: ReplicaPlace,
  { id, pointId }: PreparationGround,
  result: PrepareResult,
  at: string,
): Promise<void> {
  const { hardwareId } = result;
  const common = { hardwareId, at, checkedAt: at, pointId, outdatedBecause: null };
  if ('prepared' in result) {
    const { files, watch, record } = result.prepared;
    const content = { files: [...files], watch: [...watch], record, folder: id };
    await writeKept(place, { ...common, ...content, state: 'prepared', because: null });
  } else if ('stillFits' in result) {
    const before = await readKept(place, hardwareId);
    const watch = [...result.watch];
    if (before !== undefined)
      await writeKept(place, { ...before, watch, checkedAt: at, pointId, outdatedBecause: null });
  } else {
    const nothing = { files: [], watch: [], record: null, folder: null };
    await writeKept(place, { ...common, ...nothing, state: 'failed', because: result.because });
  }
}

async function removeUnnamed(place: ReplicaPlace): Promise<void> {
  const entries = await readEntries(place);
  const named = new Set(entries.map(({ preparation }) => preparation?.folder));
  for (const entry of await readdir(place.prepared, { withFileTypes: true })) {
    const path = join(place.prepared, entry.name);
    if (entry.isDirectory() && !named.has(path)) await rm(path, { recursive: true, force: true });
  }
}

export async function markKeptOutdated(place: ReplicaPlace, hardwareId: string, because: string): Promise<void> {
  const before = await readKept(place, hardwareId);
  if (before === undefined || before.state === 'failed' || before.outdatedBecause !== null) return;
  await writeKept(place, { ...before, outdatedBecause: because });
}
