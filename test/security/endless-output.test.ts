/**
 * Guests and programs that never stop talking: whatever reads them stops at a limit, ends what talks, and says so in one
 * of the three families.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startGuestfish } from '../../disks/guestfish';
import { execInGuest } from '../../platforms/libvirt/agent';
import type { Host } from '../../platforms/libvirt/host';
import { readPicture } from '../../platforms/libvirt/look';
import { virshOn } from '../../platforms/libvirt/virsh';
import { openConsoles } from '../../platforms/physical/console';
import type { PhysicalMachine } from '../../platforms/physical/machine';
import { openRedfish } from '../../platforms/physical/redfish';
import { runProgram } from '../../programs/run';
import { createLibvirtSource, skewOf, systemOf } from '../../replication/libvirt-source';
import { connectQmp } from '../../replication/qmp';

const MiB = 1024 * 1024;
const path = process.env['PATH'];
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-endless-'));
  process.env['PATH'] = `${folder}:${path}`;
});
afterEach(() => {
  process.env['PATH'] = path;
  rmSync(folder, { recursive: true, force: true });
});

/** A program of this name, before all others on the path. */
function program(name: string, ...lines: string[]): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${lines.join('\n')}\n`);
  chmodSync(join(folder, name), 0o755);
}

const failureOf = (work: Promise<unknown>): Promise<Error> =>
  work.then(
    () => new Error('It succeeded'),
    (error: Error) => error,
  );

describe('a program', () => {
  test.each([
    ['on standard output, for ever', 'exec yes'],
    ['on standard error, for ever', 'exec yes >&2'],
    ['and goes on in silence', `trap '' PIPE; head -c 2000000 /dev/zero; exec sleep 600`],
    ['and ends well', 'head -c 2000000 /dev/zero'],
  ])('that prints too much %s is ended, and its error says so', async (_how, line) => {
    const error = await failureOf(runProgram('sh', ['-c', line], { maxOutputBytes: MiB }));
    expect(error).toMatchObject({ name: 'ProgramError', tooMuchOutput: true });
    expect(error.message).toMatch(/^Printed more than 1048576 bytes: sh -c /);
  });

  test('may print as much as is read', async () => {
    const { stdout } = await runProgram('head', ['-c', String(MiB), '/dev/zero'], { maxOutputBytes: MiB });
    expect(stdout).toHaveLength(MiB);
  });
});

describe('an agent', () => {
  const command = { path: '/bin/true', args: [], timeoutMs: 10_000 };
  const host = { virsh: virshOn('test:///default') } as Host;

  test('that answers for ever is tried again later, and the error says why', async () => {
    program('virsh', `exec yes '{"return":{"pid":'`);
    const error = await failureOf(execInGuest(host, 'uuid', 'app01', command));
    expect(error.name).toBe('TransientError');
    expect(error.message).toMatch(/^the guest agent of app01 does not answer: found Printed more than 67108864 bytes/);
  });

  test('whose refusal is endless gives 64 KiB of it', async () => {
    const said = 'error: Guest agent command failed: Failed to execute child process';
    program('virsh', `{ printf '${said} '; head -c ${MiB} /dev/zero | tr '\\0' x; } >&2`, 'exit 1');
    const result = await execInGuest(host, 'uuid', 'app01', command);
    expect(result).toMatchObject({ exitCode: 127, truncated: true });
    expect(result.stderr).toHaveLength(64 * 1024);
    expect(result.stderr).toContain(said);
  });

  test('that says for ever what it runs is taken for none', async () => {
    const disk = `<disk device='disk'><target dev='sda' bus='sata'/></disk>`;
    const xml = `<domain><uuid>u</uuid><memory>1</memory><vcpu>1</vcpu><os/><devices>${disk}</devices></domain>`;
    program(
      'virsh',
      'case "$*" in',
      '*qemu-agent-command*) exec yes ;;',
      `*dumpxml*) echo "${xml}" ;;`,
      `*domblkinfo*) echo 'Capacity: 1048576' ;;`,
      'esac',
    );
    const found = await createLibvirtSource({ uri: 'test:///default', clock: Date.now }).discover('app01');
    expect(found).toMatchObject({ os: { family: 'unknown' }, disks: [{ sizeBytes: MiB }] });
  });

  test('of which only words are taken, cut and cleaned', () => {
    const said = { id: 'debian', 'version-id': 12, 'pretty-name': `\u001b[2J${'x'.repeat(10 * MiB)}`, name: {} };
    expect(systemOf({ ...said, 'kernel-release': ['6.1'] })).toEqual({
      family: 'linux',
      distribution: 'debian',
      prettyName: 'x'.repeat(200),
    });
    for (const nothing of [undefined, null, 7, 'debian']) expect(systemOf(nothing)).toEqual({ family: 'unknown' });
    expect(systemOf({ id: 'mswindows' })).toEqual({ family: 'windows', distribution: 'mswindows' });
    expect(systemOf([])).toEqual({ family: 'linux' });
  });

  test('whose time is none leaves the skew unknown', () => {
    expect(skewOf(2e9, 1500)).toBe(500);
    for (const answer of ['now', {}, null, undefined, NaN, Infinity]) expect(skewOf(answer, 0)).toBeNull();
  });
});

test('a hypervisor that describes a machine for ever is a failure that says so', async () => {
  program('virsh', 'exec yes');
  const source = createLibvirtSource({ uri: 'test:///default', clock: Date.now });
  const error = await failureOf(source.discover('app01'));
  expect(error).toMatchObject({ name: 'TransientError', message: expect.stringMatching(/dumpxml.*Printed more than/) });
});

test('an appliance that answers for ever is ended', async () => {
  program('guestfish', 'exec yes');
  const session = startGuestfish({ temporaryFolder: folder });
  const error = await failureOf(session.ask('list-partitions'));
  await session.kill();
  expect(error).toMatchObject({
    name: 'PermanentError',
    message: 'guestfish list-partitions printed too much: needed at most 4 MiB',
  });
});

test('a screen that is larger than any is not read', async () => {
  const file = join(folder, 'screen.ppm');
  writeFileSync(file, 'P6 ');
  expect((await readPicture('x', file)).toString()).toBe('P6 ');
  truncateSync(file, 100 * MiB);
  const error = await failureOf(readPicture('the screen of app01 cannot be read', file));
  expect(error).toMatchObject({
    name: 'PermanentError',
    message: expect.stringContaining('found a picture of 104857600'),
  });
});

describe('at the other end of a connection', () => {
  let server: Server | undefined;
  const sockets = new Set<Socket>();

  afterEach(async () => {
    sockets.forEach((socket) => socket.destroy());
    await new Promise((done) => (server === undefined ? done(0) : server.close(done)));
    server = undefined;
  });

  const opened = <S extends Server>(made: S): S => {
    server = made;
    made.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
    });
    return made;
  };

  /** Talks without a line end until nobody listens. */
  function talk(socket: Socket, text: string): void {
    const piece = text.repeat(Math.ceil((256 * 1024) / text.length));
    const more = (): void => {
      while (!socket.destroyed && socket.write(piece));
    };
    socket.on('drain', more);
    more();
  }

  const listening = (made: Server, at: string | number): Promise<void> =>
    new Promise((done) => (typeof at === 'string' ? made.listen(at, done) : made.listen(at, '127.0.0.1', done)));

  test.each([
    ['for ever', (socket: Socket) => talk(socket, '{"QMP":'), /more than 16777216 characters in one line/],
    ['what is no JSON', (socket: Socket) => void socket.write('QMP, hello\n'), /found no JSON \("QMP, hello"\)/],
    ['null', (socket: Socket) => void socket.write('null\n'), /found no JSON \("null"\)/],
  ])('a target server that says %s is one that does not answer', async (_what, say, found) => {
    const socketFile = join(folder, 'qmp.sock');
    await listening(opened(createServer(say)), socketFile);
    const error = await failureOf(connectQmp(socketFile));
    expect(error).toMatchObject({ name: 'TransientError', message: expect.stringMatching(found) });
  });

  test('a controller that answers for ever is one that does not answer', async () => {
    const made = opened(createHttpServer((_request, response) => talk(response as unknown as Socket, '{')));
    await listening(made, 0);
    const power = {
      ...{ url: `http://127.0.0.1:${(made.address() as AddressInfo).port}`, systemId: '1', user: 'muster' },
      ...{ password: { from: 'file', name: 'bmc' } as const, caFile: null, insecure: false },
    };
    const secret = () => Promise.resolve(Buffer.from('x'));
    const redfish = openRedfish({ machine: 'rack-7', power, secret, answerTimeoutMs: 20_000, pollMs: 10 });
    const error = await failureOf(redfish.state());
    expect(error).toMatchObject({
      name: 'TransientError',
      message: expect.stringContaining('more than 1048576 bytes'),
    });
  });

  test('a serial console that floods is kept up to a limit, and its last words can be read', async () => {
    const socketFile = join(folder, 'console.sock');
    let over: () => void = () => undefined;
    const ended = new Promise<void>((done) => (over = done));
    const made = createServer((socket) => {
      socket.on('close', over);
      talk(socket, 'flood ');
    });
    await listening(opened(made), socketFile);
    const consoles = openConsoles(folder);
    const machine = { name: 'rack-7', serialConsole: { kind: 'socket', path: socketFile } } as PhysicalMachine;
    await consoles.listen(machine);
    await ended;
    const kept = join(folder, 'consoles', 'rack-7.log');
    expect(statSync(kept).size).toBeLessThanOrEqual(16 * MiB);
    expect(readFileSync(kept).length).toBeGreaterThan(15 * MiB);
    expect((await consoles.text(machine, 0))!.length).toBe(64 * 1024);
    // What a console shows is not for every user of the host.
    expect([join(kept, '..'), kept].map((place) => statSync(place).mode & 0o777)).toEqual([0o700, 0o600]);
  });
});
