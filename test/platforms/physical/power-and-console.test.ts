/** Machines that a person switches, and consoles that come from a file or a socket. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { PhysicalMachine } from '../../../platforms/physical/machine';
import { expectFailure } from '../conformance';
import { addMachine, claimFor, openTestSite, type TestSite } from './machine';

let site: TestSite;
beforeEach(async () => {
  site = await openTestSite();
});
afterEach(() => site?.close());

const person: Pick<PhysicalMachine, 'power'> = {
  power: { kind: 'person', instructions: 'Go to rack 7 in hall 2 and press the button.' },
};

async function claimed(change: Partial<PhysicalMachine>) {
  const machine = addMachine(site, change);
  const { spec, ref } = claimFor(machine);
  await site.platform.create(spec);
  return { machine, ref };
}

test('where a person switches, on is their word, and off is asked for once and then taken', async () => {
  const { ref } = await claimed(person);
  await site.platform.power(ref, 'on');
  expect(await site.platform.find(ref.name)).toMatchObject({
    power: 'on',
    powerByPerson: expect.stringContaining('rack 7'),
  });
  await expectFailure(site.platform.power(ref, 'off'), 'OperatorError', /switched off by a person.*rack 7/);
  expect((await site.platform.find(ref.name))?.power).toBe('on');
  await site.platform.power(ref, 'off');
  await site.platform.power(ref, 'off');
  expect((await site.platform.find(ref.name))?.power).toBe('off');
});

test('a call that may come from a lost worker asks the person again instead of taking its word', async () => {
  const { ref } = await claimed(person);
  await site.platform.power(ref, 'on');
  await expectFailure(site.platform.power(ref, 'off'), 'OperatorError');
  const other = site.again();
  await expectFailure(other.power(ref, 'off'), 'OperatorError', /by a person/);
  await other.power(ref, 'off');
  expect((await other.find(ref.name))?.power).toBe('off');
});

test('an abort ends although the undo of power-on was skipped: giving the machine up asks as well', async () => {
  const { ref } = await claimed(person);
  await site.platform.power(ref, 'on');
  await expectFailure(site.platform.remove(ref), 'OperatorError', /by a person/);
  await site.platform.remove(ref);
  expect(await site.platform.find(ref.name)).toMatchObject({ owner: null, power: 'off' });
});

test('a machine that works for somebody is not claimed; a controller that is away hides no other machine', async () => {
  const busy = addMachine(site);
  site.redfish.states.set(busy.name, 'On');
  await expectFailure(site.platform.create(claimFor(busy).spec), 'OperatorError', /is on, and no run has claimed it/);
  const away = addMachine(site);
  site.redfish.states.delete(away.name);
  await expectFailure(site.platform.find(away.name), 'OperatorError', /no system/);
  const listed = await site.platform.list();
  expect(listed.map(({ name, power }) => [name, power])).toEqual([
    [busy.name, 'on'],
    [away.name, 'off'],
  ]);
});

test('a machine that is not as the order says is refused', async () => {
  const machine = addMachine(site, { firmware: 'uefi', memoryBytes: 1024 ** 3 });
  const { spec } = claimFor(machine);
  await expectFailure(
    site.platform.create({ ...spec, firmware: 'bios' }),
    'OperatorError',
    /found firmware uefi, needed bios/,
  );
  await expectFailure(
    site.platform.create({ ...spec, memoryBytes: 2 * 1024 ** 3 }),
    'OperatorError',
    /1 GiB of memory/,
  );
  await expectFailure(site.platform.create({ ...spec, name: 'rack-none' }), 'OperatorError', new RegExp(machine.name));
});

test('a console in a file is read from power-on on, without escapes, and its kernels are counted', async () => {
  const path = join(site.folder, 'ttyS0.log');
  writeFileSync(path, 'Linux version 6.1 of yesterday\nold login: ');
  const { ref } = await claimed({ serialConsole: { kind: 'file', path } });
  expect(await site.platform.look(ref.name)).toEqual({ png: null, consoleText: null });
  await site.platform.power(ref, 'on');
  expect(await site.platform.look(ref.name)).toEqual({ png: null, consoleText: '' });
  appendFileSync(path, '\u001b[2J\u001b]0;owned\u0007[ 0.0] Linux version 6.1\r\napp01 login: ');
  expect((await site.platform.look(ref.name)).consoleText).toBe('[ 0.0] Linux version 6.1\napp01 login: ');
  expect((await site.platform.find(ref.name))?.bootId).toBe('console-1');
  appendFileSync(path, '\n[ 0.0] Linux version 6.1\n');
  expect((await site.again().find(ref.name))?.bootId).toBe('console-2');
  await site.platform.power(ref, 'off');
});

test.each(['socket', 'tcp'] as const)('a console on a %s is collected from before power-on', async (kind) => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket));
  const path = join(site.folder, 'console.sock');
  const port = await listening(server, kind === 'socket' ? path : null);
  try {
    const serialConsole = kind === 'socket' ? { kind, path } : { kind, host: '127.0.0.1', port };
    const { ref } = await claimed({ serialConsole });
    await site.platform.power(ref, 'on');
    await until(() => sockets.length > 0);
    sockets[0]!.write('GNU GRUB\r\napp01 login: ');
    await until(async () => ((await site.platform.look(ref.name)).consoleText ?? '').includes('login:'));
    expect((await site.platform.look(ref.name)).consoleText).toBe('GNU GRUB\napp01 login: ');
    // Another process finds what this one has collected.
    expect((await site.again().look(ref.name)).consoleText).toContain('app01 login:');
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((done) => server.close(done));
  }
});

test('a console that nobody serves is silent and stops nothing', async () => {
  const { ref } = await claimed({ serialConsole: { kind: 'socket', path: join(site.folder, 'none.sock') } });
  await site.platform.power(ref, 'on');
  expect(await site.platform.look(ref.name)).toEqual({ png: null, consoleText: '' });
});

function listening(server: Server, path: string | null): Promise<number> {
  return new Promise((resolve) => {
    const done = (): void => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    };
    if (path === null) server.listen(0, '127.0.0.1', done);
    else server.listen(path, done);
  });
}

async function until(ask: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await ask())) await new Promise((resolve) => setTimeout(resolve, 10));
}
