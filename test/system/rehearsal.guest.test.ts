/**
 * A rehearsal of a real guest, seen from outside: virsh, the bridge, the replica's files. The source runs on, replication goes
 * on, the guest that was started from its point reaches nobody, and afterwards everything is as it was.
 */
import { mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { demoGuest } from '../../tools/demo-guest/build.mjs';
import { newMachineName, startDemoMachine, virsh } from '../replication/support/demo-machine';
import { expectScriptsToRun } from './support/guest-script';
import { runInGuest } from './support/in-guest';
import { isolated, networksOf, removeNetworksOf, seeNetwork } from './support/networks';
import { eventually, machinesNamed, manifests, openSystem, poolsIn, waiting, type System } from './support/system';

// Longer than what it waits for in sum: what it waited for in vain says more than that the time was over.
jest.setTimeout(3_600_000);

const name = newMachineName();
let system: System;
let serverId: string;

beforeAll(async () => {
  system = await openSystem(name);
  const { imagePath } = await demoGuest();
  const [source] = await Promise.all([startDemoMachine(system.folder, imagePath, name), system.up()]);
  await source.started();
  const added = await system.json<{ id: string }>(
    ...['servers', 'add', name, '--source-site', 'production', '--site', 'recovery', '--rpo', '5m', '--rto', '1h'],
    ...['--point-every', '3s', '--freeze-every', '0s', '--keep', '50'],
    ...['--probe', 'counter=/usr/local/bin/counter-status', '--probe-output', '"chain": ?"ok"'],
  );
  serverId = added.id;
  await system.muster(['protect', name]);
  await eventually('there are two points', 300_000, () => (sequence() >= 2 ? true : undefined));
});

afterAll(async () => {
  await system?.close();
  await removeNetworksOf(name);
});

const place = () => system.replica(serverId);
const sequence = () => {
  try {
    return manifests(place()).at(-1)?.sequence ?? 0;
  } catch {
    return 0;
  }
};
/** What lies there beside replication's own: inoculations are prepared while points are taken. */
const filesBeside = () => ({
  replica: readdirSync(place().folder).filter((name) => !name.startsWith('prepar')),
  runs: readdirSync(place().runs),
});

test('a guest is rehearsed beside its source: isolated, proven, tried out, and gone without a trace', async () => {
  const before = {
    machines: await machinesNamed(name),
    networks: await networksOf(name),
    pools: await poolsIn(place().folder),
    files: filesBeside(),
  };
  const args = [name, '--hardware', 'vmware-pvscsi', '--stable-for', '3s', '--heartbeat-timeout', '15m'];
  const asked = ['--reason', 'quarterly rehearsal', '--try-out', 'Does it count?'];
  const { runId } = await system.json<{ runId: string }>('rehearse', ...args, ...asked);
  const parking = await waiting(system, runId);
  expect(parking).toMatchObject({ step: 'try-out', kind: 'gate' });

  const machine = (await machinesNamed(name)).find((one) => one.includes('rehearsal'))!;
  const made = (await networksOf(name)).filter((network) => !before.networks.includes(network));
  expect(made).toHaveLength(1);
  // The only thing in the bridge is the guest's own tap, and the host has no address there.
  const seen = await seeNetwork(made[0]!, [machine]);
  expect(seen.cards).toHaveLength(1);
  expect(seen).toEqual(isolated(made[0]!, seen));
  // From inside: nobody gives it an address, and nothing answers at the one that user-mode networks have.
  expect(await runInGuest(machine, '/bin/true')).toMatchObject({ exitCode: 0 });
  const reach = '(exec 3<>/dev/tcp/10.0.2.2/22) 2>/dev/null';
  const { exitCode } = await runInGuest(machine, '/usr/bin/timeout', '5', '/bin/bash', '-c', reach);
  expect(exitCode).not.toBe(0);

  await expectScriptsToRun(machine, runId, mkdtempSync(join(system.folder, 'scripts-')));

  const during = sequence();
  await eventually('a point is taken while it stands', 300_000, () => (sequence() > during ? true : undefined));
  expect((await virsh('domstate', name)).trim()).toBe('running');

  await system.muster(['approve', runId, '--reason', 'it counts']);
  await eventually('the rehearsal is closed', 300_000, async () => (await system.view(runId)).closedAt ?? undefined);
  const view = await system.view(runId);
  expect(view.state).toBe('succeeded');
  expect(await machinesNamed(name)).toEqual(before.machines);
  expect(await networksOf(name)).toEqual(before.networks);
  expect(await poolsIn(place().folder)).toEqual(before.pools);
  expect(filesBeside()).toEqual(before.files);
  const clean = view.steps.find(({ id }) => id === 'prove-clean')!.result as {
    rows: { verdict: string }[];
    replication: { moment: string; ok: boolean }[];
  };
  expect(clean.rows.filter(({ verdict }) => verdict !== 'same' && verdict !== 'of others')).toEqual([]);
  expect(clean.replication.map(({ ok }) => ok)).toEqual([true, true, true]);
  const after = sequence();
  await eventually('replication goes on', 300_000, () => (sequence() > after ? true : undefined));

  // What is clean is cleaned up again without harm.
  const again = await system.json<{ runId: string }>('rehearsal', 'clean-up', runId, '--reason', 'to be sure');
  await eventually(
    'the clean-up is closed',
    300_000,
    async () => (await system.view(again.runId)).closedAt ?? undefined,
  );
  expect((await system.view(again.runId)).state).toBe('succeeded');
});
