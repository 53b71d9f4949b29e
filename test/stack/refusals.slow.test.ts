/** What keeps `up` from starting: one clear line and a documented exit code each. */
import { createServer } from 'node:net';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exitCodeOf } from '../../stack/exit-codes';
import { killProcessesOf, processesOf, stackHome, startStackProcess, type StackHome } from '../support/stack-process';

let home: StackHome;
beforeEach(async () => {
  home = await stackHome();
});
afterEach(() => {
  const left = processesOf(home);
  killProcessesOf(home);
  home.remove();
  expect(left).toEqual([]);
});

test('a port in use is named with the variable that changes it', async () => {
  const server = createServer().listen(home.apiPort, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const up = startStackProcess(home);
  expect(await up.ended).toBe(exitCodeOf('port-in-use'));
  server.close();
  expect(lines(up.output())).toHaveLength(1);
  expect(up.output()).toContain(`the API cannot listen on 127.0.0.1:${home.apiPort}`);
  expect(up.output()).toContain('MUSTER_API_PORT');
});

test('a folder of a newer version is left as it is', async () => {
  mkdirSync(home.dataFolder);
  writeFileSync(join(home.dataFolder, 'format'), '7\n');
  const up = startStackProcess(home);
  expect(await up.ended).toBe(exitCodeOf('newer-folder'));
  expect(lines(up.output())).toHaveLength(1);
  expect(up.output()).toMatch(/found format 7 .* needed format 1/);
  expect(readFileSync(join(home.dataFolder, 'format'), 'utf8')).toBe('7\n');
});

test('a server elsewhere that does not answer is only checked, and nothing is left running', async () => {
  home.env['MUSTER_TEMPORAL_ADDRESS'] = '127.0.0.1:1';
  const up = startStackProcess(home);
  expect(await up.ended).toBe(exitCodeOf('part-not-up'));
  expect(up.output()).toContain('Temporal at 127.0.0.1:1 cannot be used');
});

test('a bad configuration shows every problem', async () => {
  home.env['MUSTER_API_PORT'] = 'seventy';
  home.env['MUSTER_LOG_LEVEL'] = 'loud';
  const up = startStackProcess(home);
  expect(await up.ended).toBe(exitCodeOf('bad-configuration'));
  expect(lines(up.output())).toHaveLength(2);
});

test('a part that ends at once is reported with its log', async () => {
  const broken = join(home.dataFolder, '..', 'temporal');
  writeFileSync(broken, '#!/bin/sh\necho "unable to open database file" >&2\nexit 3\n', { mode: 0o755 });
  home.env['MUSTER_TEMPORAL_BIN'] = broken;
  const up = startStackProcess(home);
  expect(await up.ended).toBe(exitCodeOf('part-not-up'));
  expect(up.output()).toContain('Temporal did not come up: found it ended with exit code 3');
  expect(up.output()).toContain('unable to open database file');
});

const lines = (text: string): string[] => text.trim().split('\n');
