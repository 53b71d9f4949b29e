/** What a file leaves out has its default, and what it says of all servers holds for each that does not say otherwise. */
import { runbookOf } from '../../../model/schema/normalise';
import { readRunbook } from '../../../model/schema/read-runbook';
import { shop } from './inventory';

const runbook = (text: string) => runbookOf(readRunbook(text).file!);

test('durations are milliseconds, and servers know their wave', () => {
  const { objectives, servers, gates } = runbook(shop);
  expect(objectives).toEqual({ rpoMs: 60_000, rtoMs: 1_800_000, tiers: { 1: { rpoMs: null, rtoMs: 600_000 } } });
  expect(servers.map(({ name, wave }) => `${wave}/${name}`)).toEqual([
    ...['data/db01', 'data/db02', 'application/app01', 'web/web01'],
  ]);
  expect(gates['data-is-good']).toMatchObject({ approvals: 2, withinMs: 1_200_000, otherwise: 'escalate' });
});

test('objectives may be of every tier that a server can have, the most important included', () => {
  const text = (tier: number) =>
    `format: 1\nname: small\ntitle: Small\nobjectives: { tiers: { ${tier}: { rto: 5m } } }\n`;
  for (const tier of [0, 9])
    expect(runbook(text(tier)).objectives.tiers).toEqual({ [tier]: { rpoMs: null, rtoMs: 300_000 } });
  expect(readRunbook(text(10)).file).toBeUndefined();
});

test('a server says more than the defaults, and the defaults more than the runbook', () => {
  const text = `format: 1
name: small
title: Small
networks: { recovery: { lan: a, dmz: a, mgmt: a } }
defaults: { hardware: kvm-virtio, networks: { recovery: { dmz: b, mgmt: b } }, failure: { giveUpAfter: 5m } }
waves:
  - name: all
    servers:
      - { name: one, hardware: pc-ahci, networks: { recovery: { mgmt: c } }, failure: critical }
      - { name: two }
`;
  const [one, two] = runbook(text).servers;
  expect(one).toMatchObject({ target: { hardware: 'pc-ahci' }, failure: { kind: 'critical' } });
  expect(one!.networks.recovery).toEqual({ lan: 'a', dmz: 'b', mgmt: 'c' });
  expect(two).toMatchObject({
    target: { hardware: 'kvm-virtio' },
    failure: { kind: 'optional', giveUpAfterMs: 300_000 },
  });
  expect(two!.option).toBe('backup-and-recover');
});

test('a runbook that says nearly nothing may be started by operators, and waits for a decision to commit', () => {
  const { access, commit, limits, rehearsal } = runbook('format: 1\nname: empty\ntitle: Empty\n');
  expect(access.start.roles).toEqual(['operator', 'coordinator', 'admin']);
  expect(commit).toEqual({ kind: 'decision' });
  expect(limits.atOnce).toBeNull();
  expect(rehearsal.verifiedForMs).toBe(90 * 86_400_000);
});
