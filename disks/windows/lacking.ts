/** Comparing wanted edits with a hive: what is in place is not written again. */
import type { Hive } from './hive';
import { sameValue, showKey, type KeyPath, type RegistryEdit } from './registry-values';

export interface Lacking {
  readonly edits: readonly RegistryEdit[];
  /** Whether a key above the edits is there; for `regeditText`. */
  readonly exists: (key: KeyPath) => boolean;
}

/** The edits that would change something. */
export async function lackingIn(hive: Hive, wanted: readonly RegistryEdit[]): Promise<Lacking> {
  const edits: RegistryEdit[] = [];
  const there = new Set<string>();
  for (const edit of wanted) {
    if (await isInPlace(hive, edit)) continue;
    edits.push(edit);
    for (let depth = 1; depth < edit.key.length; depth += 1) {
      const above = edit.key.slice(0, depth);
      if (await hive.has(above)) there.add(showKey(above).toLowerCase());
    }
  }
  return { edits, exists: (key) => there.has(showKey(key).toLowerCase()) };
}

async function isInPlace(hive: Hive, edit: RegistryEdit): Promise<boolean> {
  switch (edit.kind) {
    case 'set': {
      return sameValue(await hive.value(edit.key, edit.name), edit.value);
    }
    case 'delete-value':
      return (await hive.value(edit.key, edit.name)) === null;
    case 'delete-key':
      return !(await hive.has(edit.key));
  }
}
