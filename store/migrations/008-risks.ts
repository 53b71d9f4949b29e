/** Risks with the times at which they appeared and went, and who was asked when. */
import type { Migration } from './migration';

export const risks: Migration = {
  version: 8,
  name: 'risks',
  sql: `
    create table muster.risks (
      tenant_id text not null,
      core_id text not null,
      risk_id text collate "C" not null,
      appearance integer not null check (appearance > 0),
      source text not null,
      risk text not null,
      since timestamptz not null,
      seen_at timestamptz not null,
      gone_at timestamptz,
      primary key (tenant_id, core_id, risk_id, appearance)
    );
    comment on column muster.risks.risk is 'RiskFound (model/readiness/risks.ts) as JSON text, as it was seen last';
    create unique index risks_open_once on muster.risks (tenant_id, core_id, risk_id) where gone_at is null;
    create index risks_gone on muster.risks (tenant_id, core_id, gone_at) where gone_at is not null;

    create table muster.risk_sources (
      tenant_id text not null,
      core_id text not null,
      source text not null,
      asked_at timestamptz not null,
      answered_at timestamptz,
      because text,
      turn_at timestamptz,
      primary key (tenant_id, core_id, source)
    );
    select muster.grant_app('select, insert, update', 'muster.risks');
    select muster.grant_app('select, insert, update', 'muster.risk_sources');
  `,
};
