/**
 * Layers that are no replica's any more: earlier destructive recoveries of this server left them to the machines that they made.
 * No point may name them, no cycle may write over them, and nothing removes them.
 */
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { readDocument, temporarySuffix } from './durable';
import type { ReplicaPlace } from './place';

const givenRecord = z.object({ format: z.literal(1), disks: z.array(z.object({ basePath: z.string() })) });

/** Names in layers/. @throws as readDocument does for a damaged record: whoever cannot know them must not remove anything. */
export async function givenLayers(place: ReplicaPlace): Promise<ReadonlySet<string>> {
  const names = await readdir(place.given).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const whole = names.filter((name) => !name.endsWith(temporarySuffix));
  const records = await Promise.all(whole.map((name) => readDocument(join(place.given, name), givenRecord)));
  return new Set(records.flatMap((record) => record?.disks.map(({ basePath }) => basename(basePath)) ?? []));
}
