import { evacuationOf, type RunbookToChoose } from '../../../model/runbook/evacuation';
import { checkRunbook, type Inventory } from '../../../model/runbook/check';
import { readRunbook } from '../../../model/schema/read-runbook';
import { inventory } from './inventory';

const runbook = (
  name: string,
  tier: number,
  servers: string[],
  more: Partial<RunbookToChoose> = {},
): RunbookToChoose => ({
  ...{ name, tier, servers, direction: 'recovery', evacuates: null, includes: [] },
  ...more,
});
const shop = runbook('shop', 2, ['db01', 'app01']);
const directory = runbook('directory', 1, ['dns01']);
const mail = runbook('mail', 2, ['mail01']);
const wiki = runbook('wiki', 5, ['wiki01']);
const standing = ['db01', 'app01', 'dns01', 'mail01', 'wiki01'];

test('a tier comes after the nearest more important one, and who stands in no runbook is named', () => {
  expect(evacuationOf([wiki, shop, mail, directory], [...standing, 'forgotten', 'alone'])).toEqual({
    includes: [
      { runbook: 'directory', tier: 1, after: [] },
      { runbook: 'mail', tier: 2, after: ['directory'] },
      { runbook: 'shop', tier: 2, after: ['directory'] },
      { runbook: 'wiki', tier: 5, after: ['mail', 'shop'] },
    ],
    leftOut: ['alone', 'forgotten'],
  });
});

test('what another one includes is its part; failbacks, evacuations and runbooks of other sites are not chosen', () => {
  const business = runbook('business', 3, [], { includes: ['shop', 'directory'] });
  const others = [
    runbook('failback', 1, ['db01'], { direction: 'failback' }),
    runbook('evacuation', 1, ['db01'], { evacuates: 'production' }),
    runbook('elsewhere', 1, ['far01']),
  ];
  const { includes } = evacuationOf([shop, directory, business, mail, ...others], standing);
  expect(includes.map(({ runbook: name }) => name)).toEqual(['mail', 'business']);
});

test('of runbooks that include each other neither is chosen, and their servers are named', () => {
  const circle = [runbook('a', 1, ['db01'], { includes: ['b'] }), runbook('b', 1, ['app01'], { includes: ['a'] })];
  expect(evacuationOf(circle, ['db01', 'app01'])).toEqual({ includes: [], leftOut: ['app01', 'db01'] });
});

describe('a runbook that evacuates a site is checked', () => {
  const { servers, runbooks } = inventory();
  const at = (site: string): Inventory['servers'] =>
    new Map([...servers].map(([name, one]) => [name, { ...one, sourceSiteId: site }]));
  const known = (choosable: RunbookToChoose[]): Inventory =>
    inventory({
      servers: at('production'),
      runbooks: new Map([...runbooks, ...choosable.map(({ name, includes }) => [name, includes] as const)]),
      choosable,
    });
  const said = (more: string, choosable: RunbookToChoose[]): string[] => {
    const { file, problems } = readRunbook(`format: 1\nname: all\ntitle: All\n${more}`);
    expect(problems).toEqual([]);
    return checkRunbook(file!, known(choosable)).map(
      ({ severity, at: place, found }) => `${severity} ${place.join('.')} ${found}`,
    );
  };
  const web = runbook('front', 1, ['web01', 'db02']);

  test('and has nothing wrong when it includes all in order', () => {
    expect(
      said('evacuates: production\nincludes: [{ runbook: front }, { runbook: shop, after: [front] }]\n', [web, shop]),
    ).toEqual([]);
  });

  test('for what it leaves at the site', () => {
    expect(said('evacuates: production\nincludes: [{ runbook: shop }]\n', [web, shop])).toEqual([
      'warning evacuates runbook "front" (tier 1) of site production is not included',
    ]);
    expect(said('evacuates: production\nincludes: [{ runbook: shop }]\n', [shop])).toEqual([
      'warning evacuates db02, web01 of site production in no runbook',
    ]);
  });

  test('for what is important and waits for what is less', () => {
    const order =
      'includes: [{ runbook: front, after: [between] }, { runbook: shop }]\nwaves: [{ name: between, after: [shop], servers: [{ name: db02, hardware: kvm-virtio }] }]\nnetworks: { recovery: { lan: dr-lan } }\n';
    expect(said(`evacuates: production\n${order}`, [web, shop])).toEqual([
      'warning includes.0.runbook "front" (tier 1) waits for "shop" (tier 2)',
    ]);
  });

  test('for a site that nothing stands at', () => {
    expect(said('evacuates: prodution\nincludes: [{ runbook: shop }]\n', [shop])).toEqual([
      'error evacuates "prodution"',
    ]);
  });
});
