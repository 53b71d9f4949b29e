/** A store on a database of its own, closed before the database is dropped. */
import { openStore, type OpenStore, type StoreOptions } from '../../store/open-store';
import { withDb } from '../support/postgres';

export function withStore(
  use: (store: OpenStore, url: string) => Promise<void>,
  options?: StoreOptions,
): Promise<void> {
  return withDb(async ({ url }) => {
    const store = openStore(url, options);
    try {
      await use(store, url);
    } finally {
      await store.close();
    }
  });
}
