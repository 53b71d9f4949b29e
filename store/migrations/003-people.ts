/** People, their tokens, and the idempotency keys of requests. A token is stored as its SHA-256 only. */
import type { Migration } from './migration';

export const people: Migration = {
  version: 3,
  name: 'people, tokens, idempotency keys',
  sql: `
    create table muster.people (
      tenant_id text not null,
      core_id text not null,
      person_id text not null,
      name text not null,
      role text not null check (role in ('viewer', 'auditor', 'operator', 'coordinator', 'admin')),
      created_at timestamptz not null,
      primary key (tenant_id, core_id, person_id),
      constraint people_name_once unique (tenant_id, core_id, name)
    );

    create table muster.tokens (
      tenant_id text not null,
      core_id text not null,
      token_id text not null,
      person_id text not null,
      token_sha256 text not null unique,
      created_at timestamptz not null,
      expires_at timestamptz,
      revoked_at timestamptz,
      primary key (tenant_id, core_id, token_id),
      foreign key (tenant_id, core_id, person_id) references muster.people
    );
    create index tokens_by_person on muster.tokens (tenant_id, core_id, person_id);

    create table muster.idempotency_keys (
      tenant_id text not null,
      core_id text not null,
      key text not null,
      content_sha256 text not null,
      run_id text not null,
      first_seen_at timestamptz not null default clock_timestamp(),
      primary key (tenant_id, core_id, key)
    );

    select muster.grant_app('select, insert, update', 'muster.people');
    select muster.grant_app('select, insert, update', 'muster.tokens');
    select muster.grant_app('select, insert', 'muster.idempotency_keys');
  `,
};
