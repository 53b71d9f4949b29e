/** What is wrong with a runbook is said with line and column, and all of it at once. */
import { stepsOfServers } from '../../../api/runbooks/step-moments';
import type { AccessScope } from '../../../model/people';
import { checkRunbook, type Inventory } from '../../../model/runbook/check';
import { located, readRunbook } from '../../../model/schema/read-runbook';
import { inventory, shop } from './inventory';

/** `line:column found, needed` of everything that is said about a text. */
function said(text: string, known: Inventory | null = inventory()): string[] {
  const { file, problems, locate } = readRunbook(text);
  const all = file === undefined ? problems : located(checkRunbook(file, known), locate);
  return all.map(({ position, found, needed, remedy = '', severity }) => {
    const kind = severity === 'warning' ? 'warning: ' : '';
    return `${position.line}:${position.column} ${kind}${found}; ${needed}; ${remedy}`;
  });
}

const changed = (from: string | RegExp, to: string): string => {
  const text = shop.replace(from, to);
  expect(text).not.toBe(shop);
  return text;
};

test('a correct runbook is said nothing about, with an installation and without', () => {
  expect(said(shop)).toEqual([]);
  expect(said(shop, null)).toEqual([]);
});

test.each<[string, string | RegExp, string, string[]]>([
  [
    'an unknown server',
    'name: db02',
    'name: db03',
    ['16:9 "db03"; a server of the inventory (`muster servers`); Is "db01" meant?', '30:17 "db02"; the name of a wave'],
  ],
  ['a circle', 'name: db01\n', 'name: db01\n        after: [web]\n', ['14:17 a circle: ']],
  [
    'a server twice',
    'name: db02',
    'name: db01',
    [
      '16:9 the server "db01" a second time',
      '30:17 "db02"; the name of a wave',
      '16:9 the machine name db01-recovered, which db01 claims',
    ],
  ],
  [
    'a machine name twice',
    'machineName: app01-dr',
    'machineName: db01-recovered',
    ['24:9 the machine name db01-recovered, which db01 claims, too'],
  ],
  ['an address twice', '10.8.0.21', '10.8.0.11', ['25:43 10.8.0.11, which db01 claims, too']],
  [
    'a card that is not there',
    '[{ nic: 0, recovery: { ip: 10.8.0.21',
    '[{ nic: 1, recovery: { ip: 10.8.0.21',
    ['25:23 card 1; a card that app01 has: 0 to 0'],
  ],
  [
    'a site without the replica',
    'datastore: fast\n        failure',
    'site: far\n        failure',
    ['17:9 site far; dr, where its replica is'],
  ],
  [
    'hardware that the site lacks',
    'hardware: kvm-virtio',
    'hardware: pc-ahci',
    ['13:9 pc-ahci', '16:9 pc-ahci', '23:9 pc-ahci', '29:9 pc-ahci'],
  ],
  [
    'a network that is not there',
    'lan: dr-lan',
    'lan: nowhere',
    ['7:15 "nowhere"; a network of site dr: dr-lan, dr-dmz, lab'],
  ],
  ['a card without a network', 'lan: dr-lan, ', '', ['no network for "lan" of db01']],
  ['a rehearsal in the open', 'dmz: lab', 'dmz: dr-dmz', ['8:31 "dr-dmz", which is not isolated']],
  [
    'an unknown gate',
    'gate: data-is-good',
    'gate: data-good',
    ['21:5 "data-good"; a gate of `gates`; Is "data-is-good" meant?', 'warning: a gate that nothing uses'],
  ],
  ['too few people', 'approvals: 2', 'approvals: 4', ['4 approvals, and 3 people who may approve']],
  ['nobody to escalate to', '    escalateTo: { roles: [admin] }\n', '', ['nobody to escalate to']],
  [
    'a stranger',
    'people: [bert]',
    'people: [berta]',
    ['"berta"; somebody with a token (`muster token list`); Is "bert" meant?'],
  ],
  ['an unknown site in a limit', 'sites: { dr: 2 }', 'sites: { drr: 2 }', ['site "drr"; one of dr, far']],
  [
    'people who have longer than what waits for them',
    'within: 20m',
    'within: 31m',
    [
      '40:5 warning: people have 31 min 00 s, and what waits for it has an RTO of 30 min 00 s (the whole); less than the RTO',
    ],
  ],
  [
    'an optional server that is given up too late',
    'giveUpAfter: 20m',
    'giveUpAfter: 31m',
    ['18:20 warning: db02 may be stuck for 31 min 00 s, and what waits for it has an RTO of 30 min 00 s (the whole)'],
  ],
  [
    'approvers who only read',
    'roles: [coordinator], people: [bert]',
    'roles: [viewer, auditor]',
    ['38:26 role viewer, which may read and not act; operator, coordinator or admin; ', '38:34 role auditor'],
  ],
  [
    'approvers of whom some only read',
    'roles: [coordinator], people: [bert]',
    'roles: [coordinator, viewer]',
    ['38:39 warning: role viewer, which may read and not act'],
  ],
  [
    'a name of somebody who only reads',
    'people: [bert]',
    'people: [bert, vera]',
    ['38:55 warning: vera, whose role viewer may read and not act'],
  ],
  [
    'so few people that none of them may start it',
    'approvals: 2',
    'approvals: 3',
    [
      '39:5 warning: 3 approvals, and 3 people who may approve, of whom ada may start it; at least 4 who may; whoever starts',
    ],
  ],
  [
    'a script of a step that is none',
    'step: prove-boot',
    'step: prove-boots',
    ['"prove-boots"; a step of the procedure; Is "prove-boot" meant?'],
  ],
  ['a program with a path', 'program: tell-dns', 'program: ../../bin/sh', ['without a path']],
  [
    'a program that is not allowed',
    'program: tell-dns',
    'program: tell-dsn',
    ['an allowed program: warm-cache, tell-dns; Is "tell-dns" meant?'],
  ],
  [
    'a secret itself',
    'secret: file:dns',
    'secret: hunter2',
    ['what is no reference (not shown: it may be the secret itself)'],
  ],
  [
    'an unknown webhook',
    'webhooks: [pager]',
    'webhooks: [pagr]',
    ['"pagr"; a webhook of the configuration: pager; Is "pager" meant?'],
  ],
  [
    'an unknown runbook',
    'runbook: directory',
    'runbook: directories',
    ['"directories"; an imported runbook', '"directory"; the name of a wave'],
  ],
  ['runbooks in a circle', /directory/g, 'circle', ['a circle: shop includes circle includes shop']],
])('%s', (_, from, to, expected) => {
  const problems = said(changed(from, to));
  for (const one of expected) expect(problems).toContainEqual(expect.stringContaining(one));
  // What holds for many servers is said once.
  expect(problems).toEqual([...new Set(problems)]);
});

test('limits of a runbook that only includes others hold there: its own text says nothing against them', () => {
  const text = 'format: 1\nname: all\ntitle: All\nincludes: [{ runbook: directory }]\n';
  const limits = 'limits: { atOnce: 3, sites: { dr: 1 }, datastores: { fast: 1 }, boots: { dr: 1 } }\n';
  expect(said(text + limits)).toEqual([]);
  expect(said(`${text}limits: { sites: { drr: 1 } }\n`)).toEqual([
    expect.stringContaining('site "drr"; one of dr, far'),
  ]);
});

test('limits that no server counts against are told, of a runbook that includes no other', () => {
  const text =
    'format: 1\nname: one\ntitle: One\nnetworks: { recovery: { lan: dr-lan } }\ndefaults: { hardware: kvm-virtio }\n';
  const wave = 'waves: [{ name: data, servers: [{ name: db01 }] }]\n';
  const words =
    'warning: a limit for site "far", where no server of this runbook is recovered; a site that servers of this runbook are recovered at: dr';
  const found = said(`${text}${wave}limits: { boots: { far: 1 }, datastores: { fats: 1 } }\n`);
  for (const one of ['warning: a limit for "fats"', words]) expect(found).toContainEqual(expect.stringContaining(one));
});

test('the RTO of what waits is that of its tier or its own, and nothing waits for the last of all', () => {
  const tier = changed('tiers: { 1: { rto: 10m } }', 'tiers: { 2: { rto: 19m } }');
  const patience = ['40:5 warning: people have 20 min 00 s', '18:20 warning: db02 may be stuck for 20 min 00 s'];
  expect(said(tier)).toEqual(
    patience
      .reverse()
      .map((words) => expect.stringContaining(`${words}, and what waits for it has an RTO of 19 min 00 s (tier 2)`)),
  );
  expect(said(changed('after: [db02]', 'failure: { giveUpAfter: 9h }'))).toEqual([]);
});

test('whoever may approve only elsewhere is not counted, and whoever may through an outer runbook is', () => {
  const people = (...scopes: AccessScope[]) =>
    inventory({
      people: new Map(['ada', 'bert', 'cleo'].map((name) => [name, { role: 'coordinator' as const, scopes }])),
    });
  const tooFew =
    '39:5 2 approvals, and 0 people who may approve; at least 2 who may; whoever starts the run does not count';
  expect(said(shop, people({ kind: 'runbook', name: 'mail' }))).toEqual([expect.stringContaining(tooFew)]);
  expect(said(shop, people({ kind: 'site', name: 'far' }))).toEqual([expect.stringContaining(tooFew)]);
  for (const scope of [
    { kind: 'site', name: 'dr' },
    { kind: 'runbook', name: 'shop' },
    { kind: 'runbook', name: 'circle' },
  ] as const) {
    expect(said(shop, people(scope))).toEqual([]);
  }
});

test.each<[string, string, string]>([
  ['a key that does not exist', shop.replace('tier: 1', 'colour: red'), '4:1 the key "colour"'],
  ['no name', shop.replace('name: shop', ''), '1:1 no `name`; text'],
  ['a key twice', 'format: 1\nname: a\nname: b\n', '3:1 this key a second time; each key once'],
  ['a bomb', 'a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n', '2:8 the alias *a; the thing itself, written out'],
  ['a tag', 'name: !!js/function "x"\n', '1:21 the tag tag:yaml.org,2002:js/function; a plain value'],
  ['nesting without end', '['.repeat(20_000), 'lists in lists'],
  ['two documents', 'format: 1\n---\nformat: 1\n', '2:1 a second document'],
  ['a tab', 'format: 1\n\tname: x\n', 'a tab; spaces before a key'],
  [
    'a key set in',
    'format: 1\nname: x\n  title: t\n',
    '2:7 a key that is not in the column of its level; keys of one level',
  ],
  [
    'a key without its colon',
    'format: 1\nname x\ntitle: t\n',
    '2:1 a key that goes on in the next line; each key and its',
  ],
  ['5 MB', 'x'.repeat(5 * 1024 ** 2), '1:1 5242880 characters; at most 4000000; Divide it'],
  ['nothing', '', '1:1 nothing; keys with values'],
  ['a picture', '\u0089PNG\r\n\u001a\n', '1:1'],
])('%s is refused where it stands', (_, text, expected) => {
  expect(said(text)[0]).toContain(expected);
});

test.each([
  ['windows', 'Windows Server 2022', '15:9 ', 'on: guest'],
  ['unknown', undefined, '15:9 warning: ', 'on: guest'],
] as const)('new addresses of a server with %s are told where they stand', (family, prettyName, place, remedy) => {
  const { servers } = inventory();
  const os = { family, ...(prettyName === undefined ? {} : { prettyName }) };
  const known = inventory({ servers: new Map([...servers, ['db01', { ...servers.get('db01')!, os }]]) });
  const system = prettyName ?? 'a system that is not known';
  expect(said(shop, known)).toEqual([
    expect.stringMatching(new RegExp(`^${place}new addresses for db01, which runs ${system}; a Linux; .*${remedy}`)),
  ]);
});

test('terminal escapes and newlines in what was found are not printed as they are', () => {
  const [first] = said(shop.replace('name: db02', 'name: "db\\e[2J\\n02"'));
  // eslint-disable-next-line no-control-regex
  expect(first).not.toMatch(/[\u0000-\u001f]/);
});

test('of many unknown names as many are told as anybody reads, each with what may have been meant', () => {
  const servers = Array.from({ length: 500 }, (_, index) => `      - { name: server-${index} }`).join('\n');
  const text = `format: 1\nname: a\ntitle: A\ndefaults: { hardware: kvm-virtio }\nwaves:\n  - name: w\n    servers:\n${servers}\n`;
  const known = inventory({
    servers: new Map([['server-1x', { ...inventory().servers.get('db01')!, name: 'server-1x' }]]),
  });
  // Nothing is compared before it is known what is shown: 2,000 names with 2,000 take seconds.
  const found = checkRunbook(readRunbook(text).file!, known);
  expect(found).toHaveLength(500);
  expect(found.every(({ remedy }) => remedy?.startsWith('Is ') !== true)).toBe(true);
  const problems = said(text, known);
  expect(problems).toHaveLength(100);
  expect(problems.every((one) => one.endsWith('Is "server-1x" meant?'))).toBe(true);
});

/** A script at this step, checked against the steps that the procedures declare. */
const atStep = (script: string, changes: Partial<Inventory> = {}): string[] =>
  said(
    changed(/scripts:\n(.*\n){2}/, `scripts:\n  - { name: tell, ${script} }\n`),
    inventory({ ...stepsOfServers(), ...changes }),
  );
const tell = 'on: worker, program: tell-dns';
const guest = 'on: guest, program: /usr/bin/tell';

test.each<[string, string[]]>([
  [`when: after, step: prove-boot, ${guest}`, []],
  [`when: before, step: switch-off, in: [clean-up], ${guest}`, []],
  [`when: after, step: prove-clean, in: [clean-up], ${tell}`, []],
  [`when: instead, step: update-registry, ${tell}`, []],
  [
    `when: before, step: power-on, in: [clean-up], ${tell}`,
    ['clean-up only, at power-on: it never runs; recovery or rehearsal'],
  ],
  [`when: before, step: switch-off, ${tell}`, ['recovery and rehearsal only, at switch-off: it never runs; clean-up']],
  [`when: before, step: suspend-replication, in: [rehearsal], ${tell}`, ['it never runs; recovery, when']],
  [`when: before, step: preflight, in: [failback], ${tell}`, ['failback only, at preflight: it never runs']],
  [`when: before, step: make-networks, ${tell}`, ['"make-networks"; a step of the procedure']],
  [`when: before, step: power-on, ${guest}`, ['a guest, before power-on; a step at which the guest runs']],
  [`when: after, step: survey, in: [rehearsal], ${guest}`, ['a guest, after survey']],
  [`when: before, step: drop-disks, in: [clean-up], ${guest}`, ['a guest, before drop-disks']],
  [`when: instead, step: prove-boot, ${tell}`, ['`instead` of prove-boot, whose result is needed']],
  [`when: instead, step: prove-clean, in: [clean-up], ${tell}`, ['`instead` of prove-clean, whose result is needed']],
])('a script at a moment that a run has, or has not: %s', (script, expected) => {
  expect(atStep(script)).toEqual(expected.map((words) => expect.stringContaining(words)));
});

test.each(['every saturday', '61 3 * * *', '0 22 * *', '0 22 31 2 *', '0 0 22 * * 6'])('%s is no schedule', (cron) => {
  const text = `${shop}rehearsal: { schedule: { cron: '${cron}', timezone: Europe/Berlin } }\n`;
  expect(said(text)).toEqual([expect.stringMatching(/minute, hour, day of month, month and day of week that come/)]);
});
test.each(['0 22 * * 6', '30 4 1-7 * SAT', '*/15 8-18 * jan-jun mon-fri'])('%s is one', (cron) => {
  expect(said(`${shop}rehearsal: { schedule: { cron: '${cron}', timezone: Europe/Berlin } }\n`)).toEqual([]);
});

test('a code that stands there as a number and as a text stands there twice', () => {
  const twice = changed('program: tell-dns,', "program: tell-dns, exitCodes: { 75: retry, '75': fail },");
  expect(said(twice)).toEqual([expect.stringContaining('this key a second time; each key once')]);
});
