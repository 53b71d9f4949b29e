/** What the worker's composition gives its activities: here, what readiness is told of the worker's own host. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { loadConfiguration } from '../../config/load';
import type { ReadinessAnswer } from '../../model/readiness/site-readiness';
import { createServices, type Services } from '../../worker/services';

const path = process.env['PATH'];
let folder: string;
let services: Services;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-services-'));
  const config = join(folder, 'muster.yaml');
  writeFileSync(config, 'sites: [{ id: dr, kind: simulated }]\nsources: [{ id: hall, kind: simulated }]\n');
  const configuration = loadConfiguration({
    MUSTER_CONFIG: config,
    MUSTER_DATA_FOLDER: join(folder, 'data'),
    MUSTER_POSTGRES_URL: 'postgres://nobody@127.0.0.1:1/none',
  });
  services = createServices(configuration, { id: 'worker-1', log: pino({ enabled: false }) });
});
afterEach(async () => {
  process.env['PATH'] = path;
  await services.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Room on the storage is another matter. */
const missingTools = async (): Promise<ReadinessAnswer['host']> =>
  (await services.activities.hostChecks!()).filter(({ name }) => name.startsWith('tools.'));

test('a program that is missing on the host of the worker is among what readiness is told of it, with what to do', async () => {
  expect(await missingTools()).toEqual([]);
  process.env['PATH'] = folder;
  expect(await missingTools()).toEqual([
    expect.objectContaining({
      ...{ name: 'tools.setpriv', severity: 'problem', found: 'setpriv is not on PATH' },
      remedy: expect.stringContaining('util-linux') as string,
    }),
  ]);
});
