/**
 * A journal row, format 1 (design section 7). The format is fixed: a chain cannot be rewritten. docs/record-format.md says
 * the same for people who verify without this code.
 *
 *   hash = lower-case hex SHA-256 of the UTF-8 bytes of the RFC 8785 form of one JSON object with exactly these members:
 *   actorId actorKind actorName actorRole address at attempt authMethod body coreId format item kind parentRunId
 *   previousHash requestId runId sequence step tenantId
 *
 * `body` is a string (the RFC 8785 form of the event's data), `format`, `sequence` and `attempt` are numbers, what does
 * not apply is null. The first row of a chain has sequence 1 and 64 zeros as `previousHash`.
 */
import type { Actor, Provenance } from '../model/order';
import type { RunEvent } from '../model/events';
import { canonicalJson, sha256Hex, storableText } from './canonical';

export interface JournalRow {
  readonly format: 1;
  readonly tenantId: string;
  readonly coreId: string;
  readonly runId: string;
  /** From 1, without holes. */
  readonly sequence: number;
  readonly parentRunId: string | null;
  readonly kind: RunEvent['kind'];
  /** UTC with milliseconds, as the event brought it. */
  readonly at: string;
  readonly actorKind: string;
  readonly actorId: string;
  readonly actorName: string;
  /** The role at the time of the act; null for processes. */
  readonly actorRole: string | null;
  readonly authMethod: string;
  readonly requestId: string;
  readonly address: string;
  readonly step: string | null;
  readonly item: string | null;
  readonly attempt: number | null;
  /** The event's data in RFC 8785 form, as text. */
  readonly body: string;
  readonly previousHash: string;
  readonly hash: string;
}

export interface ChainId {
  readonly tenantId: string;
  readonly coreId: string;
  readonly runId: string;
}

export interface ChainHead {
  readonly sequence: number;
  readonly hash: string;
}

/** Where every chain starts: nothing before the first row. */
export const emptyChain: ChainHead = { sequence: 0, hash: '0'.repeat(64) };

/** The bytes (as text) that a row's hash is made of; any `hash` on the row is ignored. */
export function rowPreimage(row: Omit<JournalRow, 'hash'>): string {
  return canonicalJson({
    format: row.format,
    tenantId: row.tenantId,
    coreId: row.coreId,
    runId: row.runId,
    sequence: row.sequence,
    parentRunId: row.parentRunId,
    kind: row.kind,
    at: row.at,
    actorKind: row.actorKind,
    actorId: row.actorId,
    actorName: row.actorName,
    actorRole: row.actorRole,
    authMethod: row.authMethod,
    requestId: row.requestId,
    address: row.address,
    step: row.step,
    item: row.item,
    attempt: row.attempt,
    body: row.body,
    previousHash: row.previousHash,
  });
}

export function hashRow(row: Omit<JournalRow, 'hash'>): string {
  return sha256Hex(rowPreimage(row));
}

/** Numbers and chains events behind a chain's head. */
export function chainRows(
  chain: ChainId,
  parentRunId: string | null,
  head: ChainHead,
  events: readonly RunEvent[],
): JournalRow[] {
  let last = head;
  return events.map((event) => {
    const row = chainRow(chain, parentRunId, last, event);
    last = row;
    return row;
  });
}

function chainRow(chain: ChainId, parentRunId: string | null, head: ChainHead, event: RunEvent): JournalRow {
  const { actor } = event.by;
  const row: Omit<JournalRow, 'hash'> = {
    format: 1,
    tenantId: storableText(chain.tenantId),
    coreId: storableText(chain.coreId),
    runId: storableText(chain.runId),
    sequence: head.sequence + 1,
    parentRunId: orNull(parentRunId),
    kind: storableText(event.kind) as RunEvent['kind'],
    at: storableText(event.at),
    actorKind: storableText(actor.kind),
    actorId: storableText(actor.id),
    actorName: storableText(actor.name),
    actorRole: orNull(actor.role),
    authMethod: storableText(event.by.authMethod),
    requestId: storableText(event.by.requestId),
    address: storableText(event.by.address),
    step: orNull(event.step),
    item: orNull(event.item),
    attempt: event.attempt,
    body: canonicalJson(event.data),
    previousHash: head.hash,
  };
  return { ...row, hash: hashRow(row) };
}

/** The event that a row keeps. */
export function eventOfRow(row: JournalRow): RunEvent {
  const actor: Actor = {
    kind: row.actorKind as Actor['kind'],
    id: row.actorId,
    name: row.actorName,
    ...(row.actorRole === null ? {} : { role: row.actorRole }),
  };
  const by: Provenance = { actor, authMethod: row.authMethod, requestId: row.requestId, address: row.address };
  const data: unknown = JSON.parse(row.body);
  return { kind: row.kind, at: row.at, by, step: row.step, item: row.item, attempt: row.attempt, data } as RunEvent;
}

function orNull(text: string | null | undefined): string | null {
  return text === null || text === undefined ? null : storableText(text);
}
