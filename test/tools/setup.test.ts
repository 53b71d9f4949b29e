/** Set-up on machines that lack something: started for real, with a PATH and a user of its own. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closedFolder } from '../../tools/setup/libvirt.mjs';
import { isNewEnough } from '../../tools/setup/go.mjs';
import { temporalVersion as setupVersion } from '../../tools/setup/temporal.mjs';
import { temporalVersion } from '../../stack/temporal-binary';

const root = join(__dirname, '..', '..');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'muster-setup-test-'));
  chmodSync(folder, 0o755);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs set-up with nothing on PATH but `programs`, as an unprivileged user; what is in /usr/sbin it finds by itself. */
function runSetup(scope: string, programs: Record<string, string>, env: Record<string, string> = {}) {
  for (const [name, target] of Object.entries(programs)) symlinkSync(target, join(folder, name));
  const command = [process.execPath, join(root, 'tools/setup/main.mjs'), scope];
  const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--', ...command];
  const [file, args] = process.getuid?.() === 0 ? ['/usr/bin/setpriv', asNobody] : [command[0]!, command.slice(1)];
  const variables = { PATH: folder, HOME: folder, MUSTER_CACHE: join(folder, 'cache'), ...env };
  const result = spawnSync(file!, args as string[], { env: variables, encoding: 'utf8', timeout: 20_000 });
  return { exitCode: result.status, said: result.stderr };
}

const ready = { MUSTER_TEMPORAL_ADDRESS: '127.0.0.1:7233' };

test('without root, missing programs are named with the package and the exact command, and the exit code is 4', () => {
  const { exitCode, said } = runSetup('quick', { 'apt-get': '/bin/true' }, ready);
  expect(said).toContain('qemu-utils (qemu-img, qemu-io)');
  expect(said).toMatch(/needs root/);
  expect(said).toMatch(/sudo sh -c 'apt-get update && apt-get install --no-install-recommends -y .*qemu-utils/);
  expect(exitCode).toBe(4);
});

test('quick asks for nothing that only guests need', () => {
  const { said } = runSetup('quick', { 'apt-get': '/bin/true' }, ready);
  expect(said).not.toMatch(/guestfish|virsh|demo guest/);
});

test('on a system without apt-get the packages are named all the same, and the exit code is 3', () => {
  const { exitCode, said } = runSetup('quick', {}, ready);
  expect(said).toContain('There is no apt-get here');
  expect(said).toContain('qemu-utils');
  expect(exitCode).toBe(3);
});

test('a configured Temporal program that cannot be run is named, and what else is missing is told in the same run', () => {
  const { exitCode, said } = runSetup('quick', {}, { MUSTER_TEMPORAL_BIN: '/nowhere/temporal' });
  expect(said).toContain('MUSTER_TEMPORAL_BIN names /nowhere/temporal');
  expect(said).toContain('There is no apt-get here');
  expect(exitCode).toBe(3);
});

test('a temporal on PATH is taken as it is', () => {
  const { said } = runSetup('quick', { temporal: '/bin/true' });
  expect(said).toContain('ready  Temporal CLI');
});

test('an unknown scope is wrong usage', () => {
  const { exitCode, said } = runSetup('everything', {});
  expect(exitCode).toBe(2);
  expect(said).toContain('Exit codes');
});

test('a folder closed to others on the way to the cache is found', () => {
  const cache = join(folder, 'cache');
  execFileSync('mkdir', [cache]);
  expect(closedFolder(cache)).toBeUndefined();
  chmodSync(folder, 0o700);
  expect(closedFolder(cache)).toBe(folder);
});

test.each([
  ['go1.26.8', true],
  ['go1.21', true],
  ['2:1.24~2', true],
  ['2:1.19~1', false],
  ['go1.9.4', false],
  ['(none)', false],
])('Go %s is new enough: %s', (version, enough) => {
  expect(isNewEnough(version)).toBe(enough);
});

test('set-up, the stack and the Go module name the same version of the Temporal CLI', () => {
  expect(setupVersion).toMatch(/^\d+\.\d+\.\d+$/);
  expect(temporalVersion).toBe(setupVersion);
  const goMod = readFileSync(join(root, 'tools/temporal/go.mod'), 'utf8');
  expect(/temporalio\/cli v([\d.]+)/.exec(goMod)?.[1]).toBe(setupVersion);
});

test('the image of the demo guest is looked for without building it', () => {
  const command = [join(root, 'tools/demo-guest/build.mjs'), '--status'];
  const result = spawnSync(process.execPath, command, { env: { MUSTER_CACHE: folder }, encoding: 'utf8' });
  expect(result.stdout).toMatch(/^not built: .*app01-[0-9a-f]{12}\.qcow2\n$/);
  expect(result.status).toBe(3);
});
