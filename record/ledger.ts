/**
 * The ledger across runs, format 1: one row per close of a run, chained like journal rows, so that neither a row nor a
 * whole run can vanish unseen.
 *
 *   hash = lower-case hex SHA-256 of the RFC 8785 form of an object with exactly the members
 *   closedAt coreId format previousHash runHash runId runSequence sequence state tenantId
 */
import { canonicalJson, sha256Hex, storableText } from './canonical';
import { emptyChain, type ChainHead, type ChainId } from './row';
import type { ChainVerdict } from './chain';

export interface LedgerRow {
  readonly format: 1;
  readonly tenantId: string;
  readonly coreId: string;
  /** From 1 over all runs of a tenant's core, without holes. */
  readonly sequence: number;
  readonly runId: string;
  /** Sequence and hash of the run's closing row: how long its journal is, and what it says. */
  readonly runSequence: number;
  readonly runHash: string;
  readonly state: string;
  readonly closedAt: string;
  readonly previousHash: string;
  readonly hash: string;
}

export function hashLedgerRow(row: Omit<LedgerRow, 'hash'>): string {
  const { format, tenantId, coreId, sequence, runId, runSequence, runHash, state, closedAt, previousHash } = row;
  return sha256Hex(
    canonicalJson({ format, tenantId, coreId, sequence, runId, runSequence, runHash, state, closedAt, previousHash }),
  );
}

/** The next row of the ledger: the close of a run. */
export function ledgerRow(
  head: ChainHead,
  chain: ChainId,
  closing: { readonly head: ChainHead; readonly state: string; readonly closedAt: string },
): LedgerRow {
  const row: Omit<LedgerRow, 'hash'> = {
    format: 1,
    tenantId: storableText(chain.tenantId),
    coreId: storableText(chain.coreId),
    sequence: head.sequence + 1,
    runId: storableText(chain.runId),
    runSequence: closing.head.sequence,
    runHash: closing.head.hash,
    state: storableText(closing.state),
    closedAt: storableText(closing.closedAt),
    previousHash: head.hash,
  };
  return { ...row, hash: hashLedgerRow(row) };
}

/** Checks the ledger of one tenant's core, oldest first: the first bad row, and why. */
export function verifyLedger(rows: Iterable<LedgerRow>, after: ChainHead = emptyChain): ChainVerdict {
  let head = after;
  let first: LedgerRow | undefined;
  let count = 0;
  for (const row of rows) {
    first ??= row;
    const why = problemOf(row, first, head);
    if (why !== undefined) return { ok: false, rows: count, sequence: head.sequence + 1, why };
    head = { sequence: row.sequence, hash: row.hash };
    count += 1;
  }
  return { ok: true, rows: count, head };
}

function problemOf(row: LedgerRow, first: LedgerRow, before: ChainHead): string | undefined {
  if (row.format !== 1) return `its format is ${JSON.stringify(row.format)}; this version verifies format 1`;
  if (row.sequence !== before.sequence + 1) {
    return `row ${before.sequence + 1} is missing: row ${JSON.stringify(row.sequence)} comes next`;
  }
  if (row.tenantId !== first.tenantId || row.coreId !== first.coreId) return 'it belongs to another tenant or core';
  if (row.previousHash !== before.hash) {
    return `it follows hash ${String(row.previousHash)}, but the row before it has ${before.hash}`;
  }
  const hash = hashLedgerRow(row);
  return row.hash === hash
    ? undefined
    : `its content was changed: it hashes to ${hash}, recorded is ${String(row.hash)}`;
}
