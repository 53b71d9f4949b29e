/** The API's routes as its OpenAPI document lists them, for docs/api.md. Nothing is connected: they are only read. */
import pino from 'pino';
import { createApi } from '../api/app';
import { defaultApiConfig } from '../api/deps';
import type { Paths } from '../api/documentation';
import { openApiDocument } from '../api/openapi';
import { connectTemporal } from '../api/temporal';
import { openStore } from '../store/open-store';

export async function apiPaths(): Promise<Paths> {
  const store = openStore('postgres://nobody@127.0.0.1:1/none', { tenantId: 'main', coreId: 'main' });
  const temporal = connectTemporal({ address: '127.0.0.1:1', namespace: 'none' });
  const app = createApi({
    store,
    temporal,
    evidence: { read: async () => undefined },
    config: { ...defaultApiConfig, tenantId: 'main', coreId: 'main', version: '0', siteIds: [] },
    clock: () => new Date(),
    log: pino({ level: 'silent' }),
  });
  const paths = openApiDocument(app, '0').paths as Paths;
  await Promise.all([temporal.close(), store.close()]);
  return paths;
}
