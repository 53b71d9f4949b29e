/** How long steps took in runs that succeeded: what is expected of the next ones comes from here. Can be made again from the journal. */
import type { Migration } from './migration';

export const runTimes: Migration = {
  version: 10,
  name: 'run times',
  sql: `
    create table muster.run_times (
      tenant_id text not null,
      core_id text not null,
      run_id text collate "C" not null,
      procedure text not null,
      option text not null,
      server_id text not null,
      site_id text not null,
      closed_at text collate "C" not null,
      times text not null,
      primary key (tenant_id, core_id, run_id)
    );
    comment on column muster.run_times.times is 'PastTimes (model/estimate/past.ts) as JSON text';
    create index run_times_by_server on muster.run_times (tenant_id, core_id, server_id, procedure, option, closed_at desc);
    create index run_times_by_site on muster.run_times (tenant_id, core_id, site_id, procedure, option, closed_at desc);
    select muster.grant_app('select, insert', 'muster.run_times');
  `,
};
