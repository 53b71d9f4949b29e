/** Where people's roles hold, where runs are, and what waits for people: one row for as long as it waits. */
import type { Migration } from './migration';

export const waiting: Migration = {
  version: 7,
  name: 'scopes of people, places of runs, what waits for people',
  sql: `
    alter table muster.people add column scopes text not null default '[]';
    comment on column muster.people.scopes is 'AccessScope[] (model/people.ts) as JSON text; empty: everywhere';

    alter table muster.runs add column sites text[], add column runbooks text[];
    comment on column muster.runs.sites is 'Recovery sites; null in runs of earlier versions: shown to roles that hold everywhere';

    create table muster.parkings (
      tenant_id text not null,
      core_id text not null,
      run_id text not null,
      epoch integer not null,
      urgency smallint not null,
      tier integer not null,
      since text collate "C" not null,
      mode text not null,
      sites text[] not null,
      runbooks text[] not null,
      claimed_by text,
      waiting text not null,
      primary key (tenant_id, core_id, run_id, epoch)
    );
    comment on table muster.parkings is 'Computed with the journal; a row goes when nobody is waited for any more';
    comment on column muster.parkings.epoch is '0: an abort of the run that needs a second pair of eyes';
    comment on column muster.parkings.urgency is 'recovery before rehearsal, stuck before gate (model/stuck.ts)';
    comment on column muster.parkings.waiting is 'WaitingItem (model/stuck.ts) as JSON text';
    create index parkings_by_urgency on muster.parkings
      (tenant_id, core_id, urgency, tier, since, run_id, epoch);

    select muster.grant_app('select, insert, update, delete', 'muster.parkings');
  `,
};
