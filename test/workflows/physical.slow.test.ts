/** The whole procedure onto physical machines of a simulated world: a person's word, abort, and a disk in the way. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hardwareProfiles } from '../../model/server';
import type { ServerSpec } from '../../model/server';
import type { RecoveryOrder } from '../../model/order';
import type { PhysicalMachine } from '../../platforms/physical/machine';
import { addMachine, openTestSite, type TestSite } from '../platforms/physical/machine';
import { decide, live, openWorld, parked, type RunHandle, type World } from '../support/world';

jest.setTimeout(120_000);

let site: TestSite;
let world: World;
/** Devices that somebody formats between the first look and the copy. */
const formatted: string[] = [];

beforeAll(async () => {
  site = await openTestSite();
  // Capabilities say what the configured machines are; those of the tests come later.
  addMachine(site, { serialConsole: { kind: 'file', path: join(site.folder, 'none') } });
  const platform = site.again();
  const physical = {
    ...platform,
    create: async (...args: Parameters<typeof platform.create>) => {
      const machine = await platform.create(...args);
      const device = site.machines.find(({ name }) => name === machine.name)!.disks[0]!.device;
      if (formatted.splice(formatted.indexOf(device), formatted.includes(device) ? 1 : 0).length > 0) {
        execFileSync('mke2fs', ['-q', '-t', 'ext4', '-L', 'payroll', device]);
      }
      return machine;
    },
  };
  world = await openWorld({ recoverySite: (parts) => ({ ...parts, physical }) });
}, 60_000);

afterAll(async () => {
  await world?.close();
  await site?.close();
});

const byHand: Pick<PhysicalMachine, 'power'> = {
  power: { kind: 'person', instructions: 'Press the button of rack 7 in hall 2.' },
};

async function lostServer(name: string): Promise<ServerSpec> {
  const server = await world.server(name);
  await world.production.platform.power({ name, owner: null }, 'off');
  return server;
}

function onto(server: ServerSpec, machine: PhysicalMachine, changes: Partial<RecoveryOrder> = {}): Promise<RunHandle> {
  const { target } = world.order(server);
  const networks = Object.fromEntries(server.nics.map(({ network }) => [network, 'lan']));
  const hardware = hardwareProfiles[machine.hardware]!;
  return world.start(
    world.order(server, { target: { ...target, machineName: machine.name, hardware, networks }, ...changes }),
  );
}

const rungsOf = async (handle: RunHandle) =>
  (await live(handle)).events.flatMap((event) => {
    if (event.kind !== 'step-done' || event.step !== 'prove-boot') return [];
    return (event.data.result as { rungs: { name: string; ok: boolean; detail: string }[] }).rungs;
  });

const signaturesOn = (machine: PhysicalMachine): string =>
  execFileSync('wipefs', ['--no-act', '--noheadings', '--output', 'TYPE', machine.disks[0]!.device], {
    encoding: 'utf8',
  });

test('a person switches the machine on, their word is recorded as that, and its console proves the boot', async () => {
  const path = join(site.folder, 'rack-7.log');
  writeFileSync(path, '');
  const machine = addMachine(site, { ...byHand, serialConsole: { kind: 'file', path } });
  const handle = await onto(await lostServer('by-hand'), machine);
  const gate = await parked(handle);
  expect(gate).toMatchObject({ step: 'power-on', kind: 'gate', allowed: ['approve', 'abort'] });
  expect(gate.cause).toContain('Press the button of rack 7 in hall 2.');
  expect(gate.remedy).toMatch(/Switch .* on, then approve/);
  // The person presses first and says so then.
  appendFileSync(path, '[    0.000000] Linux version 6.1\r\n');
  await decide(handle, gate, 'approve');
  appendFileSync(path, '\r\nDebian GNU/Linux 12 app01 ttyS0\r\n\r\napp01 login: ');
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  const rungs = await rungsOf(handle);
  expect(rungs[0]).toMatchObject({
    name: 'powered-on',
    ok: true,
    detail: expect.stringContaining('by the word of a person'),
  });
  expect(rungs[1]).toMatchObject({ name: 'console', ok: true, detail: expect.stringContaining('app01 login:') });
  expect(rungs.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['heartbeat', 'service', 'screenshot']);
  // Nothing stands on the replica any more; the machine stays this run's.
  expect(await world.recovery.replicas.runs(handle.runOrder.server.id)).toEqual([]);
  const next = await onto(await lostServer('too-late'), machine);
  const stuck = await parked(next);
  expect(stuck).toMatchObject({ step: 'preflight', kind: 'stuck' });
  expect(stuck.cause).toContain(`is claimed by run ${handle.runOrder.runId}`);
  await decide(next, stuck, 'abort');
  expect(await next.result()).toMatchObject({ state: 'aborted' });
});

test('nothing to see proves nothing; aborted, a person switches it off, and no disk boots by mistake', async () => {
  const machine = addMachine(site, byHand);
  const handle = await onto(await lostServer('unseen'), machine);
  await decide(handle, await parked(handle), 'approve');
  const unseen = await parked(handle);
  expect(unseen).toMatchObject({ step: 'prove-boot', kind: 'stuck' });
  expect(unseen.cause).toContain('nothing that Muster can read shows whether');
  expect(signaturesOn(machine)).toContain('dos');
  await decide(handle, unseen, 'abort');
  const off = await parked(handle);
  expect(off).toMatchObject({ step: 'power-on', kind: 'stuck', undo: true });
  expect(off.remedy).toContain('Press the button of rack 7 in hall 2. Then retry');
  await decide(handle, off, 'retry');
  expect(await handle.result()).toMatchObject({ state: 'aborted' });
  expect(signaturesOn(machine)).toBe('');
  expect(await site.platform.find(machine.name)).toMatchObject({ owner: null, power: 'off', disks: [] });
});

test('a disk that somebody used after the first look stops the hand-over, which goes on once the order names it', async () => {
  const machine = addMachine(site);
  const device = machine.disks[0]!.device;
  formatted.push(device);
  const handle = await onto(await lostServer('in-the-way'), machine);
  const stuck = await parked(handle);
  expect(stuck).toMatchObject({ step: 'hand-over', item: 'disk0', kind: 'stuck' });
  expect(stuck.cause).toContain(`${device}: ext4 "payroll"`);
  expect(signaturesOn(machine)).toContain('ext4');
  await decide(handle, stuck, 'provide', { input: { overwriteDisks: [device] } });
  expect(await handle.result()).toMatchObject({ state: 'succeeded' });
  expect(signaturesOn(machine)).toContain('dos');
  expect((await rungsOf(handle)).map(({ name, ok }) => [name, ok])).toEqual([
    ['powered-on', true],
    ['console', false],
    ['stable', true],
    ['heartbeat', false],
    ['service', false],
    ['screenshot', false],
  ]);
});

test('a destructive recovery, or a site without such a machine, is refused before anything is touched', async () => {
  const machine = addMachine(site);
  const server = await lostServer('refused');
  const destructive = await onto(server, machine, { option: 'destructive' });
  const stuck = await parked(destructive);
  expect(stuck.cause).toContain('disks of this machine are copies');
  await decide(destructive, stuck, 'abort');
  await destructive.result();
  const nowhere = await onto(server, { ...machine, name: 'rack-99' });
  const unknown = await parked(nowhere);
  expect(unknown.cause).toMatch(/no machine rack-99 \(needed one of .*rack-/);
  await decide(nowhere, unknown, 'abort');
  await nowhere.result();
});
