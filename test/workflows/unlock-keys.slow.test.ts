/** Keys of encrypted volumes: only references travel, and what they mean reaches the disk toolkit and nothing else. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { decide, openWorld, parked, type World } from '../support/world';

const canary = 'c4n4ry-k3y-of-a-volume';
let world: World;
const given: string[][] = [];

beforeAll(async () => {
  world = await openWorld({
    recoverySite: (site) => ({
      ...site,
      disks: {
        ...site.disks,
        inoculate: (disks, hardware, options) => {
          given.push((options?.unlockKeys ?? []).map((key) => Buffer.from(key).toString()));
          return site.disks.inoculate(disks, hardware, options);
        },
      },
    }),
  });
  await mkdir(join(world.folder, 'secrets'), { mode: 0o700 });
}, 60_000);
afterAll(async () => world?.close());

/** Every file below the world's folder that holds the canary, except the secret itself. */
async function filesWithCanary(): Promise<string[]> {
  const entries = await readdir(world.folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const found = [];
  for (const path of paths) if ((await readFile(path)).includes(canary)) found.push(path);
  return found;
}

test('a missing key parks the step, a reference goes on, and the key stands nowhere but in its file', async () => {
  const server = { ...(await world.server('locked')), unlockKeys: [{ from: 'file', name: 'gone' } as const] };
  await world.production.platform.power({ name: 'locked', owner: null }, 'off');
  const handle = await world.start(world.order(server));
  const parking = await parked(handle);
  expect(parking).toMatchObject({
    step: 'inoculate',
    kind: 'stuck',
    provides: expect.arrayContaining(['unlockKeys']) as string[],
  });
  expect(parking.cause).toContain('the secret file:gone cannot be used');
  expect(given).toEqual([]);

  const secret = join(world.folder, 'secrets', 'locked-disk');
  await writeFile(secret, `${canary}\n`, { mode: 0o600 });
  await expect(decide(handle, parking, 'provide', { input: { unlockKeys: [canary] } })).rejects.toThrow();
  await decide(handle, parking, 'provide', { input: { unlockKeys: ['file:locked-disk'] } });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect(given).toEqual([[canary]]);

  const history = historyToJSON(await handle.fetchHistory());
  const journal = JSON.stringify(await world.store.journal.rows(handle.runOrder.runId));
  expect(decoded(history)).toContain('locked-disk');
  for (const text of [history, decoded(history), journal]) expect(text).not.toContain(canary);
  expect(journal).toContain('locked-disk');
  expect(await filesWithCanary()).toEqual([secret]);
}, 120_000);

/** Payloads of a history are base64. */
const decoded = (history: string): string =>
  [...history.matchAll(/"data":\s*"([A-Za-z0-9+/=]+)"/g)]
    .map((payload) => Buffer.from(payload[1]!, 'base64').toString())
    .join('\n');
