/**
 * The record: chains, journal rows, flushes, the ledger; the application's role; and the triggers that keep what was
 * written.
 *
 * What enters a hash is text in the "C" collation and never jsonb or timestamptz: it must come back byte by byte (jsonb
 * reorders and refuses NUL), and UTC times with milliseconds sort as they are.
 */
import type { Migration } from './migration';

export const record: Migration = {
  version: 1,
  name: 'record',
  sql: `
    -- Roles belong to the cluster, so another database may have made it already, even at this moment. A login that may
    -- not create roles goes on as the tables' owner: the triggers below still hold.
    do $$
    begin
      if not exists (select from pg_roles where rolname = 'muster_app') then
        create role muster_app nologin;
      end if;
    exception
      when duplicate_object or unique_violation or insufficient_privilege then null;
    end $$;
    do $$
    begin
      if not pg_has_role(current_user, 'muster_app', 'member') then
        execute format('grant muster_app to %I', current_user);
      end if;
    exception
      when undefined_object or insufficient_privilege then null;
    end $$;

    create function muster.grant_app(privileges text, relation regclass) returns void language plpgsql as $$
    begin
      if exists (select from pg_roles where rolname = 'muster_app') then
        execute format('grant %s on %s to muster_app', privileges, relation);
      end if;
    end $$;
    do $$
    begin
      if exists (select from pg_roles where rolname = 'muster_app') then
        grant usage on schema muster to muster_app;
      end if;
    end $$;

    -- One row per chain: where it ends, and the lock under which it grows. run_id also names the installation's own
    -- chain ('installation') and the ledger ('ledger').
    create table muster.chains (
      tenant_id text not null,
      core_id text not null,
      run_id text not null,
      last_sequence integer not null default 0,
      last_hash text not null default repeat('0', 64),
      primary key (tenant_id, core_id, run_id)
    );

    create table muster.journal (
      tenant_id text not null,
      core_id text not null,
      run_id text not null,
      sequence integer not null check (sequence > 0),
      format smallint not null check (format = 1),
      parent_run_id text,
      kind text not null,
      at text collate "C" not null,
      actor_kind text not null,
      actor_id text not null,
      actor_name text not null,
      actor_role text,
      auth_method text not null,
      request_id text not null,
      address text not null,
      step text,
      item text,
      attempt integer,
      body text not null,
      previous_hash text not null,
      hash text not null,
      primary key (tenant_id, core_id, run_id, sequence)
    );

    -- Which batches of a run are in: what makes appending idempotent.
    create table muster.journal_flushes (
      tenant_id text not null,
      core_id text not null,
      run_id text not null,
      flush integer not null,
      content_sha256 text not null,
      last_sequence integer not null,
      last_hash text not null,
      stored_at timestamptz not null default clock_timestamp(),
      primary key (tenant_id, core_id, run_id, flush)
    );

    -- One row per closed run, chained across runs: a run cannot vanish unseen.
    create table muster.ledger (
      tenant_id text not null,
      core_id text not null,
      sequence integer not null check (sequence > 0),
      format smallint not null check (format = 1),
      run_id text not null,
      run_sequence integer not null,
      run_hash text not null,
      state text not null,
      closed_at text collate "C" not null,
      previous_hash text not null,
      hash text not null,
      primary key (tenant_id, core_id, sequence)
    );
    create index ledger_by_run on muster.ledger (tenant_id, core_id, run_id);

    create function muster.keep() returns trigger language plpgsql as $$
    begin
      if current_setting('muster.maintenance', true) = 'on'
         and (select rolsuper from pg_roles where rolname = current_user) then
        return case tg_op when 'DELETE' then old when 'UPDATE' then new else null end;
      end if;
      raise exception '% of %.% is refused: the record is only added to', tg_op, tg_table_schema, tg_table_name
        using errcode = 'insufficient_privilege',
              hint = 'Maintenance: as a superuser, SET muster.maintenance = ''on'' in the same session.';
    end $$;

    create trigger keep before update or delete on muster.journal for each row execute function muster.keep();
    create trigger keep_all before truncate on muster.journal for each statement execute function muster.keep();
    create trigger keep before update or delete on muster.journal_flushes for each row execute function muster.keep();
    create trigger keep_all before truncate on muster.journal_flushes for each statement execute function muster.keep();
    create trigger keep before update or delete on muster.ledger for each row execute function muster.keep();
    create trigger keep_all before truncate on muster.ledger for each statement execute function muster.keep();

    select muster.grant_app('select', 'muster.migrations');
    select muster.grant_app('select, insert, update', 'muster.chains');
    select muster.grant_app('select, insert', 'muster.journal');
    select muster.grant_app('select, insert', 'muster.journal_flushes');
    select muster.grant_app('select, insert', 'muster.ledger');
  `,
};
