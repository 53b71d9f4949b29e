/** docs/api.md and the routes say the same; `npx tsx tools/reference.ts` writes the page anew. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import { createApi } from '../../api/app';
import { defaultApiConfig } from '../../api/deps';
import { apiDocument, type Paths } from '../../api/documentation';
import { openApiDocument } from '../../api/openapi';
import { connectTemporal } from '../../api/temporal';
import { refusals } from '../../workflows/messages';
import { openStore } from '../../store/open-store';

const file = join(__dirname, '..', '..', 'docs', 'api.md');

test('docs/api.md lists every route with its answers and roles, every problem and every refusal', async () => {
  const scope = { tenantId: 'main', coreId: 'main' };
  const store = openStore('postgres://nobody@127.0.0.1:1/none');
  const temporal = connectTemporal({ address: '127.0.0.1:1', namespace: 'none' });
  const config = { ...defaultApiConfig, ...scope, version: '0', siteIds: [] };
  const evidence = { read: async () => undefined };
  const app = createApi({ store, temporal, evidence, config, clock: () => new Date(), log: pino({ level: 'silent' }) });
  const page = readFileSync(file, 'utf8');
  expect(page).toBe(apiDocument(page, openApiDocument(app, '0').paths as Paths));
  for (const refusal of refusals) expect(page).toContain(`\`${refusal}\``);
  await Promise.all([temporal.close(), store.close()]);
});
