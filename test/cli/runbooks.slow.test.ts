/** `muster runbook` from the outside, against a served API with a real site behind it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import { serveApi, type ServedApi } from '../../api/server';
import { openTestStack, siteId, type TestStack } from '../api/stack';
import { storyServer } from '../support/order';
import { longestLine, muster, startMuster, type Ran } from './muster';

let stack: TestStack;
let served: ServedApi;
let folder: string;

beforeAll(async () => {
  stack = await openTestStack();
  served = await serveApi(stack.deps, { host: '127.0.0.1', port: 0 });
  folder = await mkdtemp(join(tmpdir(), 'muster-runbooks-'));
  const nics = [{ ...storyServer.nics[0]!, network: 'lan' }];
  for (const name of ['shop-db', 'shop-app', 'shop-web']) {
    await stack.store.servers.save({ ...storyServer, id: uuidv7(), name, nics, recoverySiteId: siteId });
  }
  await stack.startWorkers();
});
afterAll(async () => {
  await served?.stop();
  await stack?.close();
  await rm(folder, { recursive: true, force: true });
});

const env = () => ({ MUSTER_URL: served.url, MUSTER_TOKEN: stack.tokens.coordinator });
const run = (...args: string[]): Promise<Ran> => muster(['runbook', ...args], env());
const file = async (name: string, text: string): Promise<string> => {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
};
const shop = `format: 1
name: shop
title: Shop
networks: { recovery: { lan: lan } }
defaults: { hardware: kvm-virtio }
waves:
  - name: data
    servers: [{ name: shop-db }]
  - name: application
    after: [data]
    servers: [{ name: shop-app }, { name: shop-web }]
`;

test('what is wrong is said with file, line and column, fits 80 columns, and the exit code is not 0', async () => {
  const path = await file('wrong.yaml', shop.replace('lan: lan', 'lan: no-such-network').replace('[data]', '[dato]'));
  const checked = await run('check', path);
  expect(checked.exitCode).toBe(3);
  expect(checked.stdout).toContain(`${path}:4:25:`);
  expect(checked.stdout.replace(/\s+/g, ' ')).toContain('error: found "no-such-network", needed a network of site dr');
  expect(checked.stdout).toContain(`${path}:10:13:`);
  expect(checked.stdout).toContain('Is "data" meant?');
  expect(checked.stdout).toMatch(/^shop: \d errors$/m);
  expect(longestLine(checked.stdout)).toBeLessThanOrEqual(80);
  const json = await run('check', path, '--json');
  expect(json.exitCode).toBe(3);
  expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, file: path, problems: expect.any(Array) });
  const imported = await run('import', path);
  expect(imported).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('nothing was imported') });
  expect((await run('check', join(folder, 'none.yaml'))).exitCode).toBe(2);
}, 120_000);

test('a correct runbook is checked from standard input, imported once, listed and shown as it was written', async () => {
  const piped = startMuster(['runbook', 'check', '-'], env());
  piped.stdin?.end(shop);
  expect(await piped).toMatchObject({ exitCode: 0, stdout: 'shop: nothing wrong' });
  const path = await file('shop.yaml', shop);
  expect(await run('import', path)).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('Imported shop, version 1'),
  });
  expect((await run('import', path)).stdout).toContain('version 1 of shop already');
  await run('import', await file('shop-2.yaml', `${shop}# changed\n`));
  const list = await run('list');
  expect(list.stdout).toMatch(/^shop +2 +3 +Shop .*coordinat/m);
  expect(longestLine(list.stdout)).toBeLessThanOrEqual(80);
  expect((await run('show', 'shop', '1', '--text')).stdout).toBe(shop.trimEnd());
  const shown = await run('show', 'shop');
  expect(shown.stdout).toMatch(/^shop, version 2$/m);
  expect(shown.stdout).toContain('version 1');
  expect((await run('show', 'shap')).exitCode).toBe(5);
}, 120_000);

test('a plan is shown of a file and of an imported runbook, and one with errors is not', async () => {
  const path = await file('plan.yaml', shop.replace('name: shop\n', 'name: planned\nlimits: { atOnce: 1 }\n'));
  const shown = await run('plan', path);
  expect(shown.exitCode).toBe(0);
  expect(shown.stdout).toContain('Shop (planned, not imported), as a recovery');
  expect(shown.stdout).toMatch(/shop-db +– +– +unknown: never run here/);
  expect(shown.stdout.replace(/\s+/g, ' ')).toContain('one of operator, coordinator, admin');
  expect(longestLine(shown.stdout)).toBeLessThanOrEqual(80);
  expect((await run('plan', 'shop', '--rehearsal')).stdout).toContain('Shop (shop, version 2), as a rehearsal');
  const wrong = await run('plan', await file('wrong-plan.yaml', shop.replace('name: shop-db', 'name: shop-bd')));
  expect(wrong).toMatchObject({ exitCode: 3, stdout: expect.stringContaining('no plan') });
  expect((await run('plan', 'nothing')).exitCode).toBe(5);
}, 120_000);

test('a runbook for leaving a site is printed as it can be imported', async () => {
  await run('import', await file('shop.yaml', shop));
  const printed = await run('evacuation', storyServer.source.siteId);
  expect([printed.exitCode, printed.stderr]).toEqual([0, '']);
  expect(longestLine(printed.stdout)).toBeLessThanOrEqual(80);
  const imported = await run('import', await file('leave.yaml', printed.stdout));
  expect([imported.exitCode, imported.stdout]).toEqual([
    0,
    expect.stringMatching(/^Imported evacuation-of-\S+, version 1/),
  ]);
  const nowhere = await run('evacuation', 'nowhere');
  expect([nowhere.exitCode, nowhere.stdout]).toEqual([5, '']);
});
