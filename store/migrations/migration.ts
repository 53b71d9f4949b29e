/** One step of the schema. Numbered, forward-only, run in one transaction; never changed once it was released. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  /** Any number of statements. No question marks: knex would take them for bindings. */
  readonly sql: string;
}
