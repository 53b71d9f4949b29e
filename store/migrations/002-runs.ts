/** Projections that lists are made of: runs, computed from their events; servers under protection. */
import type { Migration } from './migration';

export const runs: Migration = {
  version: 2,
  name: 'runs and servers',
  sql: `
    create table muster.runs (
      tenant_id text not null,
      core_id text not null,
      run_id text collate "C" not null,
      parent_run_id text,
      procedure text not null,
      mode text not null,
      server_id text not null,
      server_name text not null,
      state text not null,
      current_step text,
      stuck_since text collate "C",
      requested_by text not null,
      started_at text collate "C" not null,
      closed_at text collate "C",
      projection text not null,
      primary key (tenant_id, core_id, run_id)
    );
    comment on column muster.runs.projection is 'The whole projection (model/run-projection.ts) as JSON text';
    create index runs_newest on muster.runs (tenant_id, core_id, started_at desc, run_id desc);
    create index runs_by_state on muster.runs (tenant_id, core_id, state, started_at desc, run_id desc);
    create index runs_by_server on muster.runs (tenant_id, core_id, server_id, started_at desc, run_id desc);

    create table muster.servers (
      tenant_id text not null,
      core_id text not null,
      server_id text not null,
      name text collate "C" not null,
      spec text not null,
      saved_at timestamptz not null default clock_timestamp(),
      primary key (tenant_id, core_id, server_id),
      constraint servers_name_once unique (tenant_id, name)
    );
    comment on column muster.servers.spec is 'ServerSpec (model/server.ts) as JSON text';

    select muster.grant_app('select, insert, update', 'muster.runs');
    select muster.grant_app('select, insert, update, delete', 'muster.servers');
  `,
};
