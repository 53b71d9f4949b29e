/** Writes the generated parts of docs/api.md and docs/cli.md: `npx tsx tools/reference.ts`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import { createApi } from '../api/app';
import { defaultApiConfig } from '../api/deps';
import { apiDocument, type Paths } from '../api/documentation';
import { openApiDocument } from '../api/openapi';
import { connectTemporal } from '../api/temporal';
import { cliDocument } from '../cli/documentation';
import { openStore } from '../store/open-store';

const docs = join(__dirname, '..', 'docs');

function rewrite(name: string, fill: (page: string) => string): void {
  const file = join(docs, name);
  writeFileSync(file, fill(readFileSync(file, 'utf8')));
}

/** Nothing is connected: the routes are only asked what they are. */
function paths(): Paths {
  const app = createApi({
    store: openStore('postgres://nobody@127.0.0.1:1/none'),
    temporal: connectTemporal({ address: '127.0.0.1:1', namespace: 'none' }),
    evidence: { read: async () => undefined },
    config: { ...defaultApiConfig, tenantId: 'main', coreId: 'main', version: '0', siteIds: [] },
    clock: () => new Date(),
    log: pino({ level: 'silent' }),
  });
  return openApiDocument(app, '0').paths as Paths;
}

rewrite('api.md', (page) => apiDocument(page, paths()));
rewrite('cli.md', cliDocument);
