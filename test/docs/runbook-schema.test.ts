/** The published JSON Schema, read by a reader that is not the one it was made with, and the examples in runbooks/. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv2020 from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';
import { evacuationOf } from '../../model/runbook/evacuation';
import { checkRunbook, type Inventory, type InventoryServer } from '../../model/runbook/check';
import { runbookOf } from '../../model/schema/normalise';
import { readRunbook } from '../../model/schema/read-runbook';
import { runbookJsonSchema } from '../../model/schema/runbook-json-schema';
import { located } from '../../model/schema/read-runbook';
import { example, keysOf } from '../../tools/runbook-documents';
import { muster } from '../cli/muster';

const folder = join(__dirname, '../../runbooks');
const examples = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
const textOf = (name: string): string => readFileSync(join(folder, name), 'utf8');
const published = JSON.parse(textOf('runbook.schema.json')) as object;
const ajv = new Ajv2020({ allErrors: true, strict: false });
addFormats(ajv, ['email', 'ipv4', 'ipv6', 'date']);
for (const format of ['cidrv4', 'cidrv6']) ajv.addFormat(format, /^[0-9a-f.:]+\/\d+$/i);
const fits = ajv.compile(published);

test('every key has a meaning', () => {
  const keys = keysOf(runbookJsonSchema());
  expect(keys.length).toBeGreaterThan(100);
  expect(keys.filter(({ node }) => !node.description).map(({ path }) => path)).toEqual([]);
});

test('every key has an example, and it fits', () => {
  const wrong = keysOf(runbookJsonSchema()).filter(({ node }) => {
    const one = example(node);
    return one === undefined || JSON.stringify(one) === '{}' || !ajv.validate(node, one);
  });
  expect(wrong.map(({ path }) => path)).toEqual([]);
});

test('whoever has the command line has the schema, without an API', async () => {
  expect(await muster(['runbook', 'schema'])).toMatchObject({
    exitCode: 0,
    stdout: textOf('runbook.schema.json').trimEnd(),
  });
});

test.each(examples)('%s fits the schema and names it for editors', (name) => {
  expect([fits(parse(textOf(name))), fits.errors]).toEqual([true, null]);
  expect(textOf(name)).toMatch(/^# yaml-language-server: \$schema=\.\/runbook\.schema\.json$/m);
});

test('there is an example of each kind', () => {
  expect(examples.sort()).toEqual([
    ...['failback.yaml', 'machines-large.yaml', 'machines-medium.yaml', 'machines-small.yaml'],
    ...['single-server.yaml', 'site-evacuation.yaml', 'three-tier.yaml'],
  ]);
});

const shop = () => parse(textOf('three-tier.yaml'));
test.each<[string, (file: ReturnType<typeof shop>) => void]>([
  ['no name', (file) => delete file.name],
  ['a key that does not exist', (file) => (file.wave = [])],
  ['a duration without a unit', (file) => (file.rehearsal.giveUpAfter = 2)],
  ['another format', (file) => (file.format = 2)],
  ['an unknown hardware profile', (file) => (file.defaults.hardware = 'toaster')],
  ['a wave without servers', (file) => (file.waves[0].servers = [])],
  ['a server without a name', (file) => (file.waves[0].servers[0] = {})],
  ['an unknown role', (file) => (file.gates['data-is-good'].approvers.roles = ['king'])],
  ['a limit of none', (file) => (file.limits.boots.recovery = 0)],
  ['a command as one text', (file) => (file.waves[0].servers[0].verify[0].command = 'status --all')],
])('%s is refused by the schema as by Muster', (_what, spoil) => {
  const file = shop();
  spoil(file);
  expect(fits(file)).toBe(false);
  expect(readRunbook(JSON.stringify(file)).file).toBeUndefined();
});

/** The installation that the examples were written for. */
const names = ['app01', 'shop-db', 'shop-app', 'shop-web', 'dns01', 'dns02', 'jump01', 'files01', 'mail01', 'dwh01', 'reports01'];
const server = (name: string): [string, InventoryServer] => [
  name,
  { name, recoverySiteId: 'recovery', sourceSiteId: 'production', networks: [name.startsWith('shop-') ? 'shop-lan' : 'lan'], tier: 1, objectives: { rpoMs: 60_000, rtoMs: 3_600_000 } },
];
const site = {
  networks: new Map([
    ['user', { isolated: false }],
    ['rack-lan', { isolated: false }],
    ['rack-lab', { isolated: true }],
  ]),
  hardware: ['kvm-virtio', 'vmware-pvscsi', 'physical-nvme', 'physical-ahci'],
  machines: [
    { name: 'rack-7', hardware: 'physical-nvme' },
    { name: 'rack-8', hardware: 'physical-ahci' },
  ],
};
const inventory: Inventory = {
  servers: new Map(names.map(server)),
  sites: new Map([
    ['recovery', site],
    ['production', { ...site, networks: new Map([['shop-lan', { isolated: false }]]) }],
  ]),
  runbooks: new Map(examples.map((name) => [name.replace('.yaml', ''), []])),
  choosable: examples.map((name) => {
    const { servers, includes, ...runbook } = runbookOf(readRunbook(textOf(name)).file!);
    return { ...runbook, servers: servers.map((one) => one.name), includes: includes.map((one) => one.runbook) };
  }),
  steps: ['prove-boot'],
  webhooks: null,
  programs: null,
  people: new Map([
    ['ada', { role: 'coordinator' }],
    ['bert', { role: 'admin' }],
  ]),
};

test.each(examples)('%s has nothing wrong on an installation that fits', (name) => {
  const { file, problems, locate } = readRunbook(textOf(name));
  expect(problems).toEqual([]);
  expect(located(checkRunbook(file!, inventory), locate)).toEqual([]);
  expect(file!.name).toBe(name.replace('.yaml', ''));
});

test('the example of an evacuation includes what Muster would choose, in its order', () => {
  const { includes, leftOut } = evacuationOf(inventory.choosable!, names);
  const chosen = includes.map(({ runbook, after }) => ({ runbook, ...(after.length === 0 ? {} : { after }) }));
  expect([chosen, leftOut]).toEqual([parse(textOf('site-evacuation.yaml')).includes, []]);
});

test('what the tutorial builds first is a correct runbook, and all that it adds is of the schema', () => {
  const tutorial = readFileSync(join(folder, '../docs/writing-a-runbook.md'), 'utf8');
  const pieces = [...tutorial.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text]) => text!);
  const first = pieces.find((text) => text.startsWith('format: 1'))!;
  const { file, problems, locate } = readRunbook(first);
  expect(problems).toEqual([]);
  expect(located(checkRunbook(file!, inventory), locate)).toEqual([]);
  const additions = pieces.filter((text) => /^(limits|gates|objectives):/.test(text));
  expect(additions).toHaveLength(3);
  expect(readRunbook([first, ...additions].join('')).problems).toEqual([]);
});
