/** Runbooks as they were imported: a version is never changed, and its text is what its hash says. */
import type { Migration } from './migration';

export const runbooks: Migration = {
  version: 4,
  name: 'runbooks',
  sql: `
    create table muster.runbooks (
      tenant_id text not null,
      core_id text not null,
      name text not null,
      version integer not null check (version > 0),
      sha256 text not null,
      text text not null,
      title text not null,
      tier integer not null,
      includes text not null,
      imported_by text not null,
      imported_at timestamptz not null,
      primary key (tenant_id, core_id, name, version),
      constraint runbooks_text_once unique (tenant_id, core_id, name, sha256)
    );
    select muster.grant_app('select, insert', 'muster.runbooks');
  `,
};
