/** The thread of reading.ts: reads one text, checks it as often as it is asked to, and is ended from outside. */
import { parentPort } from 'node:worker_threads';
import type { Inventory } from '../../model/runbook/check';
import type { LocatedProblem, RunbookProblem } from '../../model/runbook/problems';
import { openText, type OpenText } from '../../model/schema/open-text';
import type { RunbookFile } from '../../model/schema/runbook';

export type Asked =
  | { readonly kind: 'read'; readonly text: string }
  | { readonly kind: 'check'; readonly inventory: Inventory | null; readonly found: readonly RunbookProblem[] };

export interface Read {
  readonly file: RunbookFile | undefined;
  readonly unreadable: readonly LocatedProblem[];
}

let open: OpenText | undefined;

parentPort?.on('message', (asked: Asked) => {
  if (asked.kind === 'read') {
    open = openText(asked.text);
    const read: Read = { file: open.file, unreadable: open.unreadable };
    parentPort?.postMessage(read);
  } else parentPort?.postMessage(open?.check(asked.inventory, asked.found) ?? []);
});
