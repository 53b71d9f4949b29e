/** What rehearsals have shown, by runbook and by server: a projection of the journal. */
import type { Migration } from './migration';

export const rehearsals: Migration = {
  version: 5,
  name: 'rehearsals',
  sql: `
    create table muster.rehearsals (
      tenant_id text not null,
      core_id text not null,
      run_id text collate "C" not null,
      parent_run_id text collate "C",
      runbook text collate "C",
      sha256 text,
      server_id text,
      state text not null,
      opened_at text collate "C" not null,
      closed_at text collate "C",
      facts text not null,
      primary key (tenant_id, core_id, run_id),
      constraint rehearsals_of_one check ((runbook is null) <> (server_id is null))
    );
    comment on column muster.rehearsals.facts is 'The whole entry (model/readiness/rehearsed.ts) as JSON text';
    create index rehearsals_by_runbook on muster.rehearsals (tenant_id, core_id, runbook, closed_at desc)
      where runbook is not null;
    create index rehearsals_by_plan on muster.rehearsals (tenant_id, core_id, parent_run_id, server_id, opened_at desc)
      where server_id is not null;
    select muster.grant_app('select, insert, update', 'muster.rehearsals');
  `,
};
