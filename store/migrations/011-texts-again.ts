/** A text that was imported before may come back as a newer version: then it is what runs again. */
import type { Migration } from './migration';

export const textsAgain: Migration = {
  version: 11,
  name: 'texts again',
  sql: `
    alter table muster.runbooks drop constraint runbooks_text_once;
  `,
};
