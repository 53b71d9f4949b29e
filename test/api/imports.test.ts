/** The newest import is what runs: a text that comes back, two who import at once, and the schedule after each. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serveApi, type ServedApi } from '../../api/server';
import type { ApiDeps } from '../../api/deps';
import type { Schedule } from '../../model/runbook/runbook';
import { muster } from '../cli/muster';
import { serverSpec } from '../store/run-events';
import { caller, openTestStack, siteId, type Call, type TestStack } from './stack';

let stack: TestStack;
let call: Call;
let served: ServedApi;
/** What Temporal would start rehearsals by; null: it has no schedule any more. */
let scheduled: string | null | undefined;
let whileSaving: () => Promise<unknown> = () => Promise.resolve();

beforeAll(async () => {
  stack = await openTestStack();
  const lan = { networks: [{ name: 'lan', isolated: false }], hardware: ['kvm-virtio'], programs: [] };
  const keep = async (cron: string | null): Promise<void> => {
    const meanwhile = whileSaving;
    whileSaving = () => Promise.resolve();
    await meanwhile();
    scheduled = cron;
  };
  const temporal: ApiDeps['temporal'] = {
    ...stack.deps.temporal,
    viewSite: () => Promise.resolve(lan),
    saveSchedule: (_of: unknown, { cron }: Schedule) => keep(cron),
    removeSchedule: () => keep(null),
  };
  const deps = { ...stack.deps, temporal };
  call = caller({ ...stack, deps });
  served = await serveApi(deps, { host: '127.0.0.1', port: 0 });
  await stack.store.servers.save(serverSpec({ id: 'id-db01', name: 'db01', recoverySiteId: siteId }));
});
afterAll(async () => {
  await served?.stop();
  await stack?.close();
});

const text = (name: string, hour: number | null): string => `format: 1
name: ${name}
title: Runbook ${name}
networks: { recovery: { office: lan } }
defaults: { hardware: kvm-virtio }
waves: [{ name: data, servers: [{ name: db01 }] }]
${hour === null ? '' : `rehearsal: { schedule: { cron: '0 ${hour} * * *', timezone: Europe/Berlin } }\n`}`;
const imports = (body: string) => call('POST', '/runbooks', { body: { text: body } });
const newest = async (name: string) => (await call('GET', `/runbooks/${name}`)).body;

test('an earlier text that is imported again is the newest again, with its schedule; the newest again changes nothing', async () => {
  const [first, second] = [text('shop', 3), text('shop', null)];
  expect(await imports(first)).toMatchObject({ status: 201, body: { version: 1, seenBefore: false, sameAs: null } });
  expect(await imports(second)).toMatchObject({ status: 201, body: { version: 2, seenBefore: false, sameAs: null } });
  expect(scheduled).toBeNull();
  const again = await imports(first);
  expect(again).toMatchObject({ status: 201, body: { version: 3, seenBefore: false, sameAs: 1 } });
  expect([(await newest('shop')).text, scheduled]).toEqual([first, '0 3 * * *']);
  expect(await imports(first)).toMatchObject({ status: 200, body: { version: 3, seenBefore: true, sameAs: null } });
  const { versions, sha256 } = await newest('shop');
  expect(versions).toMatchObject([{ version: 3, sha256 }, { version: 2 }, { version: 1, sha256 }]);
  // What runs by its text alone is the newest that has it.
  const { body } = await call('POST', '/runbooks/plan', { body: { text: first } });
  expect(body.problems).toEqual([]);
});

test('the command line says which version came back', async () => {
  const [first, second] = [join(stack.folder, 'first.yaml'), join(stack.folder, 'second.yaml')];
  await Promise.all([writeFile(first, text('mail', null)), writeFile(second, text('mail', 4))]);
  const env = { MUSTER_URL: served.url, MUSTER_TOKEN: stack.tokens.coordinator };
  const said: string[] = [];
  for (const file of [first, second, first, first]) {
    const { exitCode, stderr, stdout } = await muster(['runbook', 'import', file], env);
    expect([exitCode, stderr]).toEqual([0, '']);
    said.push(
      stdout
        .split('\n')
        .at(-1)!
        .replace(/ \(SHA-256.*/s, ''),
    );
  }
  expect(said).toEqual([
    'Imported mail, version 1',
    'Imported mail, version 2',
    'Imported mail, version 3, the text of version 1 again',
    'This very text is version 3 of mail already',
  ]);
});

test('of two who import at once the schedule is that of the version that is the newest in the end', async () => {
  whileSaving = () => imports(text('bank', 5));
  expect((await imports(text('bank', 6))).status).toBe(201);
  expect([(await newest('bank')).text, scheduled]).toEqual([text('bank', 5), '0 5 * * *']);
});

test('an import that others overtake again and again ends, and says that its schedule is looked at later', async () => {
  const other = { name: 'desk', title: 'Runbook desk', tier: 1, includes: [], importedBy: 'somebody' };
  let overtaken = 0;
  const overtake = async (): Promise<void> => {
    if (overtaken === 20) return;
    overtaken += 1;
    whileSaving = overtake;
    await stack.store.runbooks.import({ ...other, text: text('desk', overtaken) });
  };
  whileSaving = overtake;
  const { status, body } = await imports(text('desk', 0));
  whileSaving = () => Promise.resolve();
  expect([status, body.version, overtaken]).toEqual([201, 1, 5]);
  expect(body.notScheduled).toBe(
    'The schedule of desk could not be changed: it was imported 5 times while that was tried. It is tried again by itself; look at `muster schedule list`',
  );
});
