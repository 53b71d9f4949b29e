/** Imported runbooks, read; texts never change, so each is read once, by however many at the same time. */
import { createHash } from 'node:crypto';
import type { ReadyRunbook } from '../../model/orders/build-plan';
import type { LocatedProblem } from '../../model/runbook/problems';
import type { Runbook } from '../../model/runbook/runbook';
import { runbookOf } from '../../model/schema/normalise';
import type { RunbookFile } from '../../model/schema/runbook';
import type { Store, StoredRunbook } from '../../store/contract';
import { Problem } from '../problems';
import { createReader } from './reading';
import { textRefused, wordsOf } from './refused';

const read = createReader();
/** Characters of the texts that are kept read: what is read takes a few times their memory. */
const mostKept = 20_000_000;
/** By hash; what was asked for last is last. */
const kept = new Map<string, { readonly characters: number; readonly reading: Promise<Read> }>();

type Read = { readonly runbook: Runbook } | { readonly unreadable: LocatedProblem };

/**
 * @throws Problem `conflict` for a text that this version of Muster does not read any more; `part-unavailable` while too many long
 *   ones wait to be read.
 */
export async function readStored({ name, version, sha256, text }: StoredRunbook): Promise<ReadyRunbook> {
  const found = await readOnce(sha256, text);
  if ('runbook' in found) return { runbook: found.runbook, version, sha256 };
  const { position, ...words } = found.unreadable;
  throw new Problem(
    'conflict',
    `Version ${version} of runbook ${name} cannot be read: line ${position.line}, column ${position.column}: ${wordsOf(words)}. Correct the text and import it again`,
  );
}

function readOnce(sha256: string, text: string): Promise<Read> {
  const reading = kept.get(sha256)?.reading ?? readText(text);
  kept.delete(sha256);
  kept.set(sha256, { characters: text.length, reading });
  reading.catch(() => kept.delete(sha256));
  let characters = [...kept.values()].reduce((sum, one) => sum + one.characters, 0);
  for (const [oldest, one] of kept) {
    if (characters <= mostKept) break;
    kept.delete(oldest);
    characters -= one.characters;
  }
  return reading;
}

const readText = (text: string): Promise<Read> =>
  read(text, ({ file, unreadable }) =>
    Promise.resolve(file === undefined ? { unreadable: unreadable[0]! } : { runbook: runbookOf(file) }),
  );

/**
 * A text that came with a request, which is not kept; undefined: it cannot be read.
 *
 * @throws Problem `runbook-errors` for one that was given up; `part-unavailable` while too many long ones wait to be read.
 */
export const readGiven = (text: string): Promise<Runbook | undefined> =>
  read(text, ({ file, unreadable, gaveUp }) => {
    if (gaveUp === true) throw textRefused('Where the text leads is not known', unreadable);
    return Promise.resolve(file && runbookOf(file));
  });

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
