/** Runs of runbooks among the runs: which text each runs, what belongs to it, and what it needs to know of each of its servers. */
import type { Migration } from './migration';

export const plans: Migration = {
  version: 9,
  name: 'plans',
  sql: `
    alter table muster.runs
      add column runbook text collate "C",
      add column runbook_version integer,
      add column runbook_sha256 text,
      add column facts text;
    comment on column muster.runs.facts is 'What a plan needs of each server (model/run-facts.ts) as JSON text; null in earlier rows';
    create index runs_by_plan on muster.runs (tenant_id, core_id, parent_run_id, server_name, started_at desc)
      where parent_run_id is not null;
    create index runs_by_runbook on muster.runs (tenant_id, core_id, runbook, started_at desc, run_id desc)
      where runbook is not null;
  `,
};
