/** Risks: found by rounds, kept with the times at which they appeared and went. */
import type { Knex } from 'knex';
import { riskNotice } from '../model/notify/risk-notices';
import {
  byUrgency,
  installationSource,
  rankOf,
  worstOfEach,
  type Risk,
  type RiskFound,
} from '../model/readiness/risks';
import { storableText } from '../record/canonical';
import { lockName, select, type Database, type Scope } from './database';
import { putNotice } from './notices';
import type { RiskRound, Risks, SourceAsked, TurnOf } from './risks-contract';

interface RiskRow {
  risk_id: string;
  appearance: number;
  source: string;
  risk: string;
  since: Date;
  seen_at: Date;
  gone_at: Date | null;
}

export function createRisks(database: Database, scope: Scope): Risks {
  const at = [scope.tenantId, scope.coreId];
  return {
    reconcile: (round) => database.transaction('the risks could not be kept', (trx) => reconcile(trx, scope, round)),
    list: ({ goneSince }) =>
      database.query('the risks could not be listed', async (db) => {
        const sql = `select * from muster.risks where tenant_id = ? and core_id = ?
          and (gone_at is null or gone_at >= coalesce(?::timestamptz, 'infinity'))`;
        return (await select<RiskRow>(db, sql, [...at, goneSince ?? null])).map(riskOf).sort(byUrgency);
      }),
    asked: () =>
      database.query('when sites were asked could not be read', async (db) => {
        const sql = `select source, asked_at, answered_at, because from muster.risk_sources where tenant_id = ? and core_id = ?
          and source <> ? order by source`;
        return (await select<AskedRow>(db, sql, [...at, turnRows.objectives])).map(askedOf);
      }),
    noteAsked: (source, askedAt, because) =>
      database.query('that a site was asked could not be kept', async (db) => {
        await select(
          db,
          `insert into muster.risk_sources (tenant_id, core_id, source, asked_at, answered_at, because)
           values (?, ?, ?, ?::timestamptz, ?::timestamptz, ?)
           on conflict (tenant_id, core_id, source) do update set asked_at = excluded.asked_at, because = excluded.because,
             answered_at = coalesce(excluded.answered_at, muster.risk_sources.answered_at)`,
          [...at, storableText(source), askedAt, because === null ? askedAt : null, because && storableText(because)],
        );
      }),
    takeTurn: (now, everyMs, of = 'readiness') =>
      database.transaction('whose turn it is could not be asked', (trx) =>
        takeTurn(trx, scope, { now, everyMs, source: turnRows[of] }),
      ),
  };
}

interface AskedRow {
  source: string;
  asked_at: Date;
  answered_at: Date | null;
  because: string | null;
}

const askedOf = ({ source, asked_at, answered_at, because }: AskedRow): SourceAsked => ({
  source,
  askedAt: asked_at.toISOString(),
  answeredAt: answered_at?.toISOString() ?? null,
  because,
});

const riskOf = ({ risk, since, seen_at, gone_at }: RiskRow): Risk => ({
  ...(JSON.parse(risk) as RiskFound),
  since: since.toISOString(),
  seenAt: seen_at.toISOString(),
  goneAt: gone_at?.toISOString() ?? null,
});

/** Where the last turn of each is kept: beside the sources of risks, of which `asked` tells; no source is called as the second. */
const turnRows: Readonly<Record<TurnOf, string>> = { readiness: installationSource, objectives: 'turn of objectives' };

/** By Postgres' clock, so that hosts' clocks may differ; `now` is only what is kept. */
async function takeTurn(
  trx: Knex,
  scope: Scope,
  { now, everyMs, source }: { readonly now: string; readonly everyMs: number; readonly source: string },
): Promise<boolean> {
  await lock(trx, scope);
  const at = [scope.tenantId, scope.coreId, source];
  const [row] = await select<{ due: boolean }>(
    trx,
    `select turn_at <= clock_timestamp() - make_interval(secs => ?) as due from muster.risk_sources
     where tenant_id = ? and core_id = ? and source = ? and turn_at is not null`,
    [everyMs / 1000, ...at],
  );
  if (row !== undefined && !row.due) return false;
  await select(
    trx,
    `insert into muster.risk_sources (tenant_id, core_id, source, asked_at, turn_at)
     values (?, ?, ?, ?::timestamptz, clock_timestamp())
     on conflict (tenant_id, core_id, source) do update set turn_at = excluded.turn_at`,
    [...at, now],
  );
  return true;
}

const lock = (trx: Knex, scope: Scope): Promise<void> => lockName(trx, `risks ${scope.tenantId}/${scope.coreId}`);

async function reconcile(trx: Knex, scope: Scope, round: RiskRound): Promise<{ appeared: number; gone: number }> {
  await lock(trx, scope);
  const sql = 'select * from muster.risks where tenant_id = ? and core_id = ? and gone_at is null';
  const open = new Map(
    (await select<RiskRow>(trx, sql, [scope.tenantId, scope.coreId])).map((row) => [row.risk_id, row]),
  );
  const { looked = () => true, unseen = () => false } = round;
  const found = worstOfEach(round.found).filter(
    ({ source, subject }) => round.asked.includes(source) && looked(subject),
  );
  const ids = new Set(found.map(({ id }) => storableText(id)));
  const isLooked = (risk: RiskFound): boolean => looked(risk.subject) && !unseen(risk);
  const over = [...open.values()].filter(
    ({ risk_id, source, risk }) =>
      !ids.has(risk_id) &&
      (round.asked.includes(source) || !round.sources.includes(source)) &&
      isLooked(JSON.parse(risk) as RiskFound),
  );
  for (const row of over) await close(trx, scope, row, round);
  const lasting: Lasting[] = [];
  let appeared = 0;
  let gone = over.length;
  for (const risk of found) {
    const before = open.get(storableText(risk.id));
    if (before !== undefined && !isEased(before, risk)) {
      lasting.push({ before, risk });
      continue;
    }
    if (before !== undefined) {
      await close(trx, scope, before, round);
      gone += 1;
    }
    appeared += await appear(trx, scope, risk, round);
  }
  await seeAgain(trx, scope, lasting, round);
  return { appeared, gone };
}

/** What was a warning at least and is only worth knowing now is over, and told so; what is left of it is there anew. */
const isEased = (before: RiskRow, now: RiskFound): boolean =>
  now.severity === 'info' && (JSON.parse(before.risk) as RiskFound).severity !== 'info';

async function appear(trx: Knex, scope: Scope, risk: RiskFound, round: RiskRound): Promise<1> {
  const id = [scope.tenantId, scope.coreId, storableText(risk.id)];
  const [row] = await select<{ appearance: number }>(
    trx,
    `insert into muster.risks (tenant_id, core_id, risk_id, appearance, source, risk, since, seen_at)
     select ?, ?, ?, coalesce(max(appearance), 0) + 1, ?, ?, ?::timestamptz, ?::timestamptz from muster.risks
     where tenant_id = ? and core_id = ? and risk_id = ? returning appearance`,
    [...id, storableText(risk.source), JSON.stringify(risk), round.at, round.at, ...id],
  );
  const notice = riskNotice(risk, row!.appearance, round.at, null);
  if (notice !== undefined) await putNotice(trx, scope, notice, round.rules(risk));
  return 1;
}

interface Lasting {
  readonly before: RiskRow;
  readonly risk: RiskFound;
}

/** Its words may change while it lasts: a lag grows. One that was not worth telling may become so, and what was told worse. */
async function seeAgain(trx: Knex, scope: Scope, lasting: readonly Lasting[], round: RiskRound): Promise<void> {
  if (lasting.length === 0) return;
  // Hundreds of servers have thousands: one statement for all of them.
  await select(
    trx,
    `update muster.risks as known set risk = seen.risk, seen_at = ?::timestamptz
     from unnest(?::text[], ?::integer[], ?::text[]) as seen (risk_id, appearance, risk)
     where known.tenant_id = ? and known.core_id = ? and known.risk_id = seen.risk_id and known.appearance = seen.appearance`,
    [
      round.at,
      lasting.map(({ before }) => before.risk_id),
      lasting.map(({ before }) => before.appearance),
      lasting.map(({ risk }) => JSON.stringify(risk)),
      ...[scope.tenantId, scope.coreId],
    ],
  );
  for (const { before, risk } of lasting) {
    const since = before.since.toISOString();
    const was = JSON.parse(before.risk) as RiskFound;
    const isTold = riskNotice(was, before.appearance, since, null) !== undefined;
    const isWorse = isTold && rankOf(risk.severity) > rankOf(was.severity);
    const notice = riskNotice(risk, before.appearance, since, null, isWorse);
    if (notice !== undefined && (isWorse || !isTold)) await putNotice(trx, scope, notice, round.rules(risk));
  }
}

async function close(trx: Knex, scope: Scope, row: RiskRow, round: RiskRound): Promise<void> {
  await select(
    trx,
    `update muster.risks set gone_at = ?::timestamptz where tenant_id = ? and core_id = ? and risk_id = ? and appearance = ?`,
    [round.at, scope.tenantId, scope.coreId, row.risk_id, row.appearance],
  );
  const risk = JSON.parse(row.risk) as RiskFound;
  const notice = riskNotice(risk, row.appearance, row.since.toISOString(), round.at);
  if (notice !== undefined) await putNotice(trx, scope, notice, round.rules(risk));
}
