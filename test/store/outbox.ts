/** A store whose notices and notifications grow older at a word: what they wait for is Postgres' clock, which no test sets. */
import { Client } from 'pg';
import type { OpenStore, StoreOptions } from '../../store/open-store';
import { withStore } from './store';

/** So much time has gone by; less than nothing: Postgres' clock was set back by so much. */
export type Pass = (ms: number) => Promise<void>;

export function withOutbox(
  use: (store: OpenStore, pass: Pass, url: string) => Promise<void>,
  options?: StoreOptions,
): Promise<void> {
  return withStore(async (store, url) => {
    const owner = new Client({ connectionString: url });
    await owner.connect();
    try {
      await use(store, (ms) => age(owner, ms), url);
    } finally {
      await owner.end();
    }
  }, options);
}

const times = {
  notices: ['due_at', 'made_at'],
  notifications: ['due_at', 'made_at', 'ended_at', 'leased_until'],
};

async function age(owner: Client, ms: number): Promise<void> {
  for (const [table, columns] of Object.entries(times)) {
    const earlier = columns.map((column) => `${column} = ${column} - $1::interval`).join(', ');
    await owner.query(`update muster.${table} set ${earlier}`, [`${ms} milliseconds`]);
  }
}
