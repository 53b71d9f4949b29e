/** Imported runbooks, read; texts never change, so each is read once. */
import { createHash } from 'node:crypto';
import type { ReadyRunbook } from '../../model/orders/build-plan';
import { runbookOf } from '../../model/schema/normalise';
import type { RunbookFile } from '../../model/schema/runbook';
import type { Store, StoredRunbook } from '../../store/contract';
import { Problem } from '../problems';
import { createReader } from './reading';

const read = createReader();
const mostKept = 200;
const kept = new Map<string, ReadyRunbook>();

/** @throws Problem `conflict` for a text that this version of Muster does not read any more. */
export async function readStored({ name, version, sha256, text }: StoredRunbook): Promise<ReadyRunbook> {
  const before = kept.get(sha256);
  if (before !== undefined) return { ...before, version };
  const { file, unreadable } = await read(text, (reading) => Promise.resolve(reading));
  if (file === undefined) {
    const { line, column } = unreadable[0]!.position;
    throw new Problem(
      'conflict',
      `Version ${version} of runbook ${name} cannot be read: line ${line}, column ${column}: found ${unreadable[0]!.found}, needed ${unreadable[0]!.needed}. Correct the text and import it again`,
    );
  }
  const ready = { runbook: runbookOf(file), version, sha256 };
  if (kept.size >= mostKept) kept.delete(kept.keys().next().value!);
  kept.set(sha256, ready);
  return ready;
}

/** Every runbook that is included, and what those include, in its newest version. What is not imported is left out. */
export async function readIncluded(
  runbooks: Pick<Store['runbooks'], 'find'>,
  names: readonly string[],
): Promise<ReadonlyMap<string, ReadyRunbook>> {
  const ready = new Map<string, ReadyRunbook>();
  const seen = new Set(names);
  const wanted = [...names];
  for (let name = wanted.shift(); name !== undefined; name = wanted.shift()) {
    const stored = await runbooks.find(name);
    if (stored === undefined) continue;
    const one = await readStored(stored);
    ready.set(name, one);
    const fresh = one.runbook.includes.map(({ runbook }) => runbook).filter((included) => !seen.has(included));
    fresh.forEach((included) => seen.add(included));
    wanted.push(...fresh);
  }
  return ready;
}

/** A text of no imported version: what it is when nobody has stored it. */
export function readyText(text: string, file: RunbookFile): ReadyRunbook {
  return { runbook: runbookOf(file), version: 0, sha256: createHash('sha256').update(text).digest('hex') };
}
