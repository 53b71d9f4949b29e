/** What people are to be told (notices) and whom (notifications): written with the journal, sent later. */
import type { Migration } from './migration';

export const notifications: Migration = {
  version: 6,
  name: 'notifications',
  sql: `
    create table muster.notices (
      tenant_id text not null,
      core_id text not null,
      notice_id text not null,
      key text collate "C" not null,
      epoch integer not null,
      occasion text not null,
      stage integer not null,
      run_id text,
      parent_run_id text,
      cause text not null,
      notice text not null,
      rules text,
      state text not null check (state in ('new', 'addressed', 'settled')),
      due_at timestamptz not null,
      made_at timestamptz not null,
      primary key (tenant_id, core_id, notice_id),
      constraint notices_once unique (tenant_id, core_id, key, epoch, occasion, stage)
    );
    comment on column muster.notices.notice is 'Notice (model/notify/notice.ts) as JSON text';
    comment on column muster.notices.rules is 'Its own rules as JSON text; null: those of its run';
    create index notices_new on muster.notices (tenant_id, core_id, due_at) where state = 'new';

    create table muster.notifications (
      tenant_id text not null,
      core_id text not null,
      notification_id text not null,
      notice_id text not null,
      run_id text,
      epoch integer not null,
      channel text not null check (channel in ('mail', 'webhook')),
      recipient text not null,
      state text not null check (state in ('due', 'sent', 'failed', 'settled')),
      due_at timestamptz not null,
      made_at timestamptz not null,
      ended_at timestamptz,
      attempts integer not null default 0,
      error text,
      parcel_id text,
      leased_until timestamptz,
      primary key (tenant_id, core_id, notification_id),
      constraint notifications_once unique (tenant_id, core_id, notice_id, channel, recipient)
    );
    create index notifications_due on muster.notifications (tenant_id, core_id, channel, due_at) where state = 'due';
    create index notifications_of_run on muster.notifications (tenant_id, core_id, run_id, epoch);
    create index notifications_newest on muster.notifications (tenant_id, core_id, made_at desc);

    create table muster.sites_seen (
      tenant_id text not null,
      core_id text not null,
      site_id text not null,
      last_poll_at timestamptz,
      absent_since timestamptz,
      absences integer not null default 0,
      primary key (tenant_id, core_id, site_id)
    );

    select muster.grant_app('select, insert, update', 'muster.notices');
    select muster.grant_app('select, insert, update', 'muster.notifications');
    select muster.grant_app('select, insert, update', 'muster.sites_seen');
  `,
};
