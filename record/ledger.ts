/**
 * The ledger across runs, format 1: one row per close of a run, chained like journal rows, so that neither a row nor a
 * whole run can vanish unseen.
 *
 *   hash = lower-case hex SHA-256 of the RFC 8785 form of an object with exactly the members
 *   closedAt coreId format previousHash runHash runId runSequence sequence state tenantId
 */
import { canonicalJson, sha256Hex, storableText } from './canonical';
import type { ChainHead, ChainId } from './row';

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
