/** Verifying a chain of journal rows: the first bad row, and why. */
import { canonicalJson } from './canonical';
import { emptyChain, hashRow, type ChainHead, type JournalRow } from './row';

export type ChainVerdict =
  | { readonly ok: true; readonly rows: number; readonly head: ChainHead }
  | {
      readonly ok: false;
      /** Rows that are good before the bad one. */
      readonly rows: number;
      /** Sequence of the bad or missing row. */
      readonly sequence: number;
      readonly why: string;
    };

export interface ChainExpectation {
  /** Where the rows before these ended, when they come in pages. Default: the start of a chain. */
  readonly after?: ChainHead;
  /** Where the chain must end, from the ledger: without it, rows missing at the end cannot be seen. */
  readonly end?: ChainHead;
}

/** Checks the rows of one chain, oldest first. Never throws: what is no row is a bad row. */
export function verifyChain(rows: Iterable<JournalRow>, expected: ChainExpectation = {}): ChainVerdict {
  let head = expected.after ?? emptyChain;
  let first: JournalRow | undefined;
  let count = 0;
  for (const row of rows) {
    first ??= row;
    const why = problemOf(row, first, head);
    if (why !== undefined) return { ok: false, rows: count, sequence: head.sequence + 1, why };
    head = { sequence: row.sequence, hash: row.hash };
    count += 1;
  }
  const why = expected.end === undefined ? undefined : problemAtEnd(head, expected.end);
  if (why !== undefined) return { ok: false, rows: count, sequence: head.sequence + 1, why };
  return { ok: true, rows: count, head };
}

function problemOf(row: JournalRow, first: JournalRow, before: ChainHead): string | undefined {
  if (row.format !== 1) return `its format is ${JSON.stringify(row.format)}; this version verifies format 1`;
  if (row.sequence !== before.sequence + 1) {
    return `row ${before.sequence + 1} is missing: row ${JSON.stringify(row.sequence)} comes next`;
  }
  for (const id of ['tenantId', 'coreId', 'runId'] as const) {
    if (row[id] !== first[id]) return `its ${id} is ${JSON.stringify(row[id])}, in the rows before ${first[id]}`;
  }
  if (row.previousHash !== before.hash) {
    return `it follows hash ${String(row.previousHash)}, but the row before it has ${before.hash}`;
  }
  const hash = hashRow(row);
  if (row.hash !== hash) return `its content was changed: it hashes to ${hash}, recorded is ${String(row.hash)}`;
  return isCanonical(row.body) ? undefined : 'its body is not JSON in RFC 8785 form';
}

function isCanonical(body: unknown): boolean {
  try {
    return typeof body === 'string' && canonicalJson(JSON.parse(body)) === body;
  } catch {
    return false;
  }
}

function problemAtEnd(head: ChainHead, end: ChainHead): string | undefined {
  if (head.sequence < end.sequence) return `rows ${head.sequence + 1} to ${end.sequence} are missing at the end`;
  if (head.sequence > end.sequence) return `row ${end.sequence} should be the last, found ${head.sequence} rows`;
  return head.hash === end.hash ? undefined : `the last row has hash ${head.hash}, needed ${end.hash}`;
}
